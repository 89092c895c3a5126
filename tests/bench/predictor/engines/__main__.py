"""One engine in a process of its own: `python -m bench.predictor.engines NAME DIRECTORY` prints its figures as JSON.

An engine is a module of this package with `load(directory)`, which returns a function from a float32 matrix
[n, features] to probabilities [n, classes]; it may need another environment than the repository's own, so that nothing
here imports more than numpy. With `--load` it only loads, which may compile what is measured later.
"""

import importlib
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Predict = Callable[[Matrix], NDArray[Any]]

_PASS_S: Final = 0.3
_PASSES: Final = 5
_FIRST_CALLS: Final = 20
_DISTINCT: Final = 5000
_PARITY_CHUNK: Final = 1000


def main(name: str, directory: Path, *, loads_only: bool) -> None:
    """Measure and print."""
    predict: Predict = importlib.import_module(f"bench.predictor.engines.{name}").load(directory)
    if loads_only:
        return
    matrix: Matrix = np.load(directory / "matrix.npy")
    expected = np.load(directory / "expected.npy")
    figures = {
        "us_per_row": {str(rows): round(us_per_call(predict, matrix, rows) / rows, 3) for rows in (1, 100)},
        **parity(predict, matrix, expected),
    }
    print(json.dumps(figures))  # noqa: T201  # the result, read by the bench


def us_per_call(predict: Predict, matrix: Matrix, rows: int) -> float:
    """CPU microseconds of a call with so many rows, which differ from call to call; the median of a few passes."""
    starts = range(0, min(len(matrix), _DISTINCT * rows), rows)
    calls = itertools.cycle([np.ascontiguousarray(matrix[first : first + rows]) for first in starts])
    count = math.ceil(_PASS_S / cpu_s_per_call(predict, calls, _FIRST_CALLS))
    return 1e6 * median(cpu_s_per_call(predict, calls, count) for _ in range(_PASSES))


def cpu_s_per_call(predict: Predict, calls: Iterator[Matrix], count: int) -> float:
    """CPU seconds of a call, over so many."""
    started = time.process_time()
    for matrix in itertools.islice(calls, count):
        predict(matrix)
    return (time.process_time() - started) / count


def parity(predict: Predict, matrix: Matrix, expected: NDArray[np.float64]) -> dict[str, Any]:
    """How far it is from scikit-learn: the largest difference, and labels that differ although the margin is clear."""
    chunks = range(0, len(matrix), _PARITY_CHUNK)
    answered = np.concatenate([predict(matrix[first : first + _PARITY_CHUNK]) for first in chunks])
    difference = float(np.abs(answered - expected).max())
    best = np.sort(expected, axis=1)
    is_clear = best[:, -1] - best[:, -2] > 1e-5  # the tolerance of a probability
    differ = answered.argmax(axis=1) != expected.argmax(axis=1)
    return {"rows": len(matrix), "max_abs_diff": difference, "labels_differ": int((differ & is_clear).sum())}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), loads_only="--load" in sys.argv)
