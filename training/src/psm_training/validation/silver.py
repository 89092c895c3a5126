"""What is expected of silver: the 22 columns, week by week and as a whole."""

from collections.abc import Iterator
from typing import Final

from great_expectations.expectations.expectation import Expectation

from psm_contract.schema import CLASSES, COLUMN_NAMES, COLUMNS, UNCLASSIFIED
from psm_training.validation.suite import WEEK, Table, among, none_of, types_query, with_columns, within, words_query

MIN_LINES: Final = 10_000
MIN_BASKETS: Final = 2_000
MIN_HOUSEHOLDS: Final = 100
MAX_DUPLICATE_SHARE: Final = 0.02

OF_MEDIAN: Final = (0.25, 4.0)
"""Lines of a week, as multiples of the median week's: outside, a delivery is missing or came twice. The first and the
last week of a panel are often incomplete and are not asked."""

NEEDED: Final = ("SHOP_WEEK", "QUANTITY", "SPEND", "PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "BASKET_ID")
RANGES: Final = {
    "SHOP_WEEK % 100": (1, 53),
    "SHOP_WEEKDAY": (1, 7),
    "SHOP_HOUR": (0, 23),
    "QUANTITY": (1, 10_000),
    "SPEND": (0.001, 1_000_000),
}
WORDS: Final = {
    "BASKET_SIZE": ("S", "M", "L"),
    "BASKET_PRICE_SENSITIVITY": (*CLASSES, UNCLASSIFIED),
    "STORE_FORMAT": ("SS", "MS", "LS", "XLS"),
}
CONSTANT_IN_BASKET: Final = ("CUST_CODE", "SHOP_WEEK", "STORE_CODE", "BASKET_PRICE_SENSITIVITY", "BASKET_TYPE")

TYPES: Final = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    "number": ("DOUBLE", "FLOAT"),
    "text": ("VARCHAR",),
}

# A week after 52 may be 1 or 53: only weeks that every calendar has count as missing.
_GAPS: Final = f"""
SELECT CAST(100 * year + week AS BIGINT) AS missing
FROM (SELECT min({WEEK}) AS first, max({WEEK}) AS last FROM silver) AS ends,
     LATERAL (SELECT unnest(range(first // 100, last // 100 + 1)) AS year),
     (SELECT unnest(range(1, 53)) AS week)
WHERE 100 * year + week BETWEEN first AND last
  AND 100 * year + week NOT IN (SELECT {WEEK} FROM silver)
  AND 100 * year + week NOT IN (SELECT {WEEK} FROM known_missing)
ORDER BY missing
"""  # noqa: S608  # names and numbers of our own

_WEEKS: Final = f"""
WITH week AS (
    SELECT {WEEK}, count(*) AS lines,
           {", ".join(f'count(*) - count({name}) AS "{name} is null"' for name in NEEDED)},
           {
    ", ".join(
        f'count(*) FILTER ({name} NOT BETWEEN {low} AND {high}) AS "{name} outside"'
        for name, (low, high) in RANGES.items()
    )
}
    FROM silver GROUP BY {WEEK}
), copied AS (
    SELECT {WEEK}, 1 - count(*) / sum(copies) AS copied FROM (
        SELECT {WEEK}, count(*) AS copies FROM silver GROUP BY {WEEK}, BASKET_ID, PROD_CODE, QUANTITY, SPEND
    ) GROUP BY {WEEK}
), beside AS (
    SELECT *, lag({WEEK}) OVER (ORDER BY {WEEK}) AS previous, lead({WEEK}) OVER (ORDER BY {WEEK}) AS next,
           lines / median(lines) OVER () AS ratio
    FROM week
)
SELECT beside.* EXCLUDE (previous, next, ratio), coalesce(copied, 0) AS copied,
       CASE WHEN previous IS NULL OR next IS NULL THEN 1 ELSE ratio END AS "lines to median"
FROM beside LEFT JOIN copied USING ({WEEK}) ORDER BY {WEEK}
"""  # noqa: S608  # names and numbers of our own

_WHOLE: Final = f"""
SELECT * FROM (SELECT count(*) AS lines, count(DISTINCT BASKET_ID) AS baskets, count(DISTINCT CUST_CODE) AS households
               FROM silver)
CROSS JOIN (SELECT count(*) AS "products that move" FROM (
    SELECT 1 FROM silver GROUP BY PROD_CODE HAVING min(PROD_CODE_10) <> max(PROD_CODE_10)
))
CROSS JOIN (SELECT {", ".join(f'count(*) FILTER ({name}) AS "{name} disagrees"' for name in CONSTANT_IN_BASKET)} FROM (
    SELECT {", ".join(f"min({name}) <> max({name}) AS {name}" for name in CONSTANT_IN_BASKET)}
    FROM silver GROUP BY BASKET_ID
))
"""  # noqa: S608  # names and numbers of our own


def _schema() -> Iterator[Expectation]:
    yield with_columns("columns", f"all {len(COLUMN_NAMES)} columns are there", COLUMN_NAMES)
    for column in COLUMNS:
        yield among("types", f"{column.name} is of type {column.kind}", column.name, TYPES[column.kind])


def _weeks() -> Iterator[Expectation]:
    low, high = OF_MEDIAN
    yield within(
        "weeks", f"a week has {low:g} to {high:g} times the lines of the median week", "lines to median", low, high
    )
    for name in NEEDED:
        yield none_of("nulls", f"no line is without {name}", f"{name} is null")
    for name, (low, high) in RANGES.items():
        yield none_of("ranges", f"no line has {name} outside {low}-{high}", f"{name} outside")
    share = MAX_DUPLICATE_SHARE
    yield within("duplicates", f"at most {share:.0%} of a week's lines are copies of others", "copied", None, share)


def _gaps() -> Iterator[Expectation]:
    says = "no week is missing between the first and the last, but for those that `ingest --missing-week` names"
    yield none_of("gaps", says, "missing")


def _words() -> Iterator[Expectation]:
    for name, words in WORDS.items():
        yield among("words", f"{name} is one of {', '.join(words)}", name, words)


def _whole() -> Iterator[Expectation]:
    for name, least in (("lines", MIN_LINES), ("baskets", MIN_BASKETS), ("households", MIN_HOUSEHOLDS)):
        yield within("volume", f"there are at least {least} {name}", name, least, None)
    yield none_of("hierarchy", "no product is in more than one PROD_CODE_10", "products that move")
    for name in CONSTANT_IN_BASKET:
        yield none_of("baskets", f"the lines of no basket disagree about {name}", f"{name} disagrees")


TABLES: Final = (
    Table("silver schema", types_query("silver"), tuple(_schema()), is_schema=True),
    Table("silver weeks", _WEEKS, tuple(_weeks()), row=WEEK),
    Table("silver gaps", _GAPS, tuple(_gaps())),
    Table("silver words", words_query("silver", WORDS), tuple(_words())),
    Table("silver whole", _WHOLE, tuple(_whole())),
)
