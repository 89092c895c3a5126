"""The engines, each in a process of its own on the servers' core; what they are is in `engines`."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.predictor.contestants import KERNEL
from bench.predictor.served import Site
from bench.predictor.venvs import python_of

_TESTS: Final = Path(__file__).parents[2]
_LIMIT_S: Final = 900.0  # tl2cgen compiles for minutes, once for each model
_LOG_CHARACTERS: Final = 600


@dataclass(frozen=True)
class Engine:
    """A way to run the forest.

    Attributes:
        name: Its module in `engines`.
        title: In the page.
        venv: The requirements file of its environment; empty for this repository's own.
    """

    name: str
    title: str
    venv: str = ""


OUR_ENGINE: Final = "trees"
ENGINES: Final = (
    Engine(OUR_ENGINE, "ours: flat arrays, C kernel"),
    Engine("onnx_trees", "onnxruntime, trees only"),
    Engine("onnx_pipeline", "onnxruntime, whole pipeline"),
    Engine("tl2cgen_compiled", "tl2cgen, compiled by gcc on this machine", "treelite"),
    Engine("treelite_gtil", "Treelite GTIL", "treelite"),
    Engine("sklearn_forest", "scikit-learn, forest on a matrix"),
    Engine("sklearn_pipeline", "scikit-learn, pipeline on a DataFrame"),
)


def prepare_engine(engine: Engine, site: Site) -> None:
    """Its environment, and whatever it does once, on all cores.

    Raises:
        RuntimeError: It failed.
    """
    _run([], engine, site, "--load")


def measure_engine(engine: Engine, site: Site) -> dict[str, Any]:
    """Microseconds per row and differences from scikit-learn.

    Raises:
        RuntimeError: It failed.
    """
    figures: dict[str, Any] = json.loads(_run(["taskset", "-c", str(site.core)], engine, site).splitlines()[-1])
    return figures


def _run(before: list[str], engine: Engine, site: Site, *options: str) -> str:
    python = python_of(engine.venv)
    directory = str(site.subject.directory.absolute())
    try:
        done = subprocess.run(
            [*before, str(python), "-m", "bench.predictor.engines", engine.name, directory, *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            env={
                "PATH": os.pathsep.join((str(python.parent), os.defpath)),
                "PYTHONPATH": os.pathsep.join((str(_TESTS), KERNEL["PYTHONPATH"])),
                "PYTHONWARNINGS": "ignore",
            },
        )
    except subprocess.TimeoutExpired as err:
        raise RuntimeError(f"not done within {_LIMIT_S:.0f} s") from err
    if done.returncode:
        raise RuntimeError(f"it ended with {done.returncode}: {done.stderr.strip()[-_LOG_CHARACTERS:]}")
    return done.stdout


def combined(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Several measurements of one engine: medians of the times, the worst of the differences."""
    rows = samples[0]["us_per_row"]
    return {
        "us_per_row": {count: median(sample["us_per_row"][count] for sample in samples) for count in rows},
        **{name: max(sample[name] for sample in samples) for name in ("rows", "max_abs_diff", "labels_differ")},
    }
