"""The loaded model: a float32 matrix of features in, probabilities of the classes out. Knows nothing of HTTP."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import ONNX_INPUT, ONNX_PROBABILITIES, Manifest
from psm_contract.tables import Tables

Matrix = NDArray[np.float32]


class Session(Protocol):
    """What we use of onnxruntime.InferenceSession."""

    def run(self, output_names: list[str], input_feed: dict[str, Matrix]) -> list[Matrix]:
        """Named outputs for named inputs."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that passed its self-test; only `artifact.load` makes one.

    Attributes:
        manifest: What it is.
        tables: Learned tables that turn till lines into features.
        session: The inference session; safe to call from several threads.
    """

    manifest: Manifest
    tables: Tables
    session: Session

    def probabilities(self, features: Matrix) -> Matrix:
        """Probabilities in the order of the manifest's classes.

        Args:
            features: [n, features] in the manifest's order, categories as the number of their word.

        Returns:
            [n, classes]
        """
        return self.session.run([ONNX_PROBABILITIES], {ONNX_INPUT: features})[0]
