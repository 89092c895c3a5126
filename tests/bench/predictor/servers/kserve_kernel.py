"""A custom model of KServe around our kernel: one tensor in, one tensor out, and no log lines."""

import sys
from typing import Any

from kernel import load
from kserve import InferRequest, Model, ModelServer
from kserve.utils.utils import get_predict_response


class KernelModel(Model):
    """The model."""

    def load(self) -> bool:
        """Called once."""
        self._probabilities = load()
        self.ready = True
        return self.ready

    async def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002  # theirs
        """Called for each request."""
        return get_predict_response(payload, self._probabilities(payload.inputs[0].as_numpy()), self.name)


if __name__ == "__main__":
    model = KernelModel("psm")
    model.load()
    ModelServer(
        http_port=int(sys.argv[1]),
        grpc_port=int(sys.argv[2]),
        workers=1,
        enable_grpc=False,
        enable_latency_logging=False,
        access_log_format=None,
    ).start([model])
