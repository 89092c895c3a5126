"""The loaded model: a float32 matrix of features in, probabilities of the classes out. Knows nothing of HTTP."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from psm_contract.manifest import Manifest
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble

Matrix = NDArray[np.float32]


class Engine(Protocol):
    """What answers a matrix; see `engines`. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """As PSM_ENGINE calls it."""

    def __call__(self, features: Matrix, /) -> Matrix:
        """Probabilities, [rows, classes], of finite features, [rows, features]; a fresh array."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that passed its self-test; only `artifact.load` makes one.

    Attributes:
        manifest: What it is.
        tables: Learned tables that turn till lines into features.
        engine: What answers.
        trees: The model as flat arrays, where it is an ensemble of trees, whatever answers; for explanations.
    """

    manifest: Manifest
    tables: Tables
    engine: Engine
    trees: TreeEnsemble | None = None

    def probabilities(self, features: Matrix) -> Matrix:
        """Probabilities in the order of the manifest's classes.

        Args:
            features: [n, features] in the manifest's order, categories as the number of their word.

        Returns:
            [n, classes]
        """
        return self.engine(features)
