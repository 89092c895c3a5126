"""LitServe around the pipeline."""

import sys
from typing import Any

import joblib
import litserve
import pandas as pd
from fastapi import Request


class Baskets(litserve.LitAPI):
    """The API."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # theirs
        """Called once."""
        self._model = joblib.load("pipeline.joblib")

    def decode_request(self, request: Request) -> Any:  # what it is given is the document; the type asks for JSON
        """Called for each request."""
        return pd.DataFrame(request["instances"])

    def predict(self, x: Any) -> Any:
        """Called with what was decoded."""
        return self._model.predict_proba(x)

    def encode_response(self, output: Any) -> Any:
        """Called with what was predicted."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Baskets(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
