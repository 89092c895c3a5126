"""scikit-learn itself, for comparison: loading model.joblib runs whatever the file says, so it is off by default.

Needs `psm-predictor[joblib]`, PSM_ENGINE=joblib and PSM_ALLOW_JOBLIB=1.
"""

import io
from typing import Final

import numpy as np

from psm_contract.manifest import JOBLIB
from psm_predictor.model import Matrix


class JoblibEngine:
    """Answers with the estimator that was trained."""

    name: Final = "joblib"

    def __init__(self, raw: bytes, *, columns: int, classes: int) -> None:
        try:
            import joblib  # noqa: PLC0415  # an extra, and never in the default image
        except ImportError as err:
            raise ValueError("PSM_ENGINE is joblib, which needs psm-predictor[joblib]; install it or set auto") from err
        try:
            self._estimator = joblib.load(io.BytesIO(raw))
        except Exception as err:  # it may do anything, and so raise anything
            raise ValueError(f"{JOBLIB} does not load: {err}; train the model again") from err
        shape = getattr(self._estimator, "n_features_in_", None), len(getattr(self._estimator, "classes_", ()))
        if shape != (columns, classes):
            raise ValueError(
                f"{JOBLIB} has {shape} features and classes, the manifest has {(columns, classes)}; train the model again"
            )

    def __call__(self, features: Matrix) -> Matrix:
        """Probabilities, [rows, classes]."""
        return np.asarray(self._estimator.predict_proba(features), dtype=np.float32)
