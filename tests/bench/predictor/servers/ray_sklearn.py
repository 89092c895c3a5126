"""Ray Serve around the pipeline."""

import sys
from typing import Any

import joblib
import pandas as pd
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1)
class Baskets:
    """The deployment."""

    def __init__(self, path: str) -> None:
        self._model = joblib.load(path)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Called for each request."""
        frame = pd.DataFrame((await request.json())["instances"])
        return {"probabilities": self._model.predict_proba(frame).tolist()}


if __name__ == "__main__":
    port, path = sys.argv[1:]
    ray.init(num_cpus=2, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(Baskets.bind(path), blocking=True)  # type: ignore[attr-defined]  # the decorator's
