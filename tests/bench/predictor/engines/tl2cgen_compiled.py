"""The forest as C, compiled on this machine by tl2cgen and gcc."""

from pathlib import Path
from typing import Any

import tl2cgen
from bench.predictor.engines.treelite_gtil import model_of


def load(directory: Path) -> Any:
    """The engine; compiles once for each model, for a few minutes."""
    library = directory / "tl2cgen.so"
    if not library.exists():
        tl2cgen.export_lib(model_of(directory), toolchain="gcc", libpath=library, params={"parallel_comp": 32})
    predictor = tl2cgen.Predictor(library, nthread=1)
    return lambda matrix: predictor.predict(tl2cgen.DMatrix(matrix)).reshape(len(matrix), -1)
