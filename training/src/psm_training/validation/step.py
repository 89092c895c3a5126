"""Step 2 and again after the split: may this data train a model?"""

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.lake.gold import stale
from psm_training.lake.manifests import Week
from psm_training.lake.place import Lake, lake_of, raw_weeks
from psm_training.lake.views import has_gold, open_lake
from psm_training.validation.verdict import Check, ValidationFailedError, failures, write_verdict
from psm_training.windows import Windows, remembered
from psm_training.workspace import Workspace, read_json

if TYPE_CHECKING:
    from psm_training.validation.judge import Judge

DOCS: Final = "data-docs"
"""Folder of the data docs in the workspace; begin with its index.html."""


class Validation:
    """Judges a workspace when asked, and asked again only what has come since: gold, as long as silver is the same.

    Args:
        space: Where `ingest` wrote.
    """

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._docs = space.root / DOCS
        self._weeks: dict[int, Week] = {}
        self._judge: Judge | None = None
        self._checks: dict[str, list[Check]] = {}

    def validate(self) -> str:
        """Judges every layer that is there; writes validation.json and the data docs.

        Gold that is older than its silver is left out: `split` makes it anew.

        Returns:
            One line for the user.

        Raises:
            ValidationFailedError: At least one check failed; verdict and docs are written before.
            PipelineError: There is no silver.
        """
        lake = lake_of(self._space)
        with open_lake(self._space) as database:
            judge = self._judge_of(lake.silver.weeks())
            load_raw(database, raw_weeks(self._space), read_json(self._space.source, "ingest").get("missing_weeks", ()))
            layers = ["raw", "silver", *(["gold"] if has_gold(database) and self._is_current(lake) else [])]
            for layer in layers:
                if layer not in self._checks:
                    self._checks[layer] = _judged(judge, database, layer)
        shutil.rmtree(self._docs, ignore_errors=True)  # pages of runs before would stay beside the new
        judge.write_docs()
        checks = [check for layer in layers for check in self._checks[layer]]
        write_verdict(self._space, checks)
        failed = failures(checks)
        if failed:
            raise ValidationFailedError(f"data validation failed: {failed}; see {self._docs / 'index.html'}")
        return f"{len(checks)} checks of {', '.join(layers)} passed"

    def _is_current(self, lake: Lake) -> bool:
        """Whether gold is made of what silver holds now, and split as it would be now."""
        try:
            windows = Windows.of(lake.silver.weeks(), remembered(self._space))
        except PipelineError:  # too few weeks to split: `split` says so
            return False
        return not stale(lake, windows)

    def _judge_of(self, weeks: dict[int, Week]) -> "Judge":
        """The one that judged these weeks of silver, and nothing above them, or a new one."""
        from psm_training.validation.judge import Judge  # noqa: PLC0415  # Great Expectations takes seconds to import

        if self._judge is None or weeks != self._weeks or "gold" in self._checks:
            self._judge, self._weeks, self._checks = Judge(self._docs), weeks, {}
        return self._judge


def validate(space: Workspace) -> str:
    """Judges every layer of a workspace, once; see `Validation.validate`."""
    return Validation(space).validate()


def run_checks(database: duckdb.DuckDBPyConnection, layers: Sequence[str]) -> list[Check]:
    """Every suite of the layers, each a relation of the database; nothing is written."""
    from psm_training.validation.judge import Judge  # noqa: PLC0415  # as above

    judge = Judge(None)
    return [check for layer in layers for check in _judged(judge, database, layer)]


def _judged(judge: "Judge", database: duckdb.DuckDBPyConnection, layer: str) -> list[Check]:
    """Every suite of a layer; where it lacks columns, the rest of it is not asked."""
    from psm_training.validation import gold, raw, silver  # noqa: PLC0415  # as above

    suites = {"raw": raw.TABLES, "silver": silver.TABLES, "gold": gold.TABLES}
    checks: list[Check] = []
    for table in suites[layer]:
        found = judge.judge(database, table)
        checks += found
        if table.is_schema and not all(check.passed for check in found):
            break
    return checks


def load_raw(
    database: duckdb.DuckDBPyConnection, weeks: Sequence[Mapping[str, Any]], missing: Sequence[int] = ()
) -> None:
    """Create table `raw`, what the raw files of each week looked like, and table `known_missing`.

    Args:
        database: An open lake.
        weeks: As the lake's manifests say.
        missing: Weeks that are known to be missing.
    """
    database.execute(
        "CREATE TABLE known_missing AS SELECT unnest($weeks::BIGINT[]) AS SHOP_WEEK", {"weeks": list(missing)}
    )
    database.execute(
        "CREATE TABLE raw (SHOP_WEEK BIGINT, files BIGINT, contents BIGINT, lines BIGINT, quarantined BIGINT, "
        "duplicates BIGINT, rows BIGINT)"
    )
    if not weeks:
        return
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
