"""The worker of a job: runs the steps that it was asked for, in one process that may be killed at any moment.

The parent (`supervise`) started it, tells why it failed, and starts nothing again; a new job goes on from the checkpoints.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from psm_training.errors import PipelineError
from psm_training.sagemaker.checkpoints import Checkpoints, stamps
from psm_training.sagemaker.observed import Journal, quality_lines, say
from psm_training.sagemaker.order import AUTO, REGISTER, VALIDATIONS, JobOrder
from psm_training.sagemaker.paths import (
    EXIT_BUG,
    EXIT_DATA,
    EXIT_FAILED,
    EXIT_ORDER,
    WORKSPACE_CHANNEL,
    Container,
)
from psm_training.settings import Settings
from psm_training.terms import SOURCE_FILES
from psm_training.workspace import ModelFiles, Workspace, read_json

if TYPE_CHECKING:
    from psm_training.validation.step import Validation

PACKED: Final = "model.tar.gz"
"""How SageMaker calls what a training job left in /opt/ml/model."""


@dataclass(frozen=True)
class Job:
    """What one worker does, and where.

    Attributes:
        order: Steps and recipe.
        space: Where the steps work.
        data: Folder of the source's files.
        inputs: Folders whose files the workspace begins with.
        model: Where the model's files go at the end; None leaves them in the workspace only.
        checkpoints: Folder for finished steps, if there is one.
    """

    order: JobOrder
    space: Workspace
    data: Path | None = None
    inputs: Sequence[Path] = ()
    model: Path | None = None
    checkpoints: Path | None = None

    @cached_property
    def validation(self) -> "Validation":
        """Both validations of a job share it, so that the second asks only what has come."""
        from psm_training.validation.step import Validation  # noqa: PLC0415  # DuckDB; a wrong order is told at once

        return Validation(self.space)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job of the command line; the exit code says what to think of a failure."""
    options = parser().parse_args(arguments)
    journal = Journal(options.journal)
    try:
        job = _training(options) if options.kind == "train" else _processing(options)
        _make_room(options.scratch)
    except PipelineError as err:
        return _failed(journal, str(err), EXIT_ORDER)
    try:
        run(job, journal)
    except PipelineError as err:
        during = next((event["step"] for event in reversed(journal.read()) if event["event"] == "failed"), "")
        return _failed(journal, f"{during}: {err}", EXIT_DATA if during in VALIDATIONS else EXIT_FAILED)
    except Exception as err:  # the edge of the process  # noqa: BLE001
        traceback.print_exc()
        return _failed(journal, f"a bug: {type(err).__name__}: {err}", EXIT_BUG)
    return 0


def run(job: Job, journal: Journal) -> None:
    """The steps of the job, but for those that a checkpoint has."""
    job.space.root.mkdir(parents=True, exist_ok=True)
    files = job.space.of(job.order.recipe.name)
    for folder in job.inputs:
        _overlay(folder, job.space, files)
    kept = Checkpoints(job.checkpoints, key_of(job)) if job.checkpoints is not None else None
    done = kept.restore(job.order.steps, job.space.root) if kept is not None else []
    for name in job.order.steps:
        if name in done:
            say(f"{name:<14}kept from before the interruption")
            continue
        before = stamps(job.space.root)
        with journal.step(name):
            say(f"{name:<14}{_action(job, name)()}")
        if kept is not None and name != REGISTER:
            kept.save(name, job.space.root, before)
        if name == "evaluate":
            _tell_quality(files, job.space)
    if job.model is not None:
        _publish(files, job.model)


def key_of(job: Job) -> str:
    """Digest of what decides the outcome of the job's steps: the code, the libraries, the order and the names and sizes of the data."""
    from psm_training.cache import outcome_key  # noqa: PLC0415  # next to what it is about

    data = sorted(path for folder in (job.data, *job.inputs) if folder is not None for path in folder.rglob("*"))
    parts = [
        outcome_key(job.order.recipe, job.order.source),
        json.dumps(asdict(job.order), sort_keys=True, default=str),
        *(f"{path.name} {path.stat().st_size}" for path in data if path.is_file()),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _action(job: Job, name: str) -> Callable[[], str]:
    """A step as a function that returns one line for people; scikit-learn, which takes seconds, only where it is needed."""
    space, recipe = job.space, job.order.recipe
    if name in VALIDATIONS:
        return lambda: _validate(job)
    if name == REGISTER:
        return lambda: _register(job)
    if name == "ingest":
        from psm_training.ingest import ingest  # noqa: PLC0415  # a wrong order is told at once

        # a container is given the data channel whatever the source, and only a person at a command line can leave it out
        data = str(job.data) if job.data is not None and job.order.source == SOURCE_FILES else None
        return lambda: ingest(space, job.order.source, data)
    if name == "split":
        from psm_training.split import split  # noqa: PLC0415  # as above

        return lambda: split(space)
    from psm_training import steps  # noqa: PLC0415  # scikit-learn
    from psm_training.provenance import current_commit  # noqa: PLC0415  # Arrow

    if name == "package":
        return lambda: steps.package(space, recipe, current_commit(Settings.from_environment()))
    return lambda: steps.OF_RECIPE[name](space, recipe)


def _validate(job: Job) -> str:
    """A failed validation ends the job, unless the order says to go on; the verdict is in the workspace either way."""
    try:
        return job.validation.validate()
    except PipelineError as err:
        if not job.order.allow_failed_validation:
            raise
        return str(err)


def _register(job: Job) -> str:
    """Registers what the workspace holds, and lets the KPIs decide about the approval if that is wanted."""
    target = job.order.target
    group = ["--group", target.group]
    model = job.space.of(job.order.recipe.name).folder
    package = _psm_train("register", "--model", str(model), "--bucket", target.bucket, "--image", target.image, *group)
    if target.approve == AUTO:
        _psm_train("approve", "--auto", str(package["version"]), *group)
    return f"version {package['version']} of {target.group}"


def _psm_train(*arguments: str) -> Any:
    """A command of psm-train, and its answer.

    Raises:
        PipelineError: It failed.
    """
    from psm_training.__main__ import parser as psm_train  # noqa: PLC0415  # which imports the commands, and so this

    options = psm_train().parse_args(arguments)
    answer = options.command(options, Settings.from_environment())
    say(json.dumps(answer, sort_keys=True))
    return answer


def _tell_quality(files: ModelFiles, space: Workspace) -> None:
    """The metrics, for the regular expressions of a training job; the document, where a pipeline's condition finds it."""
    from psm_training.model_quality import metrics_of  # noqa: PLC0415

    document = read_json(files.evaluation, "evaluate")
    for line in quality_lines(metrics_of(document), document["validation_households"]):
        say(line)
    shutil.copyfile(files.evaluation, space.root / files.evaluation.name)


def _overlay(folder: Path, space: Workspace, files: ModelFiles) -> None:
    """The workspace begins with the files of an input; a model that SageMaker packed is unpacked into the model's folder."""
    packed = folder / PACKED
    if packed.exists() and not (folder / files.card.name).exists():
        with tarfile.open(packed) as archive:
            archive.extractall(files.folder, filter="data")
        return
    shutil.copytree(folder, space.root, dirs_exist_ok=True)


def _publish(files: ModelFiles, target: Path) -> None:
    """The model's files, but for the matrices, go where SageMaker takes them from."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(files.folder.iterdir()):
        if path.is_file() and path != files.features:
            shutil.copyfile(path, target / path.name)


def _make_room(scratch: Path) -> None:
    scratch.mkdir(parents=True, exist_ok=True)


def _training(options: argparse.Namespace) -> Job:
    """The job that SageMaker's files describe."""
    container = Container(options.root)
    workspace = container.channel(WORKSPACE_CHANNEL)
    return Job(
        order=JobOrder.of(container.read_hyperparameters()),
        space=Workspace(options.scratch),
        data=container.data(),
        inputs=[workspace] if workspace is not None else [],
        model=container.model,
        checkpoints=container.checkpoints if container.checkpoints.is_dir() else None,
    )


def _processing(options: argparse.Namespace) -> Job:
    """The job of the command line: a processing job has no hyperparameters."""
    given = dict(item.partition("=")[::2] for item in options.settings)
    return Job(
        order=JobOrder.of({**given, "steps": options.steps}),
        space=Workspace(options.out),
        data=options.data,
        inputs=options.inputs,
    )


def _failed(journal: Journal, message: str, code: int) -> int:
    sys.stderr.write(f"psm-training: {message}\n")
    journal.note({"event": "ended", "message": message, "code": code})
    return code


def parser() -> argparse.ArgumentParser:
    """The worker's command line."""
    top = argparse.ArgumentParser(prog="psm-training", description="Training in a container.")
    top.add_argument("--journal", type=Path, required=True, help=argparse.SUPPRESS)
    top.add_argument("--scratch", type=Path, required=True, help=argparse.SUPPRESS)
    kinds = top.add_subparsers(dest="kind", required=True)
    train = kinds.add_parser("train", help="a training job: hyperparameters, channels and model below --root")
    train.add_argument("--root", type=Path, default=Container().root)
    process = kinds.add_parser("process", help="a processing job: the steps that are named, from folders to a folder")
    process.add_argument("--root", type=Path, default=Container().root)
    process.add_argument("--steps", required=True, help="separated by commas")
    process.add_argument("--data", type=Path, help="folder of the source's files")
    process.add_argument("--input", type=Path, action="append", dest="inputs", default=[], help="files to begin with")
    process.add_argument("--out", type=Path, required=True, help="folder of the workspace")
    process.add_argument("--set", action="append", dest="settings", default=[], metavar="NAME=VALUE")
    return top


if __name__ == "__main__":
    sys.exit(main())
