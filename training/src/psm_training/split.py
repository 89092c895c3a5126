"""Step 3: who trains and who tests, by household *and* week.

Training: training households until the last training week. Validation and test: other households, each in later weeks
(`psm_training.windows`). A random split would let the model meet the same household, and next week's prices, on both
sides: on line rows a random forest scored 0.887 that way and 0.633 this way.
"""

from typing import Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.lake.place import lake_of
from psm_training.lake.views import open_lake
from psm_training.windows import TEST, TRAIN, UNUSED, VALID, SplitOptions, Windows, remember, remembered
from psm_training.workspace import Workspace, read_json, write_json

__all__ = ["TEST", "TRAIN", "TRAIN_PERCENT", "UNUSED", "VALID", "VALID_PERCENT", "part_sql", "split"]

TRAIN_PERCENT: Final = 68
VALID_PERCENT: Final = 8
"""The remaining 24 % of households are the test set."""

FITTED_AT_INGEST: Final = ("complete-journey", "synthetic")
"""Sources of which something was made of training weeks when they were ingested: a label, or the best accuracy."""


def part_sql(household: str, week: str, windows: Windows) -> str:
    """SQL expression of DuckDB: the part a basket belongs to, as `psm_training.lake.expressions.part` says.

    Args:
        household: SQL of the household's code.
        week: SQL of the week, yyyyww.
        windows: Which weeks are for what.
    """
    from psm_training.lake import expressions  # noqa: PLC0415  # Ibis takes time to import

    return expressions.part_sql(household, week, windows)


def split(space: Workspace, options: SplitOptions | None = None) -> str:
    """Brings gold up to date: one row per basket with its part.

    Args:
        space: Where `ingest` wrote.
        options: Which weeks are for what; by default as they were asked for before.

    Returns:
        One line for the user.

    Raises:
        PipelineError: A part is empty, or training is not apart from what tests it.
    """
    from psm_training.lake.gold import write_gold  # noqa: PLC0415  # Ibis takes a second to import

    asked = _agreed(space, options)
    lake = lake_of(space)
    windows = Windows.of(lake.silver.weeks(), asked)
    write_gold(lake, windows)
    remember(space, asked)
    with open_lake(space) as database:
        counts = dict(database.execute("SELECT part, count(*) FROM gold WHERE label <> 'XX' GROUP BY part").fetchall())
        for name in (TRAIN, VALID, TEST):
            if not counts.get(name):
                raise PipelineError(
                    f"no labelled basket is in {name}; {windows}: each needs baskets of many households in its weeks"
                )
        _prove_apart(database)
    return ", ".join(f"{counts[name]:,} baskets {name}" for name in (TRAIN, VALID, TEST)) + f"; {windows}"


def _agreed(space: Workspace, options: SplitOptions | None) -> SplitOptions:
    """The options to split by.

    Raises:
        PipelineError: Silver was made for other ones.
    """
    before = remembered(space)
    if options is None or options == before:
        return before
    facts = read_json(space.source, "ingest")
    if facts["source"] in FITTED_AT_INGEST:
        raise PipelineError(
            f"{facts['source']} was ingested with {before.describe() or 'the default weeks'}, and what was fitted then "
            f"would not be of the past with {options.describe() or 'the default weeks'}; run `psm-train ingest` with the "
            "same --test-weeks, --valid-weeks and --train-until"
        )
    if facts.pop("bayes_accuracy", None) is not None:  # of other test baskets
        write_json(space.source, facts)
    return options


def _prove_apart(database: duckdb.DuckDBPyConnection) -> None:
    """Refuses a split that leaks."""
    # by hash and bit: a table of the names of all households would grow with every week that brings new ones
    shared = database.execute(
        "SELECT hash(household) AS who FROM gold WHERE part <> $unused GROUP BY who "
        "HAVING bit_count(bit_or(1 << list_position($parts, part))) > 1 LIMIT 1",
        {"unused": UNUSED, "parts": [TRAIN, VALID, TEST]},
    ).fetchone()
    if shared is not None:
        (name,) = database.execute("SELECT household FROM gold WHERE hash(household) = ? LIMIT 1", shared).fetchall()[0]
        raise PipelineError(f"household {name} is in two parts of the split")
    ends = database.execute(
        "SELECT max(SHOP_WEEK) FILTER (part = $train), min(SHOP_WEEK) FILTER (part = $valid), "
        "max(SHOP_WEEK) FILTER (part = $valid), min(SHOP_WEEK) FILTER (part = $test) FROM gold",
        {"train": TRAIN, "valid": VALID, "test": TEST},
    ).fetchone()
    if ends is None:
        return
    trained, valid_from, valid_until, tested = ends
    for earlier, last, later, first in (
        ("training", trained, "validation", valid_from),
        ("training", trained, "testing", tested),
        ("validation", valid_until, "testing", tested),
    ):
        if last is not None and first is not None and not last < first:
            raise PipelineError(f"{earlier} reaches week {last}, {later} starts in week {first}")
