"""A custom runtime of MLServer around our kernel: one tensor in, one tensor out."""

from kernel import load
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class KernelModel(MLModel):
    """The runtime."""

    async def load(self) -> bool:
        """Called once."""
        self._probabilities = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Called for each request."""
        probabilities = self._probabilities(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", probabilities)]
        )
