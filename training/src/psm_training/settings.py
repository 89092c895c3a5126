"""What the pipeline takes from the environment; read once, at the process edge.

AWS's own variables (AWS_REGION, AWS_ENDPOINT_URL, credentials) are boto3's to read and are not listed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Settings:
    """Settings of one run.

    Attributes:
        cache_dir: Where trained outcomes are kept; XDG_CACHE_HOME/psm/models, by default ~/.cache/psm/models.
        source_date_epoch: Seconds since 1970 that stand for "now" in artifacts, when set (SOURCE_DATE_EPOCH).
        git_sha: Commit of the code where there is no repository to ask, as in an image (PSM_GIT_SHA).
        region: AWS region (AWS_REGION or AWS_DEFAULT_REGION; boto3 reads only the second).
    """

    cache_dir: Path
    source_date_epoch: int | None = None
    git_sha: str | None = None
    region: str | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Reads the environment."""
        environment = os.environ  # noqa: TID251  # the only reader of the environment
        home = environment.get("XDG_CACHE_HOME", "")
        caches = Path(home) if home else Path.home() / ".cache"
        epoch = environment.get("SOURCE_DATE_EPOCH", "")
        return cls(
            cache_dir=caches / "psm" / "models",
            source_date_epoch=int(epoch) if epoch else None,
            git_sha=environment.get("PSM_GIT_SHA") or None,
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None,
        )
