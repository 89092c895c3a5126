"""Step 3: who trains and who tests, by household *and* week.

Training: training households in weeks 1-38. Validation and test: other households in weeks 42-53. A random split
would let the model meet the same household, and next week's prices, on both sides: on line rows a random forest
scored 0.887 that way and 0.633 this way.
"""

from typing import Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.lake.place import lake_of
from psm_training.lake.views import open_lake
from psm_training.workspace import Workspace

LAST_TRAINING_WEEK: Final = 38
"""Of the year; the three weeks up to the first test week are left out, so that no promotion spans both sides."""
FIRST_TEST_WEEK: Final = 42

TRAIN, VALID, TEST, UNUSED = "train", "valid", "test", "unused"

TRAIN_PERCENT: Final = 68
VALID_PERCENT: Final = 8
"""The remaining 24 % of households are the test set."""


def part_sql(household: str, week: str) -> str:
    """SQL expression of DuckDB: the part a basket belongs to, as `psm_training.lake.expressions.part` says.

    Args:
        household: SQL of the household's code.
        week: SQL of the week, yyyyww.
    """
    from psm_training.lake import expressions  # noqa: PLC0415  # Ibis takes time to import

    return expressions.part_sql(household, week)


def split(space: Workspace) -> str:
    """Brings gold up to date: one row per basket with its part.

    Returns:
        One line for the user.

    Raises:
        PipelineError: A part is empty, or a household or week is on both sides.
    """
    from psm_training.lake.gold import write_gold  # noqa: PLC0415  # Ibis takes a second to import

    write_gold(lake_of(space))
    with open_lake(space) as database:
        counts = dict(database.execute("SELECT part, count(*) FROM gold WHERE label <> 'XX' GROUP BY part").fetchall())
        for name in (TRAIN, VALID, TEST):
            if not counts.get(name):
                raise PipelineError(
                    f"no labelled basket is in {name}; training needs weeks 1-{LAST_TRAINING_WEEK} "
                    f"and weeks {FIRST_TEST_WEEK}-53 of many households"
                )
        _prove_apart(database)
    return ", ".join(f"{counts[name]:,} baskets {name}" for name in (TRAIN, VALID, TEST))


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
    weeks = database.execute(
        "SELECT max(SHOP_WEEK % 100) FILTER (part = $train), min(SHOP_WEEK % 100) FILTER (part IN ($valid, $test)) "
        "FROM gold",
        {"train": TRAIN, "valid": VALID, "test": TEST},
    ).fetchone()
    if weeks is not None and not weeks[0] < weeks[1]:
        raise PipelineError(f"training reaches week {weeks[0]}, testing starts in week {weeks[1]}")
