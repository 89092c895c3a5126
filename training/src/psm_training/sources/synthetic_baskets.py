"""Synthetic baskets as rows of the 22 columns: the whole pipeline in seconds, against a known best accuracy."""

from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from psm_contract.schema import CLASSES, COLUMN_NAMES, UNCLASSIFIED
from psm_contract.tables import LEVELS
from psm_training.split import TEST, part_sql
from psm_training.synthetic import (
    FIRST_BASKET,
    FIRST_WEEK,
    FORMATS,
    MISSIONS,
    REGIONS,
    SEGMENTS,
    SIZES,
    TRIPS,
    Baskets,
    Households,
    Ints,
    Names,
    Regime,
    code_names,
    draw,
)
from psm_training.windows import DEFAULT, SplitOptions, windows_in

NAME: Final = "synthetic"
BASKETS: Final = 12_000
HOUSEHOLDS: Final = 600
WEEKS: Final = 52
SEPARATION: Final = 1.2

_BAYES: Final = """
WITH basket AS (
    SELECT BASKET_ID, {part} AS part, any_value(BASKET_PRICE_SENSITIVITY) AS label FROM silver GROUP BY BASKET_ID
)
SELECT avg(greatest({best})) FROM truth JOIN basket USING (BASKET_ID) WHERE part = '{test}' AND label <> 'XX'
"""

WEEKS_PER_YEAR: Final = 52
FIRST_DAY: Final = np.datetime64("2008-02-24")
"""A Sunday: the vendor's financial years start at the end of February."""


def load_silver(database: duckdb.DuckDBPyConnection, *, seed: int = 0) -> None:
    """Creates table `silver`, labelled, and table `truth`: see `truth`."""
    rng = np.random.default_rng(seed)
    drawn = draw(rng, Households.draw(rng, HOUSEHOLDS), BASKETS, Regime(separation=SEPARATION))
    weeks = rng.integers(0, WEEKS, BASKETS)
    for name, table in (("silver", lines(drawn, weeks)), ("truth", truth(drawn))):
        database.register("made", table)
        database.execute(f"CREATE TABLE {name} AS FROM made")
        database.unregister("made")


def lines(drawn: Baskets, weeks: Ints, first_basket: int = FIRST_BASKET) -> pa.Table:
    """One row per line with the 22 columns.

    Args:
        drawn: The baskets.
        weeks: Weeks since FIRST_WEEK, [baskets].
        first_basket: BASKET_ID of the first one; the others follow.
    """
    of_line = pa.array(np.repeat(np.arange(len(drawn)), drawn.lengths))
    columns = {name: values.take(of_line) for name, values in _of_basket(drawn, weeks, first_basket).items()}
    product = pa.array(drawn.product)
    columns |= {level: pa.array(names).take(product) for level, names in zip(LEVELS, code_names(), strict=True)}
    columns["PROD_CODE_40"] = pa.repeat("D00001", len(product))
    columns["QUANTITY"] = pa.array(drawn.quantity.astype(np.int64))
    columns["SPEND"] = pa.array(drawn.spend)
    return pa.table({name: columns[name] for name in COLUMN_NAMES})


def truth(drawn: Baskets, first_basket: int = FIRST_BASKET) -> pa.Table:
    """BASKET_ID and the exact P(label | basket) of each class, in columns of the classes' names."""
    columns: dict[str, Any] = {"BASKET_ID": first_basket + np.arange(len(drawn))}
    return pa.table(columns | dict(zip(CLASSES, drawn.posterior.T, strict=True)))


def bayes_accuracy(database: duckdb.DuckDBPyConnection, options: SplitOptions = DEFAULT) -> float:
    """Expected accuracy of the best possible classifier on the labelled test baskets.

    Args:
        database: With relations `silver` and `truth`.
        options: Which weeks are the test.
    """
    part = part_sql("any_value(CUST_CODE)", "any_value(SHOP_WEEK)", windows_in(database, options))
    row = database.execute(_BAYES.format(best=", ".join(CLASSES), part=part, test=TEST)).fetchone()
    return round(float(row[0]), 4) if row is not None and row[0] is not None else 0.0


def week_number(index: int) -> int:
    """Weeks since FIRST_WEEK -> yyyyww; every year has 52, as the vendor's."""
    year, week = divmod(index, WEEKS_PER_YEAR)
    return FIRST_WEEK + 100 * year + week


def week_index(number: int) -> int:
    """The number of weeks from FIRST_WEEK, the other way round."""
    year, week = divmod(number - FIRST_WEEK, 100)
    return WEEKS_PER_YEAR * year + week


def _of_basket(drawn: Baskets, weeks: Ints, first_basket: int) -> dict[str, Any]:
    """What all lines of a basket share, one Arrow array [baskets] per column."""
    shopper = drawn.shopper
    stores = np.array([f"STORE-{region}-{size}" for region in REGIONS for size in FORMATS], dtype=object)
    households = np.array([f"CUST{number:010d}" for number in range(int(drawn.household.max()) + 1)], dtype=object)

    def named(names: Names, numbers: Any) -> Any:
        return pa.array(names).take(pa.array(numbers))

    return {
        "SHOP_WEEK": pa.array(FIRST_WEEK + 100 * (weeks // WEEKS_PER_YEAR) + weeks % WEEKS_PER_YEAR),
        "SHOP_DATE": pa.array(_date(7 * weeks + drawn.weekday - 1)),
        "SHOP_WEEKDAY": pa.array(drawn.weekday),
        "SHOP_HOUR": pa.array(drawn.hour),
        "CUST_CODE": named(households, drawn.household),
        "seg_1": named(SEGMENTS, shopper.segment),
        "seg_2": pa.nulls(len(drawn), pa.string()),
        "BASKET_ID": pa.array(first_basket + np.arange(len(drawn))),
        "BASKET_SIZE": named(SIZES, drawn.size),
        # UNLABELLED is -1
        "BASKET_PRICE_SENSITIVITY": named(np.array([UNCLASSIFIED, *CLASSES], dtype=object), drawn.label + 1),
        "BASKET_TYPE": named(TRIPS, drawn.trip),
        "BASKET_DOMINANT_MISSION": named(MISSIONS, drawn.mission),
        "STORE_CODE": named(stores, shopper.region * len(FORMATS) + shopper.store),
        "STORE_FORMAT": named(FORMATS, shopper.store),
        "STORE_REGION": named(REGIONS, shopper.region),
    }


def _date(days: Ints) -> Ints:
    """Days since FIRST_DAY -> yyyymmdd."""
    date = FIRST_DAY + days.astype("timedelta64[D]")
    month = date.astype("datetime64[M]")
    year = month.astype("datetime64[Y]")
    years, months = year.astype(np.int64) + 1970, (month - year).astype(np.int64) + 1
    return np.asarray(10_000 * years + 100 * months + (date - month).astype(np.int64) + 1, dtype=np.int64)
