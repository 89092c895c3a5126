"""Every engine answers as scikit-learn does; the kernel does so on any ensemble, shape of input and number of threads."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, c_char_p
from typing import Any

import joblib
import numpy as np
import pytest
from estimators import COLUMNS, KINDS, Data, fitted, training_data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tree_ensembles import ensembles, random_ensemble, rows_on_thresholds

from psm_contract.trees import TreeEnsemble
from psm_predictor.engines.joblib import JoblibEngine
from psm_predictor.engines.onnx import OnnxEngine
from psm_predictor.engines.trees import KERNEL, TreesEngine
from psm_predictor.model import Engine
from psm_training.flatten import flatten
from psm_training.onnx_form import onnx_form

ROWS = 100_000
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def data() -> Data:
    """What the models learned from."""
    return training_data(classes=3)


@pytest.fixture(scope="module")
def matrix() -> NDArray[np.float32]:
    """Rows that no model has seen."""
    return training_data(classes=3, seed=1, rows=ROWS).matrix


def trees_engine(estimator: Any) -> Engine:
    ensemble = flatten(estimator)
    assert ensemble is not None
    return TreesEngine(TreeEnsemble.from_npz(ensemble.to_npz()))


def onnx_engine(estimator: Any) -> Engine:
    return OnnxEngine(onnx_form(estimator, flatten(estimator)), columns=COLUMNS, classes=3)


def joblib_engine(estimator: Any) -> Engine:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return JoblibEngine(buffer.getvalue(), columns=COLUMNS, classes=3)


def assert_parity(engine: Engine, estimator: Any, matrix: NDArray[np.float32]) -> None:
    """The issue's rule: 1e-5 at most, and the same label wherever the margin is wider than that."""
    expected = estimator.predict_proba(matrix)
    answered = engine(matrix)

    assert answered.dtype == np.float32
    assert np.abs(answered - expected).max() <= TOLERANCE
    first, second = np.sort(expected, axis=1)[:, [-1, -2]].T
    clear = first - second > TOLERANCE
    assert clear.mean() > 0.9
    assert np.array_equal(answered[clear].argmax(axis=1), expected[clear].argmax(axis=1))


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        *(
            pytest.param(kind, make, id=f"{kind} by {name}")
            for name, make in (("trees", trees_engine), ("onnx", onnx_engine))
            for kind in KINDS
        ),
        pytest.param("RandomForest", joblib_engine, id="RandomForest by joblib"),
    ],
)
def test_an_engine_answers_as_the_estimator_does(
    kind: str, make: Callable[[Any], Engine], data: Data, matrix: NDArray[np.float32]
) -> None:
    """On 100,000 rows."""
    estimator = fitted(kind, data)
    assert_parity(make(estimator), estimator, matrix)


def test_a_linear_model_is_answered_by_onnx(data: Data, matrix: NDArray[np.float32]) -> None:
    """Whatever is no ensemble of trees takes this way."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(data.matrix, data.label)
    assert flatten(estimator) is None
    assert_parity(onnx_engine(estimator), estimator, matrix)


@pytest.mark.parametrize("kind", ["RandomForest", "HistGradientBoosting", "XGBoost"])
def test_a_row_on_a_threshold_goes_where_the_estimator_sends_it(kind: str, data: Data) -> None:
    """float32 thresholds, rounded down, decide as the float64 ones: on them, one float32 below, one above."""
    estimator = fitted(kind, data)
    ensemble = flatten(estimator)
    assert ensemble is not None
    matrix = rows_on_thresholds(ensemble, 10_000)

    np.testing.assert_allclose(TreesEngine(ensemble)(matrix), estimator.predict_proba(matrix), atol=1e-6)


@given(ensembles(), st.sampled_from([0, 1, 2, 7, 8, 9, 63, 64, 65, 200]), st.integers(0, 2**32 - 1))
def test_the_kernel_answers_as_its_documentation_says(ensemble: TreeEnsemble, rows: int, seed: int) -> None:
    """Any ensemble, any number of rows, compared with numpy; one row alone gives the very same bits."""
    matrix = rows_on_thresholds(ensemble, rows, seed)
    engine = TreesEngine(ensemble)

    answered = engine(matrix)

    np.testing.assert_allclose(answered, ensemble.probabilities(matrix), rtol=1e-6, atol=1e-6)
    assert all(np.array_equal(engine(matrix[row : row + 1]), answered[row : row + 1]) for row in range(min(rows, 10)))


def test_a_reused_row_is_read_again() -> None:
    """A decoder writes every request into the same buffer; answers do not share memory."""
    ensemble = random_ensemble(2)
    engine = TreesEngine(ensemble)
    rows = rows_on_thresholds(ensemble, 50)
    buffer = np.empty((1, ensemble.columns), dtype=np.float32)
    answers = []
    for row in rows:
        buffer[0] = row
        answers.append(engine(buffer))

    assert np.array_equal(np.concatenate(answers), engine(rows))


def test_any_layout_of_the_input_is_read_rightly() -> None:
    """By columns, every second row, float64: copied, not misread."""
    ensemble = random_ensemble(3)
    engine = TreesEngine(ensemble)
    rows = rows_on_thresholds(ensemble, 20)
    expected = engine(rows)

    assert np.array_equal(engine(np.asfortranarray(rows)), expected)
    assert np.array_equal(engine(rows[::2]), expected[::2])
    assert np.array_equal(engine(rows.astype(np.float64)), expected)


@pytest.mark.parametrize("shape", [(4,), (1, 3), (2, 5), (1, 1, 4)])
def test_an_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    """The kernel would read beyond its end."""
    with pytest.raises(ValueError, match=r"the model takes \[rows, 4\]"):
        TreesEngine(random_ensemble(1, columns=4))(np.zeros(shape, dtype=np.float32))


def test_a_remembered_row_that_is_reshaped_is_looked_at_again() -> None:
    """The same object may become another matrix."""
    engine = TreesEngine(random_ensemble(1, columns=4))
    row = np.zeros((1, 4), dtype=np.float32)
    engine(row)
    row.resize((4, 1), refcheck=False)

    with pytest.raises(ValueError, match="the model takes"):
        engine(row)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rows", [1, 100])
def test_what_is_no_number_does_no_harm(value: float, rows: int) -> None:
    """Decoders let none through; if one came, the answer would still be some leaf of every tree."""
    ensemble = random_ensemble(4, trees=30, inner=50)
    answered = TreesEngine(ensemble)(np.full((rows, ensemble.columns), value, dtype=np.float32))
    assert np.isfinite(answered).all()
    assert np.abs(answered).max() <= np.abs(ensemble.value).max() * 30 + np.abs(ensemble.base).max()


def test_threads_do_not_disturb_one_another() -> None:
    """Eight of them, single rows and batches."""
    ensemble = random_ensemble(5, trees=50, inner=100, columns=44)
    engine = TreesEngine(ensemble)
    rows = rows_on_thresholds(ensemble, 400)
    expected = engine(rows)

    def ask(number: int) -> bool:
        buffer = np.empty((1, 44), dtype=np.float32)
        good = True
        for row in range(number, 400, 8):
            buffer[0] = rows[row]
            good &= np.array_equal(engine(buffer)[0], expected[row])
            good &= np.array_equal(engine(rows[row:]), expected[row:])
        return good

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(8)))


def test_the_compiled_kernel_is_that_of_the_source() -> None:
    """`uv sync` compiles it when trees.c changes; a kernel that is left behind would read another layout of memory."""
    compiled_from = c_char_p.in_dll(CDLL(str(KERNEL)), "psm_trees_source").value
    source = hashlib.sha256(KERNEL.with_name("trees.c").read_bytes()).hexdigest()
    assert compiled_from == source.encode(), "run `uv sync --reinstall-package psm-predictor`"


@pytest.mark.parametrize(
    ("columns", "classes", "message"),
    [(3, 3, "takes .* the manifest implies"), (COLUMNS, 4, "expected probabilities of 4 classes")],
)
def test_an_onnx_that_is_not_the_manifests_is_refused(data: Data, columns: int, classes: int, message: str) -> None:
    """Before it answers anything."""
    estimator = fitted("DecisionTree", data)
    raw = onnx_form(estimator, flatten(estimator))
    with pytest.raises(ValueError, match=message):
        OnnxEngine(raw, columns=columns, classes=classes)


def test_a_joblib_that_is_not_the_manifests_is_refused(data: Data) -> None:
    """Before it answers anything; whatever loading it raised is told."""
    buffer = io.BytesIO()
    joblib.dump(fitted("DecisionTree", data), buffer)

    with pytest.raises(ValueError, match=r"has \(44, 3\) features and classes, the manifest has \(44, 2\)"):
        JoblibEngine(buffer.getvalue(), columns=COLUMNS, classes=2)
    with pytest.raises(ValueError, match=r"model\.joblib does not load"):
        JoblibEngine(b"not a pickle", columns=COLUMNS, classes=3)
