"""KServe's sklearn server: its Python package is not on PyPI, and this is what it does with PREDICT_PROBA=true."""

import sys
from typing import Any

import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response


class SklearnModel(Model):
    """The model."""

    def load(self) -> bool:
        """Called once."""
        self._model = joblib.load("pipeline.joblib")
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002  # theirs
        """Called for each request."""
        result = self._model.predict_proba(get_predict_input(payload))
        return get_predict_response(payload, result, self.name)


if __name__ == "__main__":
    model = SklearnModel("psm")
    model.load()
    ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2]), workers=1).start([model])
