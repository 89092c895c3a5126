"""Polars by hand: lazy, streaming, written by partition."""

from pathlib import Path

import polars as pl
from bench.data.engines.columns import FIRSTS, INTEGERS, LISTS, PARTITIONS, TEXTS


def gold(source: Path, out: Path) -> None:
    """See the package."""
    types = {**dict.fromkeys(TEXTS, pl.String), **dict.fromkeys(INTEGERS, pl.Int64), "SPEND": pl.Float64}
    lines = (
        pl.scan_csv(source / "*.csv", schema_overrides=types)
        .filter((pl.col("QUANTITY") > 0) & (pl.col("SPEND") > 0))
        .unique()
        .collect(engine="streaming")
    )
    write(lines, out / "silver")
    write(lines.group_by("BASKET_ID").agg(pl.col(*FIRSTS).first(), pl.col(*LISTS)), out / "gold")


def write(frame: pl.DataFrame, folder: Path) -> None:
    """By partition."""
    for (week, region), part in frame.partition_by(PARTITIONS, as_dict=True, include_key=False).items():
        place = folder / f"SHOP_WEEK={week}" / f"STORE_REGION={region}"
        place.mkdir(parents=True)
        part.write_parquet(place / "0.parquet", compression="snappy")
