"""Reads gold into memory: codes become shared strings, lines become numpy columns."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.features import CONTEXT_COLUMNS, Lines
from psm_contract.schema import CLASSES
from psm_contract.tables import LEVELS
from psm_training.errors import PipelineError
from psm_training.gold import UNLABELLED, Gold
from psm_training.lake.schema import LINE_COLUMNS
from psm_training.lake.views import has_gold, open_lake
from psm_training.workspace import Workspace

_COLUMNS: Final = ", ".join(("BASKET_ID", "SHOP_WEEK", "label", "part", *CONTEXT_COLUMNS, *LINE_COLUMNS))
_BASKETS: Final = (
    f"SELECT {_COLUMNS}, dense_rank() OVER (ORDER BY household) AS household_number FROM gold ORDER BY BASKET_ID"  # noqa: S608  # our own names
)


def load_gold(space: Workspace) -> tuple[Gold, NDArray[np.object_]]:
    """Reads all baskets.

    Args:
        space: Where `ingest` and `split` wrote.

    Returns:
        All baskets in the order of BASKET_ID, and the part (train, valid, test, unused) of each.

    Raises:
        PipelineError: A step before has not run.
    """
    with open_lake(space) as database:
        if not has_gold(database):
            raise PipelineError(f"{space.root} has no gold; run `psm-train split` first")
        rows = database.sql(_BASKETS).to_arrow_table()
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    return _gold(columns), _objects(columns["part"])


def _gold(columns: dict[str, Any]) -> Gold:
    lengths = columns["SPEND"].value_lengths().to_numpy().astype(np.int64)
    product, kind, category, department = (_objects(columns[level].flatten()) for level in LEVELS)
    numbers = {name: place for place, name in enumerate(CLASSES)}
    return Gold(
        lines=Lines(
            starts=np.cumsum(lengths) - lengths,
            quantity=columns["QUANTITY"].flatten().to_numpy().astype(np.float64),
            spend=columns["SPEND"].flatten().to_numpy().astype(np.float64),
            codes=(product, kind, category, department),
            context={name: _objects(columns[name]) for name in CONTEXT_COLUMNS},
        ),
        label=np.array([numbers.get(label, UNLABELLED) for label in _objects(columns["label"])], dtype=np.int8),
        household=columns["household_number"].to_numpy().astype(np.int64),
        week=columns["SHOP_WEEK"].to_numpy().astype(np.int32),
        basket=columns["BASKET_ID"].to_numpy().astype(np.int64),
    )


def _objects(column: Any) -> NDArray[np.object_]:
    """A pyarrow column as Python objects, each value once in memory; None where the database has null."""
    encoded = column.dictionary_encode()
    values = np.empty(len(encoded.dictionary) + 1, dtype=object)  # the last one stays None
    values[:-1] = encoded.dictionary.to_pylist()
    return np.asarray(values[encoded.indices.fill_null(len(values) - 1).to_numpy()], dtype=object)
