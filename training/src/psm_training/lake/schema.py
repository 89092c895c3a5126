"""What silver and gold look like, without any engine: types, the partition, what a line needs to be used."""

from typing import Final

from psm_contract.features import CONTEXT_COLUMNS
from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_contract.tables import LEVELS

PARTITION: Final = ("SHOP_WEEK", "STORE_REGION")
"""Columns that are folders' names instead of columns of the files."""

SQL_TYPES: Final = {"integer": "BIGINT", "number": "DOUBLE", "text": "VARCHAR"}

NEEDED: Final = (
    "SHOP_WEEK", "STORE_REGION", "QUANTITY", "SPEND", "PROD_CODE", "PROD_CODE_10", "PROD_CODE_20", "BASKET_ID",
)  # fmt: skip
"""Without one of them a line cannot be used."""

LONGEST_REGION: Final = 64

LINE_COLUMNS: Final = (*LEVELS, "QUANTITY", "SPEND")
"""What gold keeps of every line, as lists in the order of these columns: sums of features depend on the order."""

GOLD_ORDER: Final = (*PARTITION, "BASKET_ID")
LINE_ORDER: Final = (*GOLD_ORDER, *LINE_COLUMNS)
"""Of the lines: hardly any two agree in all of these."""

OTHER_COLUMNS: Final = tuple(name for name in COLUMN_NAMES if name not in LINE_ORDER)
"""Rows are sorted by LINE_ORDER and then by these: by all columns, so that equal content is equal bytes."""

SILVER_TYPES: Final = {column.name: SQL_TYPES[column.kind] for column in COLUMNS}

GOLD_COLUMNS: Final = (
    *PARTITION, "BASKET_ID", "household", "label", "part",
    *(name for name in CONTEXT_COLUMNS if name not in PARTITION), *LINE_COLUMNS,
)  # fmt: skip

_OF_LINES: Final = {name: f"{SILVER_TYPES[name]}[]" for name in LINE_COLUMNS}
GOLD_TYPES: Final = {name: {**SILVER_TYPES, **_OF_LINES}.get(name, "VARCHAR") for name in GOLD_COLUMNS}
