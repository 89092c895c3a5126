"""Step 2 and again after the split: may this data train a model?"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from psm_training.lake.gold import stale
from psm_training.lake.place import lake_of, raw_weeks
from psm_training.lake.views import has_gold, open_lake
from psm_training.validation.verdict import Check, ValidationFailedError, failures, write_verdict
from psm_training.workspace import Workspace

DOCS: Final = "data-docs"
"""Folder of the data docs in the workspace; begin with its index.html."""


def validate(space: Workspace) -> str:
    """Judges every layer that is there; writes validation.json and the data docs.

    Gold that is older than its silver is left out: `split` makes it anew.

    Returns:
        One line for the user.

    Raises:
        ValidationFailedError: At least one check failed; verdict and docs are written before.
        PipelineError: There is no silver.
    """
    docs = space.root / DOCS
    with open_lake(space) as database:
        load_raw(database, raw_weeks(space))
        layers = ["raw", "silver", *(["gold"] if has_gold(database) and not stale(lake_of(space)) else [])]
        shutil.rmtree(docs, ignore_errors=True)  # pages of runs before would stay beside the new
        checks = run_checks(database, docs, layers)
    write_verdict(space, checks)
    failed = failures(checks)
    if failed:
        raise ValidationFailedError(f"data validation failed: {failed}; see {docs / 'index.html'}")
    return f"{len(checks)} checks of {', '.join(layers)} passed"


def run_checks(database: duckdb.DuckDBPyConnection, docs: Path | None, layers: Sequence[str]) -> list[Check]:
    """Every suite of the layers, each a relation of the database; writes the data docs where a folder is named.

    Where a layer lacks columns, the rest of it is not asked.
    """
    from psm_training.validation import gold, raw, silver  # noqa: PLC0415  # Great Expectations takes a second to import
    from psm_training.validation.judge import Judge  # noqa: PLC0415  # as above

    judge = Judge(database, docs)
    suites = {"raw": raw.TABLES, "silver": silver.TABLES, "gold": gold.TABLES}
    checks: list[Check] = []
    for layer in layers:
        for table in suites[layer]:
            found = judge.judge(table)
            checks += found
            if table.is_schema and not all(check.passed for check in found):
                break
    if docs is not None:
        judge.write_docs()
    return checks


def load_raw(database: duckdb.DuckDBPyConnection, weeks: Sequence[Mapping[str, Any]]) -> None:
    """Creates table `raw`, what the raw files of each week looked like.

    Args:
        database: An open lake.
        weeks: As the lake's manifests say.
    """
    database.execute(
        "CREATE TABLE raw (SHOP_WEEK BIGINT, files BIGINT, contents BIGINT, lines BIGINT, quarantined BIGINT, "
        "duplicates BIGINT, rows BIGINT)"
    )
    database.executemany(
        "INSERT INTO raw VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            [
                week["week"],
                len(week["files"]),
                len({file["sha256"] for file in week["files"]}),
                week["lines"],
                sum(week["quarantined"].values()),
                week["duplicates"],
                week["rows"],
            ]
            for week in weeks
        ],
    )
