"""What is expected of gold: one row per basket, all of them, labelled, and split without a leak."""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

from great_expectations.expectations.expectation import Expectation

from psm_contract.schema import CLASSES
from psm_training.split import TEST, TRAIN, UNUSED, VALID
from psm_training.validation.suite import WEEK, Table, none_of, types_query, with_columns, within

MIN_LABELLED_SHARE: Final = 0.5
MIN_CLASS_SHARE: Final = 0.1
MIN_CLASS_SHARE_OF_A_WEEK: Final = 0.02
"""A class may be rare in a week, but one that is gone was lost on the way."""

MIN_BASKETS_OF_A_PART: Final = 100
"""Labelled; fewer leave an accuracy unknown by a tenth either way."""

COLUMNS: Final = ("BASKET_ID", "household", WEEK, "STORE_REGION", "label", "part", "PROD_CODE", "QUANTITY", "SPEND")
PARTS: Final = (TRAIN, VALID, TEST)

_LABELLED: Final = f"label IN {CLASSES}"
_SHARES: Final = ", ".join(
    f"count(*) FILTER (label = '{name}') / greatest(count(*) FILTER ({_LABELLED}), 1) AS {name}" for name in CLASSES
)


def _out_of_order(first: str, last: str) -> str:
    """SQL: how often an earlier part of the split reaches into a later one; names of the first and last point in time."""

    def reaches(earlier: str, later: str) -> str:
        ends, begins = f"max({last}) FILTER (part = '{earlier}')", f"min({first}) FILTER (part = '{later}')"
        return f"coalesce(CAST({ends} >= {begins} AS INTEGER), 0)"

    return " + ".join(reaches(*pair) for pair in combinations(PARTS, 2))


_WEEKS: Final = f"""
SELECT {WEEK}, count(*) AS baskets, {_SHARES},
       count(*) FILTER (len(PROD_CODE) = 0 OR len(PROD_CODE) <> len(SPEND) OR len(PROD_CODE) <> len(QUANTITY)) AS torn
FROM gold GROUP BY {WEEK} ORDER BY {WEEK}
"""  # noqa: S608  # names and numbers of our own

_WHOLE: Final = f"""
SELECT baskets_there - distinct_baskets AS "baskets twice", abs(distinct_baskets - baskets) AS "baskets lost",
       abs(lines_there - lines) AS "lines lost", * EXCLUDE (baskets_there, distinct_baskets, baskets, lines_there, lines)
FROM (
    SELECT count(*) AS baskets_there, count(DISTINCT BASKET_ID) AS distinct_baskets, sum(len(PROD_CODE)) AS lines_there,
           count(*) FILTER ({_LABELLED}) / count(*) AS labelled, {_SHARES},
           {", ".join(f"count(*) FILTER (part = '{part}' AND {_LABELLED}) AS {part}" for part in PARTS)},
           {_out_of_order(WEEK, WEEK)} AS "weeks out of order"
    FROM gold
) CROSS JOIN (SELECT count(*) AS lines, count(DISTINCT BASKET_ID) AS baskets FROM silver) CROSS JOIN (
    SELECT count(*) AS "households in two parts" FROM (
        SELECT 1 FROM gold WHERE part <> '{UNUSED}' GROUP BY household HAVING min(part) <> max(part)
    )
) CROSS JOIN (
    SELECT {_out_of_order("first", "last")} AS "dates out of order"
    FROM (SELECT {WEEK}, min(SHOP_DATE) AS first, max(SHOP_DATE) AS last FROM silver GROUP BY {WEEK})
    JOIN (SELECT DISTINCT {WEEK}, part FROM gold) USING ({WEEK})
)
"""  # noqa: S608  # names and numbers of our own


def _weeks() -> Iterator[Expectation]:
    yield none_of("lines", "every basket has lines, each with product, quantity and spend", "torn")
    share = MIN_CLASS_SHARE_OF_A_WEEK
    for name in CLASSES:
        yield within(
            "class balance", f"at least {share:.0%} of a week's labelled baskets are {name}", name, share, None
        )


def _whole() -> Iterator[Expectation]:
    for name, says in (
        ("baskets twice", "no basket is there twice"),
        ("baskets lost", "gold has the baskets of silver"),
        ("lines lost", "gold has the lines of silver"),
    ):
        yield none_of("rows", says, name)
    share = MIN_LABELLED_SHARE
    yield within("label coverage", f"at least {share:.0%} of baskets are labelled", "labelled", share, None)
    share = MIN_CLASS_SHARE
    for name in CLASSES:
        yield within("class balance", f"at least {share:.0%} of labelled baskets are {name}", name, share, None)
    least = MIN_BASKETS_OF_A_PART
    for part in PARTS:
        yield within("split", f"at least {least} labelled baskets are in {part}", part, least, None)
    yield none_of("leak", "no household is in two parts of the split", "households in two parts")
    for name in ("weeks out of order", "dates out of order"):
        yield none_of(
            "leak", f"training ends before validation begins, and that before the test: {name.split()[0]}", name
        )


def _schema() -> Iterator[Expectation]:
    yield with_columns("columns", f"columns {', '.join(COLUMNS)} are there", COLUMNS)


TABLES: Final = (
    Table("gold schema", types_query("gold"), tuple(_schema()), is_schema=True),
    Table("gold weeks", _WEEKS, tuple(_weeks()), row=WEEK),
    Table("gold whole", _WHOLE, tuple(_whole())),
)
