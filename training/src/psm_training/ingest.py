"""Step 1: any source -> silver, the 22 columns, in the lake."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.label import add_label
from psm_training.lake.place import Lake, lake_at
from psm_training.lake.sql import quoted
from psm_training.lake.views import MEMORY_LIMIT, open_lake
from psm_training.sources import complete_journey, synthetic_baskets
from psm_training.terms import SOURCE_FILES, STRICT, Terms, check_source
from psm_training.windows import DEFAULT, SplitOptions, remember, remembered
from psm_training.workspace import Workspace, read_json, write_json

SOURCES: Final = (complete_journey.NAME, SOURCE_FILES, synthetic_baskets.NAME)
TRUTH: Final = "truth.parquet"
"""Beside generated source files: the exact probabilities of every basket."""


def ingest(  # where from, where to, and how
    space: Workspace,
    source: str,
    data: str | Path | None = None,
    lake: str | None = None,
    *,
    weeks: SplitOptions | None = None,
    terms: Terms = STRICT,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Bring silver up to date.

    Args:
        space: Gets source.json, which says where the lake is.
        source: One of SOURCES.
        data: Folder, file or s3:// address of the files, for source-files only.
        lake: Folder or s3:// address; by default inside the workspace.
        weeks: Which weeks `split` will take for what: nothing is fitted on later ones. By default as before.
        terms: What of the files is taken as it is; for source-files only.
        say: Takes a line for every file that is read.

    Returns:
        One line for the user.

    Raises:
        PipelineError: The data is not there, not whole or not of the schema.
    """
    if source not in SOURCES:
        raise PipelineError(f"unknown source {source!r}; known are {', '.join(SOURCES)}")
    check_source(source, data, terms)
    _make_folder(space.root)
    asked = _weeks(space, source) if weeks is None else weeks
    where = lake or str(space.lake)
    place = lake_at(where)
    place.claim(source, replace=lake is None)
    facts: dict[str, Any] = {"source": source, **({"lake": lake} if lake is not None else {})}
    news = ""
    if source == SOURCE_FILES:
        facts["missing_weeks"] = list(terms.missing_weeks)
        taken, news = _files(place, data, terms, say)
        facts |= taken
    else:
        facts |= _whole(place, source, asked)
    write_json(space.source, facts)
    remember(space, asked)
    with open_lake(space) as database:
        # no basket is counted here: a set of all of them would grow with every week; `split` makes a row of each
        counts = database.execute("SELECT count(*), count(DISTINCT CUST_CODE) FROM silver").fetchone()
        facts |= _truth(database, data, asked) if source == SOURCE_FILES else {}
    lines, households = counts if counts is not None else (0, 0)
    write_json(space.source, {**facts, "lines": lines, "households": households})
    return f"{lines:,} lines of {households:,} households from {source}{news}"


def _make_folder(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as err:
        raise PipelineError(f"--out {root} is no folder: {err.strerror}; name another one") from err


def _truth(database: duckdb.DuckDBPyConnection, data: str | Path | None, asked: SplitOptions) -> dict[str, Any]:
    """What generated files tell of the best possible accuracy; nothing of any other files."""
    truth = Path(data) / TRUTH if isinstance(data, Path) or (data and "://" not in data) else None
    if truth is None or not truth.exists():
        return {}
    database.execute(f"CREATE VIEW truth AS FROM read_parquet({quoted(str(truth))})")
    with suppress(PipelineError):  # too few weeks to split, which is not for this step to say
        return {"bayes_accuracy": synthetic_baskets.bayes_accuracy(database, asked)}
    return {}


def _weeks(space: Workspace, source: str) -> SplitOptions:
    """What was asked of the split when this source was ingested last."""
    same = space.source.exists() and read_json(space.source, "ingest")["source"] == source
    return remembered(space) if same else DEFAULT


def _files(lake: Lake, data: str | Path | None, terms: Terms, say: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    """What was read, and the same in words."""
    from psm_training.sources.source_files import accounts, ingest_files  # noqa: PLC0415  # Ibis takes a second to import

    if data is None:
        raise PipelineError("source-files needs --data FOLDER, the folder of transactions_*.csv, a file or s3://")
    taken = ingest_files(lake, data, terms, say)
    facts = {"files_read": len(taken.read), "lines_of_files": sum(entry.lines for entry in taken.all)}
    told = f": {accounts(taken.read)}" if taken.read else ""
    return facts, f", {len(taken.read)} files read{told}"


def _whole(lake: Lake, source: str, weeks: SplitOptions) -> dict[str, Any]:
    """Sources that come as one piece."""
    from psm_training.lake.silver import write_silver  # noqa: PLC0415  # Arrow takes time to import

    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
        if source == synthetic_baskets.NAME:
            synthetic_baskets.load_silver(database)
            write_silver(database, lake, source, "generated")
            return {"bayes_accuracy": synthetic_baskets.bayes_accuracy(database, weeks)}
        add_label(database, complete_journey.load_silver(database, weeks))
        write_silver(database, lake, source, complete_journey.version())
        return {}
