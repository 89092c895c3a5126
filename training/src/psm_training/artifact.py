"""Writes model.tar.gz: the model as flat trees, ONNX and joblib, its tables, its manifest with digests and golden rows.

The archive is proven before it is written: the flat trees and ONNX answer like the estimator on all held-out baskets,
the golden rows among them, or nothing is written.
"""

import hashlib
import importlib.metadata
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from psm_contract import manifest as contract
from psm_contract.features import basket_features, feature_schema
from psm_contract.manifest import Feature, GoldenBasket, GoldenRow, Manifest, Training
from psm_contract.schema import CLASSES
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble
from psm_training import inference_code
from psm_training.archive import pack
from psm_training.flatten import flatten
from psm_training.gold import Gold
from psm_training.onnx_form import onnx_form
from psm_training.reference import reference

GOLDEN_ROWS: Final = 12
GOLDEN_BASKETS: Final = 4
GOLDEN_BASKET_LINES: Final = 12
"""Longest basket taken as golden: the manifest is read at every start."""

LIBRARIES: Final = ("numpy", "onnxruntime", "scikit-learn", "skl2onnx")


class ParityError(RuntimeError):
    """What would be served does not answer like the estimator; the archive must not exist."""


@dataclass(frozen=True)
class Fitted:
    """A model and what it was fitted on.

    Attributes:
        estimator: The model: a classifier that `flatten` knows, or skl2onnx.
        tables: Learned tables its features came from.
        window: [baskets, features], its input; drift is measured against it.
        dumped: The model's bytes as `train` wrote them, if it did; dumped again in another process they may differ,
            since a pickle tells which equal strings were one object.
    """

    estimator: Any
    tables: Tables
    window: NDArray[np.float32]
    dumped: bytes | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from.

    Attributes:
        training: Data and window.
        metrics: Metrics on the test baskets by bare name.
        git_sha: Commit of the code.
        created_at: RFC 3339 time that belongs to the commit, not to the run, so that a second run gives equal bytes.
    """

    training: Training
    metrics: dict[str, float]
    git_sha: str
    created_at: str


def write_artifact(path: Path, fitted: Fitted, held_out: Gold, provenance: Provenance) -> str:
    """Writes the archive.

    Args:
        path: File to write; its folder exists.
        fitted: The model, with what its features came from.
        held_out: Baskets the model was not trained on; golden rows and the parity proof are taken from them.
        provenance: For the manifest.

    Returns:
        The archive's sha256, 64 hex digits.

    Raises:
        ParityError: What would be served and the estimator differ by more than GOLDEN_TOLERANCE.
    """
    raw = pack(artifact_members(fitted, held_out, provenance))
    path.write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def artifact_members(fitted: Fitted, held_out: Gold, provenance: Provenance) -> dict[str, bytes]:
    """The archive's members by relative path; see `write_artifact`."""
    estimator, tables = fitted.estimator, fitted.tables
    matrix = basket_features(held_out.lines, tables)
    trees = flatten(estimator)
    onnx = onnx_form(estimator, trees)
    probabilities = prove_parity(estimator, onnx, trees, matrix)
    members = {
        contract.ONNX: onnx,
        **({} if trees is None else {contract.TREES: trees.to_npz()}),
        contract.JOBLIB: joblib_bytes(estimator) if fitted.dumped is None else fitted.dumped,
        contract.TABLES: tables.to_npz(),
        contract.CODE: Path(inference_code.__file__).read_bytes(),
    }
    features = feature_schema(tables)
    manifest = Manifest(
        protocol=contract.PROTOCOL,
        features=features,
        classes=CLASSES,
        files={name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        libraries={name: importlib.metadata.version(name) for name in (*LIBRARIES, *_own_libraries(estimator))},
        training=provenance.training,
        reference=reference(features, fitted.window, probabilities),
        metrics=provenance.metrics,
        golden=_golden_rows(features, matrix, probabilities),
        golden_baskets=_golden_baskets(held_out, probabilities),
        git_sha=provenance.git_sha,
        created_at=provenance.created_at,
    )
    return {contract.MANIFEST: manifest.to_json(), **members}


def _own_libraries(estimator: Any) -> tuple[str, ...]:
    """What the estimator needs beyond LIBRARIES."""
    return ("xgboost-cpu",) if type(estimator).__module__.startswith("xgboost.") else ()


def prove_parity(
    estimator: Any, onnx: bytes, trees: TreeEnsemble | None, matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Answers every row in each way and returns the estimator's probabilities, from which none differs.

    Raises:
        ParityError: One differs by more than GOLDEN_TOLERANCE.
    """
    expected: NDArray[np.float32] = estimator.predict_proba(matrix).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    answers = {contract.ONNX: session.run([contract.ONNX_PROBABILITIES], {contract.ONNX_INPUT: matrix})[0]}
    if trees is not None:
        answers[contract.TREES] = trees.probabilities(matrix)
    for name, answered in answers.items():
        difference = np.abs(answered - expected).max(axis=1)
        worst = int(difference.argmax())
        if not difference[worst] <= contract.GOLDEN_TOLERANCE:
            raise ParityError(
                f"held-out basket {worst}: {name} answers {answered[worst].tolist()}, the estimator "
                f"{expected[worst].tolist()}; allowed difference {contract.GOLDEN_TOLERANCE}"
            )
    return expected


def joblib_bytes(estimator: Any) -> bytes:
    """A fitted estimator as joblib dumps it; one that was fitted alike gives the same bytes."""
    _clear_padding(estimator)
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def _clear_padding(estimator: Any) -> None:
    """Zeroes the unused bytes between the fields of a tree's nodes.

    scikit-learn leaves there whatever the memory held, so the pickles of two equal trees would differ.
    """
    match estimator:
        case RandomForestClassifier() | ExtraTreesClassifier():
            trees = estimator.estimators_
        case DecisionTreeClassifier():
            trees = [estimator]
        case _:
            return
    for grown in trees:
        state = grown.tree_.__getstate__()
        nodes = np.zeros(len(state["nodes"]), dtype=state["nodes"].dtype)  # zeros_like would not clear the padding
        for name in nodes.dtype.names:
            nodes[name] = state["nodes"][name]
        grown.tree_.__setstate__({**state, "nodes": nodes})


def _spread(probabilities: NDArray[np.float32], allowed: NDArray[np.bool_], count: int) -> list[int]:
    """Rows spread evenly over the model's answers, from the surest LA to the surest UM."""
    rows = np.flatnonzero(allowed)
    order = rows[np.argsort(probabilities[rows, -1] - probabilities[rows, 0], kind="stable")]
    return sorted({int(order[place]) for place in np.linspace(0, len(order) - 1, count).round().astype(int)})


def _golden_rows(
    features: tuple[Feature, ...], matrix: NDArray[np.float32], probabilities: NDArray[np.float32]
) -> tuple[GoldenRow, ...]:
    rows = _spread(probabilities, np.ones(len(matrix), dtype=bool), GOLDEN_ROWS)
    return tuple(
        GoldenRow(
            instance=tuple(
                feature.vocabulary[int(value)] if feature.kind == "category" else value
                for feature, value in zip(features, matrix[row].tolist(), strict=True)
            ),
            probabilities=tuple(probabilities[row].tolist()),
        )
        for row in rows
    )


def _golden_baskets(held_out: Gold, probabilities: NDArray[np.float32]) -> tuple[GoldenBasket, ...]:
    lengths = np.diff(held_out.lines.starts, append=len(held_out.lines.spend))
    rows = _spread(probabilities, lengths <= GOLDEN_BASKET_LINES, GOLDEN_BASKETS)
    return tuple(
        GoldenBasket(lines=held_out.records(row), probabilities=tuple(probabilities[row].tolist())) for row in rows
    )
