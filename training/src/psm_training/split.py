"""Step 3: who trains and who tests, by household *and* week.

Training: training households in weeks 1-38. Validation and test: other households in weeks 42-53. A random split
would let the model meet the same household, and next week's prices, on both sides: on line rows a random forest
scored 0.887 that way and 0.633 this way.
"""

from typing import Final

import duckdb

from psm_training.errors import PipelineError
from psm_training.workspace import Workspace, need

LAST_TRAINING_WEEK: Final = 38
"""Of the year; the three weeks up to the first test week are left out, so that no promotion spans both sides."""
FIRST_TEST_WEEK: Final = 42

TRAIN, VALID, TEST, UNUSED = "train", "valid", "test", "unused"

TRAIN_PERCENT: Final = 68
VALID_PERCENT: Final = 8
"""The remaining 24 % of households are the test set."""

_PERCENTILE: Final = "(CAST('0x' || substr(sha256('household ' || {household}), 1, 8) AS BIGINT) % 100)"

# A basket without a card gets a household of its own, so that two strangers are never taken for one.
_BASKETS: Final = """
CREATE TABLE basket AS
SELECT BASKET_ID, coalesce(any_value(CUST_CODE), 'basket ' || BASKET_ID) AS household,
       any_value(SHOP_WEEK) AS week, any_value(BASKET_PRICE_SENSITIVITY) AS label, {part} AS part
FROM read_parquet($silver) GROUP BY BASKET_ID
"""


def part_sql(household: str, week: str) -> str:
    """SQL expression: the part a basket belongs to; a household's side depends on its code alone and never changes.

    Args:
        household: SQL of the household's code.
        week: SQL of the week, yyyyww.
    """
    percentile = _PERCENTILE.format(household=household)
    return (
        f"CASE WHEN {percentile} < {TRAIN_PERCENT} AND {week} % 100 <= {LAST_TRAINING_WEEK} THEN '{TRAIN}' "
        f"WHEN {percentile} < {TRAIN_PERCENT} OR {week} % 100 < {FIRST_TEST_WEEK} THEN '{UNUSED}' "
        f"WHEN {percentile} < {TRAIN_PERCENT + VALID_PERCENT} THEN '{VALID}' ELSE '{TEST}' END"
    )


def split(space: Workspace) -> str:
    """Writes gold: one row per basket with its part.

    Returns:
        One line for the user.

    Raises:
        PipelineError: A part is empty, or a household or week is on both sides.
    """
    with duckdb.connect() as database:
        part = part_sql("coalesce(any_value(CUST_CODE), 'basket ' || BASKET_ID)", "any_value(SHOP_WEEK)")
        database.execute(_BASKETS.format(part=part), {"silver": str(need(space.silver, "ingest"))})
        counts = dict(
            database.execute("SELECT part, count(*) FROM basket WHERE label <> 'XX' GROUP BY part").fetchall()
        )
        for name in (TRAIN, VALID, TEST):
            if not counts.get(name):
                raise PipelineError(
                    f"no labelled basket is in {name}; training needs weeks 1-{LAST_TRAINING_WEEK} "
                    f"and weeks {FIRST_TEST_WEEK}-53 of many households"
                )
        _prove_apart(database)
        database.execute(
            "COPY (FROM basket ORDER BY BASKET_ID) TO $path (FORMAT parquet)", {"path": str(space.baskets)}
        )
    return ", ".join(f"{counts[name]:,} baskets {name}" for name in (TRAIN, VALID, TEST))


def _prove_apart(database: duckdb.DuckDBPyConnection) -> None:
    """Refuses a split that leaks."""
    shared = database.execute(
        "SELECT household FROM basket WHERE part <> $unused GROUP BY household HAVING count(DISTINCT part) > 1 LIMIT 1",
        {"unused": UNUSED},
    ).fetchone()
    if shared is not None:
        raise PipelineError(f"household {shared[0]} is in two parts of the split")
    weeks = database.execute(
        "SELECT max(week % 100) FILTER (part = $train), min(week % 100) FILTER (part IN ($valid, $test)) FROM basket",
        {"train": TRAIN, "valid": VALID, "test": TEST},
    ).fetchone()
    if weeks is not None and not weeks[0] < weeks[1]:
        raise PipelineError(f"training reaches week {weeks[0]}, testing starts in week {weeks[1]}")
