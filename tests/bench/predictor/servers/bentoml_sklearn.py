"""A BentoML service around the pipeline."""

import bentoml
import joblib
import numpy as np
import pandas as pd


@bentoml.service(workers=1)
class Baskets:
    """The service."""

    def __init__(self) -> None:
        self._model = joblib.load("pipeline.joblib")

    @bentoml.api
    def predict(self, baskets: pd.DataFrame) -> np.ndarray:
        """Called for each request."""
        return np.asarray(self._model.predict_proba(baskets))
