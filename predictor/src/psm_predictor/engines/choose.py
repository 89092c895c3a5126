"""Which engine answers: the one that PSM_ENGINE names, or the fastest that the archive has a part for."""

from typing import assert_never

from psm_contract.manifest import JOBLIB, TREES, Manifest
from psm_contract.trees import TreeEnsemble
from psm_predictor.artifact.verify import VerifiedArtifact
from psm_predictor.model import Engine
from psm_predictor.settings import EngineChoice


def read_trees(raw: bytes | None, manifest: Manifest) -> TreeEnsemble | None:
    """The ensemble of trees.npz, if the archive has one.

    Raises:
        ValueError: It does not load, or does not fit the manifest.
    """
    if raw is None:
        return None
    try:
        trees = TreeEnsemble.from_npz(raw)
    except ValueError as err:
        raise ValueError(f"{TREES} does not load: {err}; train the model again") from err
    expected = len(manifest.features), len(manifest.classes)
    if (trees.columns, trees.classes) != expected:
        raise ValueError(
            f"{TREES} has {trees.columns} features and {trees.classes} classes, the manifest has {expected[0]} and "
            f"{expected[1]}; train the model again"
        )
    return trees


def engine(choice: EngineChoice, verified: VerifiedArtifact, trees: TreeEnsemble | None) -> Engine:
    """The engine; imports what it needs, so that nobody pays for another one.

    Raises:
        ValueError: The archive has no such part, or it does not load.
    """
    columns, classes = len(verified.manifest.features), len(verified.manifest.classes)
    match choice:
        case "auto":
            return engine("onnx" if trees is None else "trees", verified, trees)
        case "trees":
            from psm_predictor.engines.trees import TreesEngine  # noqa: PLC0415

            if trees is None:
                raise ValueError(f"PSM_ENGINE is trees, but the archive has no {TREES}; set it to auto")
            return TreesEngine(trees)
        case "onnx":
            from psm_predictor.engines.onnx import OnnxEngine  # noqa: PLC0415

            return OnnxEngine(verified.onnx, columns=columns, classes=classes)
        case "joblib":
            from psm_predictor.engines.joblib import JoblibEngine  # noqa: PLC0415

            if verified.joblib is None:
                raise ValueError(f"PSM_ENGINE is joblib, but the archive has no {JOBLIB}; set it to auto")
            return JoblibEngine(verified.joblib, columns=columns, classes=classes)
    assert_never(choice)
