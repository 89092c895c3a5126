"""The 22 columns of dunnhumby's Source Files: one row per product line of a basket.

Training reads files of this schema, the predictor accepts lines of it. The label column is the basket's, not
the line's. Imports no numpy, so that anyone may read it.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Required

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from psm_contract.cells import LONGEST

CLASSES: Final = ("LA", "MM", "UM")
"""Less affluent, mid market, up market: the price sensitivities a basket can have, in the model's order."""

UNCLASSIFIED: Final = "XX"
"""The vendor's mark of a basket that cannot be classified; never trained on, never predicted."""

TEXT_PATTERN: Final = r"^[ \t]*[^\x00-\x1f\x7f]*[ \t]*$"
"""No control characters, but for tabs around it, which are blanks."""

REGION_PATTERN: Final = r"^[ \t]*[A-Za-z0-9_-]*[ \t]*$"
"""A region becomes a folder's name in the lake."""

LABEL_PATTERN: Final = r"^[ \t]*(LA|MM|UM|XX|NaN|nan|NULL|null)?[ \t]*$"

Code = Annotated[str, Field(max_length=LONGEST, pattern=TEXT_PATTERN)]
"""A product, store or customer code, by the grammar of `psm_contract.cells`; longer is a mistake, not a code."""

RANGES: Final = {
    "SHOP_WEEK": (190001, 299953),
    "SHOP_DATE": (19000101, 29991231),
    "SHOP_WEEKDAY": (1, 7),
    "SHOP_HOUR": (0, 23),
    "QUANTITY": (1, 10_000),
    "SPEND": (0.001, 1_000_000),
    "BASKET_ID": (0, 10**18),
}
"""Least and greatest number of a column, both allowed."""

WEEKS_OF_A_YEAR: Final = 53
"""Some years have one more than 52."""

_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the schema.

    Attributes:
        name: As in the vendor's header.
        kind: Type of the values.
        scope: Whether the value belongs to the line or is the same on all lines of a basket.
        required: Whether a line sent for prediction must carry it.
        description: What it means.
    """

    name: str
    kind: Literal["integer", "number", "text"]
    scope: Literal["line", "basket"]
    required: bool
    description: str


COLUMNS: Final = (
    Column("SHOP_WEEK", "integer", "basket", False, "week of the purchase, yyyyww"),
    Column("SHOP_DATE", "integer", "basket", False, "day of the purchase, yyyymmdd"),
    Column("SHOP_WEEKDAY", "integer", "basket", False, "day of the week, 1 = Sunday ... 7 = Saturday"),
    Column("SHOP_HOUR", "integer", "basket", False, "hour of the purchase, 0-23"),
    Column("QUANTITY", "integer", "line", True, "items of this product in the basket"),
    Column("SPEND", "number", "line", True, "money paid for them"),
    Column("PROD_CODE", "text", "line", True, "product"),
    Column("PROD_CODE_10", "text", "line", False, "product type (CL...)"),
    Column("PROD_CODE_20", "text", "line", False, "product category (DEP...)"),
    Column("PROD_CODE_30", "text", "line", False, "department (G...)"),
    Column("PROD_CODE_40", "text", "line", False, "division (D...)"),
    Column("CUST_CODE", "text", "basket", False, "household, when a card was shown"),
    Column("seg_1", "text", "basket", False, "first customer segment"),
    Column("seg_2", "text", "basket", False, "second customer segment"),
    Column("BASKET_ID", "integer", "basket", False, "basket"),
    Column("BASKET_SIZE", "text", "basket", False, "S, M or L by number of items"),
    Column("BASKET_PRICE_SENSITIVITY", "text", "basket", False, "the label: LA, MM, UM; XX is unclassified"),
    Column("BASKET_TYPE", "text", "basket", False, "Small Shop, Top Up, Full Shop"),
    Column("BASKET_DOMINANT_MISSION", "text", "basket", False, "Fresh, Grocery, Mixed, Nonfood"),
    Column("STORE_CODE", "text", "basket", False, "store"),
    Column("STORE_FORMAT", "text", "basket", False, "SS, MS, LS, XLS: small to extra large store"),
    Column("STORE_REGION", "text", "basket", False, "region of the store"),
)
ALIASES: Final = {"CUST_PRICE_SENSITIVITY": "seg_1", "CUST_LIFESTAGE": "seg_2"}
"""The vendor's other header: the same files are published with these names too."""

COLUMN_NAMES: Final = tuple(column.name for column in COLUMNS)
REQUIRED_COLUMNS: Final = tuple(column.name for column in COLUMNS if column.required)


@with_config(ConfigDict(extra="forbid"))
class Line(TypedDict, total=False):
    """One till line as a client sends it. A basket is a list of lines; basket columns are read from its first line."""

    SHOP_WEEK: Annotated[int, Field(ge=190001, le=299953)] | None
    SHOP_DATE: Annotated[int, Field(ge=19000101, le=29991231)] | None
    SHOP_WEEKDAY: Annotated[int, Field(ge=1, le=7)] | None
    SHOP_HOUR: Annotated[int, Field(ge=0, le=23)] | None
    QUANTITY: Required[Annotated[int, Field(ge=1, le=10_000)]]
    SPEND: Required[Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)]]
    PROD_CODE: Required[Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=TEXT_PATTERN)]]
    PROD_CODE_10: Code | None
    PROD_CODE_20: Code | None
    PROD_CODE_30: Code | None
    PROD_CODE_40: Code | None
    CUST_CODE: Code | None
    seg_1: Code | None
    seg_2: Code | None
    BASKET_ID: Annotated[int, Field(ge=0, le=10**18)] | None
    BASKET_SIZE: Code | None
    BASKET_PRICE_SENSITIVITY: Annotated[str, Field(max_length=LONGEST, pattern=LABEL_PATTERN)] | None
    BASKET_TYPE: Code | None
    BASKET_DOMINANT_MISSION: Code | None
    STORE_CODE: Code | None
    STORE_FORMAT: Code | None
    STORE_REGION: Annotated[str, Field(max_length=LONGEST, pattern=REGION_PATTERN)] | None
    CUST_PRICE_SENSITIVITY: Code | None
    CUST_LIFESTAGE: Code | None


def calendar_fault(week: int | None, date: int | None) -> tuple[str, str] | None:
    """Return the column that is at fault and why; None where week and date can be.

    Whose weeks they are is not known: years begin in January or in March, weeks on any day. So a date may lie a year after
    its week's year, and a week before it. `psm-train ingest` also holds the dates of a week against one another.

    Args:
        week: SHOP_WEEK, within its range.
        date: SHOP_DATE, within its range.
    """
    if week is not None and not 1 <= week % 100 <= WEEKS_OF_A_YEAR:
        return "SHOP_WEEK", "is no week of a year, yyyyww"
    if date is None:
        return None
    if not is_date(date):
        return "SHOP_DATE", "is no date, yyyymmdd"
    if week is not None and not (week // 100 - 1) * 10_000 + 1225 <= date <= (week // 100 + 1) * 10_000 + 1231:
        return "SHOP_DATE", "is not in its SHOP_WEEK"
    return None


def is_date(date: int) -> bool:
    """Whether yyyymmdd is a day of the calendar."""
    year, month, day = date // 10_000, date // 100 % 100, date % 100
    leap = month == _FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= month <= len(_DAYS) and 1 <= day <= _DAYS[month - 1] + leap
