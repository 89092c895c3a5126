"""The forest as C, compiled on this machine by tl2cgen and gcc."""

import hashlib
from pathlib import Path
from typing import Any

import tl2cgen
from bench.predictor.engines.treelite_gtil import model_of


def load(directory: Path) -> Any:
    """The engine; compiles a forest once, for some minutes, and keeps the library under the digest of the forest."""
    digest = hashlib.sha256((directory / "model.joblib").read_bytes()).hexdigest()[:16]
    library = directory.parent / f"tl2cgen-{digest}.so"
    if not library.exists():
        # a file for each tree: gcc takes much longer for several in one
        tl2cgen.export_lib(model_of(directory), toolchain="gcc", libpath=library, params={"parallel_comp": 100})
    predictor = tl2cgen.Predictor(library, nthread=1)
    return lambda matrix: predictor.predict(tl2cgen.DMatrix(matrix)).reshape(len(matrix), -1)
