"""onnxruntime over the forest alone: categories are encoded before."""

from pathlib import Path
from typing import Any

import onnxruntime


def session(raw: bytes) -> Any:
    """A session as the predictor makes it: one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])


def load(directory: Path) -> Any:
    """The engine."""
    run = session((directory / "model.onnx").read_bytes()).run
    return lambda matrix: run(["probabilities"], {"features": matrix})[0]
