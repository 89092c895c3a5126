"""What judges data: validate, and drift against a model's training window."""

import argparse
from pathlib import Path
from typing import Any

from psm_contract.metadata import DATA_VALIDATION
from psm_training.commands.archives import archive_of
from psm_training.commands.options import add_group, examples, registry_of, say
from psm_training.errors import PipelineError
from psm_training.settings import Settings
from psm_training.workspace import Workspace, write_json


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    step = commands.add_parser(
        "validate",
        help="judge raw files, silver and gold; a failed check fails",
        **examples(
            "psm-train validate --out build/models",
            "psm-train validate --out build/models --record 3",
        ),
    )
    step.add_argument("--out", type=Path, required=True, help="folder of the run; gets validation.json and data-docs")
    step.add_argument("--record", metavar="VERSION", help="write the verdict to this version, by number or ARN")
    add_group(step)
    step.set_defaults(command=_validate)
    step = commands.add_parser(
        "drift",
        help="how far the newest weeks are from a model's training window",
        **examples(
            "psm-train drift --out build/week --model build/models/v1/model.tar.gz",
            "psm-train drift --out build/week --version 3 --weeks 1 --limit 0.25",
        ),
    )
    step.add_argument("--out", type=Path, required=True, help="folder of the run; gets drift.json and drift.html")
    which = step.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", type=Path, help="model.tar.gz")
    which.add_argument("--version", help="of the registry, by number or ARN")
    step.add_argument("--weeks", type=int, default=4, help="how many of the newest weeks (4)")
    step.add_argument("--limit", type=float, help="fail when an index is above; by custom 0.25 is another population")
    add_group(step)
    step.set_defaults(command=_drift)


def _validate(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.validation.record import record  # noqa: PLC0415  # the others start without DuckDB
    from psm_training.validation.step import validate  # noqa: PLC0415
    from psm_training.validation.verdict import ValidationFailedError  # noqa: PLC0415

    space = Workspace(options.out)
    failure: ValidationFailedError | None = None
    answer: dict[str, Any] = {}
    try:
        answer["validate"] = validate(space)
    except ValidationFailedError as err:
        failure = err
    if options.record is not None:
        registry = registry_of(options, settings)
        answer["recorded"] = record(space, registry, registry.find(options.group, options.record))
        say(f"version {answer['recorded']['version']} says {answer['recorded'][DATA_VALIDATION]}")
    if failure is not None:
        raise failure
    return answer


def _drift(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.validation.drift import drift  # noqa: PLC0415  # the others start without NumPy
    from psm_training.validation.drift_page import page  # noqa: PLC0415

    space = Workspace(options.out)
    report = drift(space, archive_of(options, settings), weeks=options.weeks)
    write_json(space.root / "drift.json", report)
    (space.root / "drift.html").write_text(page(report), encoding="utf-8")
    if options.limit is not None and report["largest"] > options.limit:
        raise PipelineError(
            f"{report['features'][0]['name']} has moved: index {report['largest']} is above {options.limit}; "
            f"see {space.root / 'drift.html'}"
        )
    return report
