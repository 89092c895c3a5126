"""The lake: raw -> silver -> gold as partitioned Parquet, committed week by week."""
