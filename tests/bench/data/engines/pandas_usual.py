"""pandas as usually written: read all files, drop, group, write."""

from pathlib import Path

import pandas as pd
from bench.data.engines.columns import FIRSTS, LISTS, PARTITIONS


def gold(source: Path, out: Path) -> None:
    """See the package."""
    lines = pd.concat([pd.read_csv(path) for path in sorted(source.glob("*.csv"))], ignore_index=True)
    lines = lines[(lines["QUANTITY"] > 0) & (lines["SPEND"] > 0)].drop_duplicates()
    lines.to_parquet(out / "silver", partition_cols=list(PARTITIONS), compression="snappy", index=False)
    how = dict.fromkeys(FIRSTS, "first") | dict.fromkeys(LISTS, list)
    baskets = lines.groupby("BASKET_ID").agg(how).reset_index()
    baskets.to_parquet(out / "gold", partition_cols=list(PARTITIONS), compression="snappy", index=False)
