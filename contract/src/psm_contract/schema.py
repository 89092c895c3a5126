"""The 22 columns of dunnhumby's Source Files: one row per product line of a basket.

Training reads files of this schema, the predictor accepts lines of it. The label column is the basket's, not
the line's. Imports no numpy, so that anyone may read it.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Required

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

CLASSES: Final = ("LA", "MM", "UM")
"""Less affluent, mid market, up market: the price sensitivities a basket can have, in the model's order."""

UNCLASSIFIED: Final = "XX"
"""The vendor's mark of a basket that cannot be classified; never trained on, never predicted."""

Code = Annotated[str, Field(min_length=1, max_length=64)]
"""A product, store or customer code; longer is a mistake, not a code."""


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
    SPEND: Required[Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]]
    PROD_CODE: Required[Code]
    PROD_CODE_10: Code | None
    PROD_CODE_20: Code | None
    PROD_CODE_30: Code | None
    PROD_CODE_40: Code | None
    CUST_CODE: Code | None
    seg_1: Code | None
    seg_2: Code | None
    BASKET_ID: int | None
    BASKET_SIZE: Code | None
    BASKET_PRICE_SENSITIVITY: Literal["LA", "MM", "UM", "XX"] | None
    BASKET_TYPE: Code | None
    BASKET_DOMINANT_MISSION: Code | None
    STORE_CODE: Code | None
    STORE_FORMAT: Code | None
    STORE_REGION: Code | None
