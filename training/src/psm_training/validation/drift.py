"""How far this window has moved from the window that a model was trained on, feature by feature.

The index is `psm_contract.drift`'s, the very one that a predictor reports of live baskets, here of the newest weeks in
the lake and before anything is trained on them. Drift is no fault of the data: it is reported and fails nothing unless
a limit is asked for.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract import manifest as contract
from psm_contract.drift import LEAST_BASKETS, MOVED, Drift
from psm_contract.features import basket_features
from psm_contract.manifest import Manifest
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble
from psm_training.archive import unpack
from psm_training.errors import PipelineError
from psm_training.gold import UNLABELLED, Gold
from psm_training.load import load_gold
from psm_training.workspace import Workspace

WORTH_A_LOOK: Final = 0.1
"""By custom; between it and MOVED."""

PREDICTIONS: Final = "predictions"


@dataclass(frozen=True)
class Trained:
    """What a model archive says of its training window.

    Attributes:
        manifest: With the window's histograms.
        tables: That features are made with.
        members: Of the archive.
    """

    manifest: Manifest
    tables: Tables
    members: dict[str, bytes]

    @classmethod
    def from_archive(cls, raw: bytes) -> "Trained":
        """Reads model.tar.gz as `package` wrote it."""
        members = unpack(raw)
        return cls(Manifest.from_json(members[contract.MANIFEST]), Tables.from_npz(members[contract.TABLES]), members)

    def classes(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """Number of the class that the model predicts, [baskets]."""
        if contract.TREES in self.members:
            probabilities = TreeEnsemble.from_npz(self.members[contract.TREES]).probabilities(matrix)
        else:
            import onnxruntime  # noqa: PLC0415  # most models are trees

            session = onnxruntime.InferenceSession(self.members[contract.ONNX], providers=["CPUExecutionProvider"])
            probabilities = session.run([contract.ONNX_PROBABILITIES], {contract.ONNX_INPUT: matrix})[0]
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def drift(space: Workspace, archive: bytes, *, weeks: int) -> dict[str, Any]:
    """Compares the newest weeks in the lake with a model's training window.

    Args:
        space: With gold.
        archive: model.tar.gz.
        weeks: How many of the newest weeks.

    Returns:
        The report; index and verdict of every feature and of the predicted classes, farthest first, and the indices
        of each week.

    Raises:
        PipelineError: The window has too few classified baskets for a judgement.
    """
    window = _window(load_gold(space)[0], weeks)
    if len(window) < LEAST_BASKETS:
        raise PipelineError(
            f"the newest {weeks} weeks hold {len(window)} classified baskets, {LEAST_BASKETS} are needed; take more weeks"
        )
    return compare(Trained.from_archive(archive), window)


def compare(trained: Trained, window: Gold) -> dict[str, Any]:
    """The report on at least LEAST_BASKETS baskets; see `drift`."""
    matrix = basket_features(window.lines, trained.tables)
    labels = trained.classes(matrix)
    measure = Drift(trained.manifest.features, trained.manifest.reference)
    names = (*measure.names, PREDICTIONS)
    farthest = _farthest(measure, names, matrix, labels)
    weeks = [
        (week, _farthest(measure, names, matrix[window.week == week], labels[window.week == week]))
        for week in np.unique(window.week).tolist()
    ]
    return {
        "window": {"first_week": weeks[0][0], "last_week": weeks[-1][0], "baskets": len(window)},
        "training": trained.manifest.training.model_dump(),
        "limits": {"worth a look": WORTH_A_LOOK, "moved": MOVED},
        "largest": farthest[0]["index"],
        "verdict": farthest[0]["verdict"],
        "features": farthest,
        "weeks": [
            {"week": week, "baskets": int((window.week == week).sum()), "farthest": of_week[0] if of_week else None}
            for week, of_week in weeks
        ],
    }


def _farthest(
    measure: Drift, names: tuple[str, ...], matrix: NDArray[np.float32], labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Every feature and the predictions, farthest first; none of too few baskets."""
    index = measure.index(measure.count(matrix, labels))
    if index is None:
        return []
    found = [(round(value, 4), name) for value, name in zip(index.tolist(), names, strict=True)]
    return [
        {"name": name, "index": value, "verdict": verdict_of(value)}
        for value, name in sorted(found, key=lambda pair: -pair[0])
    ]


def verdict_of(index: float) -> str:
    """In the words that the custom has for it."""
    if index > MOVED:
        return "moved"
    return "worth a look" if index > WORTH_A_LOOK else "steady"


def _window(gold: Gold, weeks: int) -> Gold:
    """Classified baskets of the newest weeks: training saw no others."""
    first = np.unique(gold.week)[-weeks:][0]
    return gold.take((gold.label != UNLABELLED) & (gold.week >= first))
