"""The 22 columns and what a client may send of them."""

from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from psm_contract.schema import ALIASES, COLUMN_NAMES, COLUMNS, REQUIRED_COLUMNS, Line

LINE = TypeAdapter(Line)
SMALLEST: dict[str, Any] = {"QUANTITY": 1, "SPEND": 2.5, "PROD_CODE": "PRD0000001"}


def test_the_schema_has_the_vendors_22_columns() -> None:
    """Names and number as in the Source Files; Line has exactly these keys, and two that the vendor also calls so."""
    assert len(COLUMN_NAMES) == len(set(COLUMN_NAMES)) == 22
    assert tuple(get_type_hints(Line)) == (*COLUMN_NAMES, *ALIASES)


def test_required_columns_are_those_that_line_requires() -> None:
    """The table of columns and the type say the same."""
    assert set(REQUIRED_COLUMNS) == Line.__required_keys__ == set(SMALLEST)


def test_the_label_is_the_baskets() -> None:
    """No line has a price sensitivity of its own."""
    (label,) = (column for column in COLUMNS if column.name == "BASKET_PRICE_SENSITIVITY")
    assert label.scope == "basket"


def test_a_line_needs_three_columns_only() -> None:
    """Everything else has a default or a fallback."""
    assert LINE.validate_python(SMALLEST) == SMALLEST


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"QUANTITY": 0}, "QUANTITY"),
        ({"SPEND": 0.0}, "SPEND"),
        ({"SPEND": float("nan")}, "SPEND"),
        ({"SHOP_HOUR": 24}, "SHOP_HOUR"),
        ({"SHOP_WEEKDAY": 0}, "SHOP_WEEKDAY"),
        ({"PROD_CODE": ""}, "PROD_CODE"),
        ({"BASKET_PRICE_SENSITIVITY": "HIGH"}, "BASKET_PRICE_SENSITIVITY"),
        ({"PRICE": 1}, "PRICE"),
    ],
    ids=[
        "no items", "nothing paid", "not a number", "hour 24", "weekday 0", "empty code", "unknown label", "unknown column",
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_column(change: dict[str, Any], where: str) -> None:
    """The error's location is the column."""
    with pytest.raises(ValidationError) as caught:
        LINE.validate_python(SMALLEST | change)
    assert caught.value.errors()[0]["loc"] == (where,)
