"""The engine for every other kind of model: model.onnx, answered by onnxruntime, which costs 60 MB of memory."""

from typing import Final

import onnxruntime

from psm_contract.manifest import ONNX, ONNX_INPUT, ONNX_PROBABILITIES
from psm_predictor.model import Matrix

_CPU: Final = ["CPUExecutionProvider"]
_QUIET: Final = 3  # onnxruntime's severity "error"; it raises what we need to know


class OnnxEngine:
    """Answers with onnxruntime; any number of threads may call it."""

    name: Final = "onnx"

    def __init__(self, raw: bytes, *, columns: int, classes: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a worker is one core; rows are microseconds
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # the trees need no scratch memory worth keeping
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(raw, options, providers=_CPU)
        except Exception as err:  # onnxruntime raises a dozen types without a common base
            raise ValueError(f"{ONNX} does not load: {err}; train the model again") from err
        inputs = {node.name: (node.type, node.shape[-1]) for node in self._session.get_inputs()}
        expected = {ONNX_INPUT: ("tensor(float)", columns)}
        if inputs != expected:
            raise ValueError(f"{ONNX} takes {inputs}, the manifest implies {expected}; train the model again")
        outputs = {node.name: node.shape[-1:] for node in self._session.get_outputs()}
        if outputs.get(ONNX_PROBABILITIES) != [classes]:
            raise ValueError(
                f"{ONNX} has outputs {outputs}, expected {ONNX_PROBABILITIES} of {classes} classes; train the model again"
            )

    def __call__(self, features: Matrix) -> Matrix:
        """Probabilities, [rows, classes]."""
        answer: Matrix = self._session.run([ONNX_PROBABILITIES], {ONNX_INPUT: features})[0]
        return answer
