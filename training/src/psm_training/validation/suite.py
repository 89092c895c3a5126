"""The words in which suites are written: a small table, what DuckDB asks for it, and what Great Expectations expects of it.

DuckDB reads the rows and Great Expectations judges small tables of what it saw, one row per week where a week can be at
fault: every judgement names its weeks, and millions of lines never become a data frame. Importing this module imports
Great Expectations, which takes seconds; `step` does so only when it validates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

CHECK: Final = "check"
"""Key of an expectation's meta that holds the name under which verdicts are kept."""

WEEK: Final = "SHOP_WEEK"


@dataclass(frozen=True)
class Table:
    """A small table and its suite.

    Attributes:
        name: Of the suite, and of its pages in the data docs.
        query: SQL over the lake's views.
        suite: What is expected.
        row: Column that names a row, for messages; None where there is one row only.
        is_schema: Whether the tables after it cannot be asked for where this one fails.
    """

    name: str
    query: str
    suite: tuple[Expectation, ...]
    row: str | None = None
    is_schema: bool = False


def within(check: str, says: str, column: str, low: float | None, high: float | None) -> Expectation:
    """Every row's number lies between two limits, which are allowed themselves.

    Args:
        check: Name in the verdict.
        says: The expectation as a sentence, for people.
        column: Of the table.
        low: None: no limit.
        high: None: no limit.
    """
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=low, max_value=high, description=says, meta={CHECK: check}
    )


def none_of(check: str, says: str, column: str) -> Expectation:
    """A count of faults is 0 in every row."""
    return within(check, says, column, None, 0)


def among(check: str, says: str, column: str, words: Sequence[str]) -> Expectation:
    """Every value is one of the words."""
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(words), description=says, meta={CHECK: check})


def with_columns(check: str, says: str, names: Sequence[str]) -> Expectation:
    """The table has these columns; others may be there."""
    return gxe.ExpectTableColumnsToMatchSet(
        column_set=list(names), exact_match=False, description=says, meta={CHECK: check}
    )


def words_query(view: str, words: Mapping[str, Sequence[str]]) -> str:
    """SQL: the distinct words of each column side by side, null where a column has fewer."""
    lists = ", ".join(f"list_sort(list(DISTINCT {name}))[:100] AS {name}" for name in words)
    return f"SELECT {', '.join(f'unnest({name}) AS {name}' for name in words)} FROM (SELECT {lists} FROM {view})"  # noqa: S608  # names of our own schema


def types_query(view: str) -> str:
    """SQL: one row with the type of every column, under the column's name."""
    return f"PIVOT (SELECT column_name, column_type FROM (DESCRIBE {view})) ON column_name USING first(column_type)"  # noqa: S608  # a view of ours
