"""`psm-train feature-store`: features kept for others, here or on AWS."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psm_training.commands.options import examples
from psm_training.errors import PipelineError
from psm_training.settings import Settings
from psm_training.workspace import Workspace, need

if TYPE_CHECKING:
    from psm_training.feature_store.local import LocalFeatureStore
    from psm_training.feature_store.ports import FeatureStore

DEFAULT_STORE = "build/features"


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    top = commands.add_parser(
        "feature-store",
        help="features of baskets and households: newest by key, and as they were known at a time",
        **examples(
            "psm-train feature-store ingest --out build/models",
            "psm-train feature-store ingest --out build/models --recipe v2",
            "psm-train feature-store get household-history 1228",
            "psm-train feature-store get household-history 1228 --at 2017-06-01T12:00:00Z",
        ),
    )
    kinds = top.add_subparsers(required=True, metavar="ACTION")
    step = kinds.add_parser("ingest", help="silver and gold -> records; what is there already is not written again")
    step.add_argument("--out", type=Path, required=True, help="folder of the run")
    step.add_argument("--recipe", help="also the model's input of every basket, by the tables of this recipe")
    _add_store(step)
    step.set_defaults(command=_ingest)
    step = kinds.add_parser("get", help="records by key")
    step.add_argument("group", help="household-history or basket-features-RECIPE")
    step.add_argument("identifiers", nargs="+", metavar="ID", help="household or basket")
    step.add_argument("--at", help="as known at this time, yyyy-mm-ddThh:mm:ssZ, from the offline store here")
    _add_store(step)
    step.set_defaults(command=_get)


def _add_store(step: argparse.ArgumentParser) -> None:
    step.add_argument("--store", default=DEFAULT_STORE, help=f"folder of the store here ({DEFAULT_STORE})")
    step.add_argument("--aws", action="store_true", help="SageMaker Feature Store instead")
    step.add_argument(
        "--offline", default="", help="with --aws: s3:// address under which SageMaker keeps the offline store"
    )
    step.add_argument("--role", default="", help="with --aws: ARN of the role that SageMaker writes it with")
    step.add_argument("--region", help="by default AWS_REGION")


def _store(options: argparse.Namespace, settings: Settings) -> "FeatureStore":
    if not options.aws:
        return _local(options)
    from psm_training.feature_store.aws import SageMakerFeatureStore  # noqa: PLC0415  # not without AWS

    return SageMakerFeatureStore(options.region or settings.region, options.offline, options.role)


def _local(options: argparse.Namespace) -> "LocalFeatureStore":
    from psm_training.feature_store.local import LocalFeatureStore  # noqa: PLC0415  # the others start without Arrow
    from psm_training.lake.storage import open_storage  # noqa: PLC0415

    folder = Path(options.store)
    return LocalFeatureStore(open_storage(folder / "offline"), folder / "online.sqlite", _now)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251  # the process edge: the store takes it as an argument


def _ingest(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_contract.tables import Tables  # noqa: PLC0415  # the others start without DuckDB
    from psm_training.feature_store import compute, groups  # noqa: PLC0415
    from psm_training.lake.views import open_lake  # noqa: PLC0415
    from psm_training.load import load_gold  # noqa: PLC0415

    if options.aws and not (options.offline and options.role):
        raise PipelineError("--aws needs --offline s3://bucket/prefix and --role ARN")
    space, store = Workspace(options.out), _store(options, settings)
    with open_lake(space) as database:
        records = {groups.HOUSEHOLD_HISTORY: compute.household_history(database)}
        if options.recipe:
            tables = Tables.from_npz(need(space.of(options.recipe).tables, "features").read_bytes())
            group = groups.basket_features(options.recipe)
            records[group] = compute.basket_records(database, load_gold(space)[0], tables)
    for group, table in records.items():
        store.create(group)
        store.put(group, table)
    return {group.name: len(table) for group, table in records.items()}


def _get(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.feature_store.groups import group_named  # noqa: PLC0415  # the others start without numpy

    group = group_named(options.group)
    if options.at is None:
        return _store(options, settings).get(group, options.identifiers)
    if options.aws:
        raise PipelineError("--at reads the offline store here; on AWS ask Athena, docs/feature-store.md says how")
    datetime.strptime(options.at, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007  # only whether it can be read
    import pyarrow as pa  # noqa: PLC0415  # the newest records are in sqlite

    from psm_training.feature_store.history import point_in_time  # noqa: PLC0415

    spine = pa.table({group.identifier: options.identifiers, "at": [options.at] * len(options.identifiers)})
    rows = point_in_time(_local(options).history(group), spine, group).to_pylist()
    return {row[group.identifier]: row for row in rows}
