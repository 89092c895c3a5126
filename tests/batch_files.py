"""Files of synthetic baskets for `psm-predict batch`, and the same baskets as a client would send them."""

import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from artifacts import ArtifactFile

from psm_contract.features import basket_features
from psm_contract.manifest import TABLES
from psm_contract.tables import Tables
from psm_training.gold import Gold


def instances(artifact: ArtifactFile, gold: Gold) -> list[dict[str, Any]]:
    """The baskets as ready features."""
    with tarfile.open(artifact.path) as archive:
        file = archive.extractfile(TABLES)
        assert file is not None
        tables = Tables.from_npz(file.read())
    features = artifact.manifest.features
    return [
        {
            feature.name: feature.vocabulary[int(value)] if feature.kind == "category" else value
            for feature, value in zip(features, row, strict=True)
        }
        for row in basket_features(gold.lines, tables).tolist()
    ]


def till_lines(gold: Gold) -> list[dict[str, Any]]:
    """The lines of all baskets, sorted by BASKET_ID."""
    return [
        {**line, "BASKET_ID": int(gold.basket[number])} for number in range(len(gold)) for line in gold.records(number)
    ]


def write(path: Path, rows: Iterable[dict[str, Any]] | pa.Table, **options: Any) -> Path:
    """Writes the rows in the format that the suffix says."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
    else:
        pa_csv.write_csv(table, path)
    return path


def answers(path: Path) -> list[dict[str, Any]]:
    """The rows of an output."""
    table = pq.read_table(path) if path.suffix == ".parquet" else pa_csv.read_csv(path)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
