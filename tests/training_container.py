"""The training image's process as SageMaker runs it: a tree of folders, environment, signals, and what it takes afterwards.

No container: the process is the image's entry point with the tree in place of /opt/ml; `training_image` starts it in the
image itself. What SageMaker would do around it is done here: metric definitions over the log, the model's folder packed,
checkpoints copied to the next machine.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TextIO

from waiting import until

from psm_training.sagemaker.observed import metric_definitions

LIMIT_S = 300.0
OF_THE_IMAGE = {"PSM_GIT_SHA": "0" * 40, "SOURCE_DATE_EPOCH": "1767225600"}
"""The image has no repository to ask for its commit."""
MOST_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")


Process = subprocess.Popen[Any]


class Runtime(Protocol):
    """What starts a container."""

    def start(self, tree: Path, arguments: Sequence[str], environment: Mapping[str, str], log: TextIO) -> Process:
        """Starts it; what it returns passes signals on and ends with its exit code."""

    def first_process(self, process: Process) -> int:
        """Process 1 of the container, as the host counts."""


@dataclass(frozen=True)
class Ended:
    """What is left of a run.

    Attributes:
        code: Exit code.
        log: What it wrote, to both streams.
        tree: Its /opt/ml.
    """

    code: int
    log: str
    tree: Path

    @property
    def failure(self) -> str | None:
        """FailureReason of the job."""
        path = self.tree / "output/failure"
        return path.read_text() if path.exists() else None

    @property
    def metrics(self) -> dict[str, list[float]]:
        """FinalMetricDataList and more: each definition over each line, as SageMaker does it."""
        found = {one["Name"]: re.findall(one["Regex"], self.log) for one in metric_definitions()}
        return {name: [float(value) for value in values] for name, values in found.items()}

    def card(self) -> Any:
        """model.json of the model."""
        return json.loads((self.tree / "model/model.json").read_text())

    def packed(self) -> Path:
        """model.tar.gz as SageMaker makes it of the model's folder."""
        target = self.tree / "packed/model.tar.gz"
        target.parent.mkdir(exist_ok=True)
        with tarfile.open(target, "w:gz") as archive:
            for path in sorted((self.tree / "model").iterdir()):
                archive.add(path, arcname=path.name)
        return target


def machine(folder: Path, hyperparameters: Mapping[str, str], checkpoints: Path | None = None) -> Path:
    """A fresh /opt/ml, with the checkpoints that an earlier machine left."""
    tree = folder / "opt/ml"
    (tree / "input/config").mkdir(parents=True)
    (tree / "input/data").mkdir()
    (tree / "model").mkdir()
    (tree / "input/config/hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
    (tree / "input/config/resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    if checkpoints is not None and checkpoints.is_dir():
        shutil.copytree(checkpoints, tree / "checkpoints")
    else:
        (tree / "checkpoints").mkdir()
    return tree


class OnHost:
    """Runs the image's entry point with this Python."""

    def start(self, tree: Path, arguments: Sequence[str], environment: Mapping[str, str], log: TextIO) -> Process:
        """Starts it with the tree in place of /opt/ml."""
        return subprocess.Popen(
            [sys.executable, "-m", "psm_training.sagemaker", "--root", str(tree), *arguments],
            env={"PATH": os.defpath, "HOME": str(tree.parent), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def first_process(self, process: Process) -> int:
        """Process 1 of the container."""
        return process.pid


class Container:
    """A running container."""

    runtime: ClassVar[Runtime] = OnHost()

    def __init__(self, tree: Path, arguments: Sequence[str] = ("train",), **environment: str) -> None:
        self.tree = tree
        self._log = (tree.parent / "log").open("w+")
        variables = {**MOST_THREADS, **OF_THE_IMAGE, **environment}
        self._process = self.runtime.start(tree, arguments, variables, self._log)

    @property
    def log(self) -> str:
        """So far."""
        return (self.tree.parent / "log").read_text()

    def worker(self) -> int:
        """The process that works."""
        pid = self.runtime.first_process(self._process)
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    def until(self, text: str) -> None:
        """Waits for a line of the log."""
        until(lambda: text in self.log or self._process.poll() is not None, text, LIMIT_S)
        assert text in self.log

    def signal(self, number: signal.Signals) -> None:
        """To the first process, as a container runtime does it."""
        self._process.send_signal(number)

    def end(self) -> Ended:
        """Waits for the end."""
        try:
            code = self._process.wait(LIMIT_S)
        finally:
            self._process.kill()
            self._log.close()
        return Ended(code, self.log, self.tree)


def run(tree: Path, arguments: Sequence[str] = ("train",), **environment: str) -> Ended:
    """A container from its start to its end."""
    return Container(tree, arguments, **environment).end()
