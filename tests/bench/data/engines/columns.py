"""What every contestant's silver and gold have."""

from typing import Final

from psm_contract.features import CONTEXT_COLUMNS
from psm_contract.schema import COLUMNS

LISTS: Final = ("PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "PROD_CODE_30", "QUANTITY", "SPEND")
"""Of the lines of a basket, in gold."""

FIRSTS: Final = ("SHOP_WEEK", "CUST_CODE", "BASKET_PRICE_SENSITIVITY", *CONTEXT_COLUMNS)
"""The same on all lines of a basket."""

TEXTS: Final = tuple(column.name for column in COLUMNS if column.kind == "text")
INTEGERS: Final = tuple(column.name for column in COLUMNS if column.kind == "integer")
PARTITIONS: Final = ("SHOP_WEEK", "STORE_REGION")
