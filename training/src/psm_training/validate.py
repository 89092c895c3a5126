"""Step 2: may this data train a model? Every check says what it saw; the verdict travels with the model package."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import duckdb

from psm_contract.metadata import VALIDATION_FAILED, VALIDATION_PASSED
from psm_contract.schema import CLASSES, COLUMN_NAMES, UNCLASSIFIED
from psm_training.errors import PipelineError
from psm_training.workspace import Workspace, need, write_json

MIN_LINES: Final = 10_000
MIN_BASKETS: Final = 2_000
MIN_HOUSEHOLDS: Final = 100
MIN_LABELLED_SHARE: Final = 0.5
MIN_CLASS_SHARE: Final = 0.1
MAX_DUPLICATE_SHARE: Final = 0.02

NEEDED: Final = ("SHOP_WEEK", "QUANTITY", "SPEND", "PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "BASKET_ID")
RANGES: Final = {
    "SHOP_WEEKDAY": (1, 7),
    "SHOP_HOUR": (0, 23),
    "QUANTITY": (1, 10_000),
    "SPEND": (0.001, 1_000_000),
    "SHOP_WEEK % 100": (1, 53),
}
WORDS: Final = {
    "BASKET_SIZE": ("S", "M", "L"),
    "BASKET_PRICE_SENSITIVITY": (*CLASSES, UNCLASSIFIED),
    "STORE_FORMAT": ("SS", "MS", "LS", "XLS"),
}
CONSTANT_IN_BASKET: Final = ("CUST_CODE", "SHOP_WEEK", "STORE_CODE", "BASKET_PRICE_SENSITIVITY", "BASKET_TYPE")


@dataclass(frozen=True)
class Check:
    """One check's outcome; the message says what was seen and what was expected."""

    name: str
    passed: bool
    message: str


Database = duckdb.DuckDBPyConnection


def validate(space: Workspace) -> str:
    """Writes validation.json.

    Returns:
        One line for the user.

    Raises:
        PipelineError: At least one check failed; the file is written before.
    """
    with duckdb.connect() as database:
        database.execute(
            "CREATE VIEW silver AS FROM read_parquet('" + str(need(space.silver, "ingest")).replace("'", "''") + "')"
        )
        checks = run_checks(database)
    failed = [check for check in checks if not check.passed]
    verdict = VALIDATION_FAILED if failed else VALIDATION_PASSED
    write_json(space.validation, {"verdict": verdict, "checks": [asdict(check) for check in checks]})
    if failed:
        raise PipelineError(
            "data validation failed: " + "; ".join(f"{check.name}: {check.message}" for check in failed)
        )
    return f"{len(checks)} checks passed"


def run_checks(database: Database) -> list[Check]:
    """Runs every check on view `silver`; a missing column ends it, as the others could not be asked."""
    columns = _columns(database)
    if not columns.passed:
        return [columns]
    return [columns, *(check(database) for check in CHECKS)]


def _columns(database: Database) -> Check:
    there = [row[0] for row in database.execute("DESCRIBE silver").fetchall()]
    missing = [name for name in COLUMN_NAMES if name not in there]
    return Check(
        "columns",
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"all {len(COLUMN_NAMES)} columns are there",
    )


def _one(database: Database, query: str) -> tuple[Any, ...]:
    row = database.execute(query).fetchone()
    return row if row is not None else ()


def _volume(database: Database) -> Check:
    lines, baskets, households = _one(
        database, "SELECT count(*), count(DISTINCT BASKET_ID), count(DISTINCT CUST_CODE) FROM silver"
    )
    return Check(
        "volume",
        lines >= MIN_LINES and baskets >= MIN_BASKETS and households >= MIN_HOUSEHOLDS,
        f"{lines} lines, {baskets} baskets, {households} households; "
        f"needed are {MIN_LINES}, {MIN_BASKETS}, {MIN_HOUSEHOLDS}",
    )


def _nulls(database: Database) -> Check:
    missing = ", ".join(f"count(*) - count({name})" for name in NEEDED)
    counts = _one(database, f"SELECT {missing} FROM silver")  # noqa: S608  # names above
    empty = [f"{name} {count}" for name, count in zip(NEEDED, counts, strict=True) if count]
    return Check(
        "nulls", not empty, f"lines without a value: {', '.join(empty)}" if empty else "no needed value is null"
    )


def _ranges(database: Database) -> Check:
    outside = [f"count(*) FILTER ({name} NOT BETWEEN {low} AND {high})" for name, (low, high) in RANGES.items()]
    counts = _one(database, f"SELECT {', '.join(outside)} FROM silver")  # noqa: S608  # names and numbers above
    wrong = [
        f"{name} outside {low}-{high} on {count} lines"
        for (name, (low, high)), count in zip(RANGES.items(), counts, strict=True)
        if count
    ]
    return Check("ranges", not wrong, ", ".join(wrong) if wrong else "every number is in its range")


def _words(database: Database) -> Check:
    wrong = []
    for name, words in WORDS.items():
        query = f"SELECT DISTINCT {name} FROM silver WHERE NOT list_contains($words, {name}) ORDER BY 1 LIMIT 3"  # noqa: S608  # names above
        unknown = [row[0] for row in database.execute(query, {"words": list(words)}).fetchall()]
        if unknown:
            wrong.append(f"{name} has {unknown}, known are {list(words)}")
    return Check("words", not wrong, "; ".join(wrong) if wrong else "every word is known")


def _baskets(database: Database) -> Check:
    split = ", ".join(f"count(*) FILTER ({name} > 1)" for name in CONSTANT_IN_BASKET)
    distinct = ", ".join(f"count(DISTINCT {name}) AS {name}" for name in CONSTANT_IN_BASKET)
    counts = _one(database, f"SELECT {split} FROM (SELECT {distinct} FROM silver GROUP BY BASKET_ID)")  # noqa: S608  # names above
    wrong = [f"{name} in {count}" for name, count in zip(CONSTANT_IN_BASKET, counts, strict=True) if count]
    return Check(
        "baskets",
        not wrong,
        f"baskets whose lines disagree: {', '.join(wrong)}" if wrong else "the lines of every basket agree",
    )


def _hierarchy(database: Database) -> Check:
    (moved,) = _one(
        database,
        "SELECT count(*) FROM (SELECT 1 FROM silver GROUP BY PROD_CODE HAVING count(DISTINCT PROD_CODE_10) > 1)",
    )
    return Check("hierarchy", moved == 0, f"{moved} products are in more than one PROD_CODE_10")


def _duplicates(database: Database) -> Check:
    (share,) = _one(
        database,
        "SELECT 1 - count(*) / sum(copies) FROM (SELECT count(*) AS copies FROM silver "
        "GROUP BY BASKET_ID, PROD_CODE, QUANTITY, SPEND)",
    )
    return Check(
        "duplicates",
        share <= MAX_DUPLICATE_SHARE,
        f"{share:.2%} of lines are copies; allowed {MAX_DUPLICATE_SHARE:.0%}",
    )


def _weeks(database: Database) -> Check:
    weeks, first, last = _one(database, "SELECT count(DISTINCT SHOP_WEEK), min(SHOP_WEEK), max(SHOP_WEEK) FROM silver")
    years = last // 100 - first // 100
    expected = last % 100 - first % 100 + 1 + 52 * years
    return Check(
        "weeks", weeks >= expected - years, f"{weeks} weeks between {first} and {last}; a full calendar has {expected}"
    )


def _labels(database: Database) -> Check:
    (share,) = _one(
        database,
        "SELECT count(DISTINCT BASKET_ID) FILTER (BASKET_PRICE_SENSITIVITY IN ('LA', 'MM', 'UM')) "
        "/ count(DISTINCT BASKET_ID) FROM silver",
    )
    return Check(
        "label coverage",
        share >= MIN_LABELLED_SHARE,
        f"{share:.1%} of baskets are labelled; needed {MIN_LABELLED_SHARE:.0%}",
    )


def _balance(database: Database) -> Check:
    rows = database.execute(
        "SELECT BASKET_PRICE_SENSITIVITY, count(DISTINCT BASKET_ID) FROM silver "
        "WHERE BASKET_PRICE_SENSITIVITY IN ('LA', 'MM', 'UM') GROUP BY 1"
    ).fetchall()
    counts = dict(rows)
    total = max(1, sum(counts.values()))
    shares = {name: counts.get(name, 0) / total for name in CLASSES}
    return Check(
        "class balance",
        min(shares.values()) >= MIN_CLASS_SHARE,
        ", ".join(f"{name} {share:.1%}" for name, share in shares.items()) + f"; each needs {MIN_CLASS_SHARE:.0%}",
    )


CHECKS: Final[tuple[Callable[[Database], Check], ...]] = (
    _volume, _nulls, _ranges, _words, _baskets, _hierarchy, _duplicates, _weeks, _labels, _balance,
)  # fmt: skip
