"""Raw -> silver -> gold as Ibis expressions: what the lake computes, whatever engine runs it.

DuckDB runs them here; `sql` writes the same for Athena and Spark. Nothing here touches data.
"""

from functools import cache, partial
from typing import Any, Final

import ibis
from ibis.config import Config

from psm_contract.features import CONTEXT_COLUMNS
from psm_contract.schema import CLASSES, COLUMN_NAMES, COLUMNS, RANGES, UNCLASSIFIED, WEEKS_OF_A_YEAR
from psm_training.lake.schema import GOLD_COLUMNS, LINE_COLUMNS, LONGEST_REGION, NEEDED, PARTITION
from psm_training.split import TEST, TRAIN, TRAIN_PERCENT, UNUSED, VALID, VALID_PERCENT
from psm_training.windows import Windows

TYPES: Final = {"integer": "int64", "number": "float64", "text": "string"}
MONTHS: Final = 12
FEBRUARY: Final = 2
SHORT_MONTHS: Final = (4, 6, 9, 11)
HASH_DIGITS: Final = 8
"""Hexadecimal digits of a household's sha256 that decide its side."""

DIALECTS: Final = {"duckdb": "duckdb", "pyspark": "pyspark", "trino": "trino", "athena": "trino"}
"""Engines, and whose SQL they read: Athena's is Trino's, and Ibis knows more of that than it does of Athena."""

Expression = Any
"""Ibis infers types at run time; its own annotations do not tell a table's columns apart."""


def raw() -> Expression:
    """Lines as a file has them: the 22 columns, read as their types, and the place of the line."""
    return ibis.table({**_types(), "rowid": "int64"}, name="raw")


def silver() -> Expression:
    """Lines that can be used: the 22 columns."""
    return ibis.table(_types(), name="silver")


def _types() -> dict[str, str]:
    return {column.name: TYPES[column.kind] for column in COLUMNS}


def problem(lines: Expression) -> Expression:
    """Why a line cannot be used; null for one that can. The first reason is told."""
    cases = [(lines[name].isnull(), f"{name} is empty") for name in NEEDED]
    cases.append((lines.SPEND.isnan() | lines.SPEND.isinf(), "SPEND is not a number"))
    for name, (low, high) in RANGES.items():
        cases.append(((lines[name] < low) | (lines[name] > high), f"{name} is outside {low}-{high}"))
    week = lines.SHOP_WEEK % 100
    cases.append(((week < 1) | (week > WEEKS_OF_A_YEAR), "SHOP_WEEK is no week of a year, yyyyww"))
    cases.append((~_is_date(lines.SHOP_DATE), "SHOP_DATE is no date, yyyymmdd"))
    year = lines.SHOP_WEEK // 100
    outside = ((year - 1) * 10_000 + 1225 > lines.SHOP_DATE) | ((year + 1) * 10_000 + 1231 < lines.SHOP_DATE)
    cases.append((outside, "SHOP_DATE is not in its SHOP_WEEK"))
    labels = (*CLASSES, UNCLASSIFIED)
    cases.append(
        (~lines.BASKET_PRICE_SENSITIVITY.isin(labels), f"BASKET_PRICE_SENSITIVITY is none of {', '.join(labels)}")
    )
    cases.append(
        ((lines.STORE_REGION.length() > LONGEST_REGION) | ~_is_code(lines.STORE_REGION), "STORE_REGION is no code")
    )
    return ibis.cases(*cases)


def _is_date(date: Expression) -> Expression:
    """Say what `psm_contract.schema.is_date` says, in words that every engine has."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = ibis.cases((month == FEBRUARY, 28 + is_leap.cast("int64")), (month.isin(SHORT_MONTHS), 30), else_=31)
    return (month >= 1) & (month <= MONTHS) & (day >= 1) & (day <= days)


def _is_code(text: Expression) -> Expression:
    """A region becomes a folder's name: letters, digits, - and _."""
    return text.re_search("^[A-Za-z0-9_-]+$")


def bad_lines(lines: Expression) -> Expression:
    """Place and reason of every line that cannot be used."""
    return lines.select("rowid", reason=problem(lines)).filter(ibis._.reason.notnull())


def usable(lines: Expression, *, distinct: bool) -> Expression:
    """Raw -> silver.

    Args:
        lines: Table `raw`.
        distinct: Leave copies of a line out; costs a third of the time, so it is asked for where there are some.
    """
    kept = lines.filter(problem(lines).isnull()).select(*COLUMN_NAMES)
    return kept.distinct() if distinct else kept


def baskets(lines: Expression, windows: Windows, engine: str = "duckdb") -> Expression:
    """Silver -> gold: one row per basket with its part of the split, context and lines.

    `psm_training.lake.gold` groups sorted lines without an engine; a test holds that it gives the same.
    """
    found = lines.group_by(*PARTITION, "BASKET_ID").aggregate(
        card=lines.CUST_CODE.max(),
        label=lines.BASKET_PRICE_SENSITIVITY.max(),
        **{name: lines[name].max() for name in CONTEXT_COLUMNS if name not in PARTITION},
        lines=_sortable(lines).collect(),
    )
    in_order = found.lines.sort()
    columns = {name: in_order.map(partial(_field, name=name)) for name in LINE_COLUMNS}
    return placed(found.mutate(**columns), windows, engine).select(*GOLD_COLUMNS)


GROUPED: Final = {"SHOP_WEEK": "int64", "BASKET_ID": "int64", "card": "string"}


def grouped() -> Expression:
    """What of a basket decides its household and its part."""
    return ibis.table(GROUPED, name="grouped")


def placed(found: Expression, windows: Windows, engine: str = "duckdb") -> Expression:
    """Baskets with their household and part.

    A basket without a card gets a household of its own, so that two strangers are never taken for one.
    """
    household = ibis.coalesce(found.card, ibis.literal("basket ") + found.BASKET_ID.cast("string"))
    return found.mutate(household=household, part=part(household, found.SHOP_WEEK, windows, engine))


def _sortable(lines: Expression) -> Expression:
    """A line as one value without nulls, which Trino's rows must not hold to be sorted; sorts by its fields in turn.

    Sorting one list is five times faster in DuckDB than collecting six in order, and Spark cannot collect in order.
    """
    optional = [name for name in LINE_COLUMNS if name not in NEEDED]
    return ibis.struct({name: lines[name].fill_null("") if name in optional else lines[name] for name in LINE_COLUMNS})


def _field(line: Expression, name: str) -> Expression:
    return line[name] if name in NEEDED else line[name].nullif("")


def part(household: Expression, week: Expression, windows: Windows, engine: str = "duckdb") -> Expression:
    """Which part a basket belongs to; a household's side depends on its code alone and never changes."""
    percentile = _percentile(_sha256("household " + household, engine), engine)
    validates = (percentile >= TRAIN_PERCENT) & (percentile < TRAIN_PERCENT + VALID_PERCENT)
    return ibis.cases(
        ((percentile < TRAIN_PERCENT) & (week <= windows.train_until), TRAIN),
        (validates & week.between(windows.valid_from, windows.valid_until), VALID),
        (
            (percentile >= TRAIN_PERCENT + VALID_PERCENT) & week.between(windows.test_from, windows.test_until),
            TEST,
        ),
        else_=UNUSED,
    )


def part_sql(household: str, week: str, windows: Windows) -> str:
    """`part` of two SQL expressions, as one in DuckDB's words."""
    cases, names = _part_case(windows)
    for name, given in zip(names, (household, week), strict=True):
        cases = cases.replace(name, f"({given})")
    return f"({cases})"


@cache
def _part_case(windows: Windows) -> tuple[str, tuple[str, str]]:
    """The CASE, and what its two columns are called there."""
    table = ibis.table({"household": "string", "week": "int64"}, name="placed")
    text = sql(table.select(part=part(table.household, table.week, windows)))
    return text.removeprefix("SELECT").rpartition(' AS "part"')[0], ('"t0"."household"', '"t0"."week"')


def _percentile(digest: Expression, engine: str) -> Expression:
    """First digits of a sha256 as a number, modulo 100."""
    if DIALECTS[engine] == "duckdb":  # the others do not cast hexadecimal text
        return ("0x" + digest.substr(0, HASH_DIGITS)).cast("int64") % 100
    weights = [pow(16, HASH_DIGITS - 1 - place, 100) for place in range(HASH_DIGITS)]
    digits = [ibis.literal("0123456789abcdef").find(digest.substr(place, 1)) for place in range(HASH_DIGITS)]
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 100


def _sha256(text: Expression, engine: str) -> Expression:
    """Hexadecimal, of the UTF-8 bytes."""
    if DIALECTS[engine] == "trino":  # Ibis has no digest for it
        return _to_hex(_sha256_of_bytes(_to_utf8(text))).lower()
    return text.hexdigest("sha256")


@ibis.udf.scalar.builtin(name="to_utf8")  # type: ignore[untyped-decorator]  # Ibis is untyped
def _to_utf8(text: str) -> bytes:  # the engine's own function
    raise NotImplementedError(text)


@ibis.udf.scalar.builtin(name="sha256")  # type: ignore[untyped-decorator]  # as above
def _sha256_of_bytes(raw: bytes) -> bytes:  # likewise
    raise NotImplementedError(raw)


@ibis.udf.scalar.builtin(name="to_hex")  # type: ignore[untyped-decorator]  # as above
def _to_hex(raw: bytes) -> str:  # likewise
    raise NotImplementedError(raw)


class _SparkOptions(Config):  # type: ignore[misc]  # Ibis is untyped
    """What Ibis' Spark adapter sets when Spark is installed; writing SQL for it needs no Spark."""

    treat_nan_as_null: bool = False


def sql(expression: Expression, engine: str = "duckdb") -> str:
    """The expression as a statement of an engine: duckdb, athena, trino or pyspark."""
    if engine == "pyspark" and ibis.options.pyspark is None:
        ibis.options.pyspark = _SparkOptions()
    return str(ibis.to_sql(expression, dialect=DIALECTS[engine]))
