"""Where SageMaker puts things into a container, where it looks for them afterwards, and what an exit code means.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_training.errors import PipelineError

ROOT: Final = Path("/opt/ml")
WORKSPACE_CHANNEL: Final = "workspace"
"""Files of a workspace that earlier steps made; any other channel is a folder of the source's files."""

MOST_REASON: Final = 1024
"""Characters of a failure's reason that SageMaker shows."""


EXIT_FAILED: Final = 1
"""A step could not go on; running it again may help."""
EXIT_ORDER: Final = 2
"""The hyperparameters or the command line are wrong: running it again cannot help."""
EXIT_DATA: Final = 65
"""The data failed validation (EX_DATAERR of sysexits.h): running it again on the same data cannot help."""
EXIT_BUG: Final = 70
"""An error that nobody foresaw (EX_SOFTWARE)."""
EXIT_OF_SIGNAL: Final = 128
"""Plus the signal's number, as shells do."""


@dataclass(frozen=True)
class Container:
    """The folders of one container.

    Attributes:
        root: /opt/ml, but for tests.
    """

    root: Path = ROOT

    @property
    def hyperparameters(self) -> Path:
        """JSON object; every value is a text."""
        return self.root / "input/config/hyperparameters.json"

    @property
    def channels(self) -> Path:
        """One folder per channel."""
        return self.root / "input/data"

    @property
    def model(self) -> Path:
        """What lies here when the container ends becomes the job's model.tar.gz in S3."""
        return self.root / "model"

    @property
    def failure(self) -> Path:
        """Why a training job failed."""
        return self.root / "output/failure"

    @property
    def message(self) -> Path:
        """What a processing job says at its end."""
        return self.root / "output/message"

    @property
    def checkpoints(self) -> Path:
        """Copied to S3 while the job runs and back before it starts again; only there if the job asked for it."""
        return self.root / "checkpoints"

    def channel(self, name: str) -> Path | None:
        """Folder of a channel, if the job has it."""
        folder = self.channels / name
        return folder if folder.is_dir() else None

    def data(self) -> Path | None:
        """Folder of the source's files: the one channel that is no workspace."""
        folders = sorted(path for path in self.channels.glob("*") if path.is_dir() and path.name != WORKSPACE_CHANNEL)
        if len(folders) > 1:
            raise PipelineError(
                f"channels {', '.join(path.name for path in folders)}: one may hold data, and {WORKSPACE_CHANNEL} files"
            )
        return folders[0] if folders else None

    def read_hyperparameters(self) -> dict[str, str]:
        """The hyperparameters; empty where the job has none.

        Raises:
            PipelineError: The file is no JSON object.
        """
        if not self.hyperparameters.exists():
            return {}
        try:
            found: Any = json.loads(self.hyperparameters.read_text(encoding="utf-8"))
        except ValueError as err:
            raise PipelineError(f"{self.hyperparameters} is no JSON: {err}") from err
        if not isinstance(found, dict):
            raise PipelineError(f"{self.hyperparameters} holds {found!r}, expected an object")
        return {str(key): str(value) for key, value in found.items()}
