"""`psm-train evaluate-live`: logged predictions and later labels -> metrics of a served version."""

import argparse
from typing import Any

from psm_training.commands.options import add_group, examples, registry_of
from psm_training.settings import Settings


def add(commands: Any) -> None:
    """Puts the subcommand on the parser."""
    step = commands.add_parser(
        "evaluate-live",
        help="logged predictions and later labels -> metrics of a served version",
        **examples(
            "psm-train evaluate-live --predictions 's3://logs/*.gz' --labels labels.csv",
            "psm-train evaluate-live --predictions predictor.jsonl --labels labels.parquet --version 3 --write",
        ),
    )
    step.add_argument(
        "--predictions", required=True, help="log lines of a predictor: path or s3:// address, with * and ?"
    )
    step.add_argument("--labels", required=True, help="request_id,label[,index]: .csv, .parquet or .jsonl; likewise")
    step.add_argument("--version", type=int, help="of the model; by default the newest that was logged")
    step.add_argument("--min-labels", type=int, default=200, help="refuse to judge by fewer (200)")
    step.add_argument("--write", action="store_true", help="write the evaluation to S3 and psm.live.* to the registry")
    add_group(step)
    step.set_defaults(command=_evaluate_live)


def _evaluate_live(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.evaluate_live import LiveOrder, evaluate_live  # noqa: PLC0415  # the others start without DuckDB

    order = LiveOrder(
        predictions=options.predictions,
        labels=options.labels,
        group=options.group,
        version=options.version,
        least_labels=options.min_labels,
        write=options.write,
    )
    return evaluate_live(order, lambda: registry_of(options, settings))
