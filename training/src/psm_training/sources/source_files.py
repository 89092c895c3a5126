"""dunnhumby's Source Files as the user has them: CSV files with the 22 columns and the vendor's own label.

The files may not be redistributed; point --data at the folder that holds transactions_*.csv.
"""

from pathlib import Path
from typing import Final

import duckdb

from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_training.errors import PipelineError

NAME: Final = "source-files"
PATTERN: Final = "transactions*.csv"
SQL_TYPES: Final = {"integer": "BIGINT", "number": "DOUBLE", "text": "VARCHAR"}


def load_silver(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Creates table `silver` from the folder's CSV files.

    Raises:
        PipelineError: No file, or a file without the 22 columns.
    """
    if not any(folder.glob(PATTERN)):
        raise PipelineError(f"{folder} holds no {PATTERN}; point --data at the unpacked Source Files")
    columns = ", ".join(COLUMN_NAMES)
    types = {column.name: SQL_TYPES[column.kind] for column in COLUMNS}
    try:
        database.execute(
            f"CREATE TABLE silver AS SELECT {columns} FROM read_csv($files, header = true, types = $types)",  # noqa: S608  # names of our own schema
            {"files": str(folder / PATTERN), "types": types},
        )
    except (duckdb.BinderException, duckdb.InvalidInputException, duckdb.ConversionException) as err:
        raise PipelineError(f"{folder / PATTERN} does not have the 22 columns of the schema: {err}") from err
