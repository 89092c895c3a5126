"""One engine in a process of its own: `python -m bench.data.engines NAME SOURCE OUT` prints its figures as JSON.

An engine is a module of this package with `gold(source, out)`: the CSV files of the folder `source` are read and typed,
lines without a positive quantity and price are left out and repeated lines once kept; `out/silver` gets the lines and
`out/gold` one row per basket with its lines as lists, both as Parquet with snappy by SHOP_WEEK and STORE_REGION.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

from bench.processes import memory_mib


def main(name: str, source: Path, out: Path) -> None:
    """Run and print; imports count, as they do every week."""
    started, cpu = time.perf_counter(), time.process_time()
    importlib.import_module(f"bench.data.engines.{name}").gold(source, out)
    figures = {
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_s": round(time.process_time() - cpu, 3),
        # not ru_maxrss, which knows the parent's memory too
        "peak_mib": round(memory_mib(os.getpid(), "VmHWM"), 1),
    }
    print(json.dumps(figures), flush=True)  # noqa: T201  # the result, read by the bench
    os._exit(0)  # all is written; threads of Arrow's reader sometimes abort a process that is being taken down


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
