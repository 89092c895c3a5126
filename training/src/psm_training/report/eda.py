"""What the data looks like: sizes, gaps, class balance over weeks, histograms, boxplots and correlations.

Whatever is about all baskets is counted by the database, so that the size of the data does not matter here; whatever is
about features is computed from the matrix of the training baskets.
"""

from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from psm_contract.features import FEATURES
from psm_contract.schema import CLASSES, COLUMN_NAMES, UNCLASSIFIED

BINS: Final = 30
WHISKERS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of a box: whiskers at 5 and 95 %, because the extremes of a till are weighed goods and errors."""

_BASKETS: Final = """
CREATE OR REPLACE TEMP TABLE eda_basket AS
SELECT SHOP_WEEK, label, len(SPEND) AS product_lines, list_sum(SPEND) AS spend, list_sum(QUANTITY) AS items,
       list_sum(SPEND) / list_sum(QUANTITY) AS unit_price, SHOP_HOUR AS hour
FROM gold
"""

_OVERVIEW: Final = """
SELECT count(*) AS lines, count(DISTINCT BASKET_ID) AS baskets, count(DISTINCT CUST_CODE) AS households,
       count(DISTINCT STORE_CODE) AS stores, count(DISTINCT PROD_CODE) AS products,
       count(DISTINCT SHOP_WEEK) AS weeks, min(SHOP_WEEK) AS first_week, max(SHOP_WEEK) AS last_week
FROM silver
"""

HISTOGRAMS: Final = {
    "spend": "money spent",
    "product_lines": "product lines",
    "unit_price": "spend per item",
    "hour": "hour of the purchase",
}
"""Columns of which a histogram is drawn, and what they are called."""

WHOLE_NUMBERS: Final = frozenset({"hour", "product_lines"})
"""A bin for each value, up to the 99th percentile where there are more than MOST_VALUES."""

MOST_VALUES: Final = 40

BOXES: Final = (
    "spend",
    "line_count",
    "unit_price",
    "price_index_type_mean",
    "product_um_mean",
    "affinity_um_mean",
)
"""Features of which boxplots by class are drawn."""


def explore(
    database: duckdb.DuckDBPyConnection, matrix: NDArray[np.float32], label: NDArray[np.int8]
) -> dict[str, Any]:
    """All figures about the data.

    Args:
        database: With the views of the lake.
        matrix: Features of the labelled training baskets, [baskets, features].
        label: Their classes' numbers.
    """
    database.execute(_BASKETS)
    numbers = [place for place, spec in enumerate(FEATURES) if spec.kind == "number"]
    return {
        "overview": _records(database, _OVERVIEW)[0],
        "missing": _missing(database),
        "parts": _records(
            database, "SELECT part, label, count(*) AS baskets FROM gold GROUP BY part, label ORDER BY part, label"
        ),
        "weeks": _weeks(database),
        "histograms": {name: _histogram(database, name) for name in HISTOGRAMS},
        "boxes": _boxes(matrix, label),
        "correlation": _correlation(matrix[:, numbers], [FEATURES[place].name for place in numbers]),
    }


def _records(database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found = database.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _missing(database: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Share of lines without a value, of the columns that have gaps."""
    gaps = ", ".join(f"1 - count({name}) / greatest(1, count(*)) AS {name}" for name in COLUMN_NAMES)
    (shares,) = _records(database, f"SELECT {gaps} FROM silver")  # noqa: S608  # names of our own schema
    return {name: float(share) for name, share in shares.items() if share > 0}


def _weeks(database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Baskets of each class in every week, XX last."""
    words = (*CLASSES, UNCLASSIFIED)
    rows = database.execute("SELECT SHOP_WEEK, label, count(*) FROM eda_basket GROUP BY ALL").fetchall()
    weeks = sorted({row[0] for row in rows})
    counts = {(week, word): count for week, word, count in rows}
    return {"week": weeks, "baskets": {word: [counts.get((week, word), 0) for week in weeks] for word in words}}


def _histogram(database: duckdb.DuckDBPyConnection, name: str) -> dict[str, Any]:
    """Share of each class's baskets in equal bins; the last bin holds all above the 99th percentile."""
    (bounds,) = database.execute(
        f"SELECT min({name}), quantile_cont({name}, 0.99), max({name}) FROM eda_basket"  # noqa: S608  # names above
    ).fetchall()
    if bounds[0] is None:
        return {"edges": [], "shares": {}}
    low, high, bins = _edges(name, *map(float, bounds))
    width = (high - low) / bins or 1.0
    rows = database.execute(
        f"SELECT label, CAST(greatest(0, least({bins - 1}, floor(({name} - {low}) / {width}))) AS INTEGER) AS bin, "  # noqa: S608  # names above
        f"count(*) FROM eda_basket WHERE {name} IS NOT NULL GROUP BY ALL"
    ).fetchall()
    counts = {word: np.zeros(bins) for word in CLASSES}
    for word, place, count in rows:
        if word in counts:
            counts[word][place] = count
    return {
        "edges": [float(low + width * place) for place in range(bins + 1)],
        "shares": {word: (found / max(1.0, found.sum())).tolist() for word, found in counts.items()},
    }


def _edges(name: str, least: float, most: float, greatest: float) -> tuple[float, float, int]:
    """First edge, last edge and number of bins.

    Args:
        name: Of the column.
        least: Its smallest value.
        most: Its 99th percentile.
        greatest: Its largest value.
    """
    if name not in WHOLE_NUMBERS:
        return least, most, BINS
    last = greatest if greatest - least < MOST_VALUES else most
    return least, int(last) + 1.0, int(last) + 1 - int(least)


def _boxes(matrix: NDArray[np.float32], label: NDArray[np.int8]) -> dict[str, dict[str, list[float]]]:
    """The quantiles WHISKERS of some features, by class."""
    places = {spec.name: place for place, spec in enumerate(FEATURES)}
    return {
        name: {
            word: np.quantile(matrix[label == number, places[name]].astype(np.float64), WHISKERS).tolist()
            for number, word in enumerate(CLASSES)
            if (label == number).any()
        }
        for name in BOXES
    }


def _correlation(matrix: NDArray[np.float32], names: list[str]) -> dict[str, Any]:
    """Spearman's, as most features are far from normal; 0 for a feature that never changes."""
    ranks = rankdata(matrix, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    ranks /= np.where(length > 0, length, 1.0)
    return {"names": names, "values": np.round(ranks.T @ ranks, 4).tolist()}
