"""model.tar.gz: proven before written, and the same bytes every time."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest
from artifacts import ArtifactFile, _members, make_artifact
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from psm_contract import manifest as contract
from psm_contract.features import Lines, basket_features, feature_schema
from psm_contract.manifest import Manifest, Training
from psm_contract.schema import CLASSES
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble
from psm_training import inference_code
from psm_training.archive import pack, unpack
from psm_training.artifact import Fitted, ParityError, Provenance, artifact_members, prove_parity
from psm_training.recipes import TableRecipe
from psm_training.synthetic import generate
from psm_training.tables import fit_tables


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    """A real archive."""
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def members(artifact: ArtifactFile) -> dict[str, bytes]:
    """Its members."""
    return unpack(artifact.path.read_bytes())


def _onnx(raw: bytes, matrix: Any) -> Any:
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    return session.run([contract.ONNX_PROBABILITIES], {contract.ONNX_INPUT: matrix})[0]


def test_the_archive_holds_the_members_of_the_contract(members: dict[str, bytes]) -> None:
    """No more and no fewer."""
    assert set(members) == set(contract.MEMBERS)


def test_every_member_has_its_digest(artifact: ArtifactFile, members: dict[str, bytes]) -> None:
    """All but the manifest, which the package's own sha256 covers."""
    digests = {name: hashlib.sha256(raw).hexdigest() for name, raw in members.items() if name != contract.MANIFEST}
    assert artifact.manifest.files == digests


def test_the_same_training_gives_the_same_bytes(tmp_path: Path, artifact: ArtifactFile) -> None:
    """Trained again from nothing, not copied; another seed is another model."""
    _members.cache_clear()
    assert make_artifact(tmp_path).sha256 == artifact.sha256
    assert make_artifact(tmp_path, seed=1).sha256 != artifact.sha256


def test_onnx_answers_the_golden_rows(artifact: ArtifactFile, members: dict[str, bytes]) -> None:
    """Words are encoded as their place in the vocabulary, as a server would."""
    rows = [
        [
            feature.vocabulary.index(str(value)) if feature.kind == "category" else float(value)
            for feature, value in zip(artifact.manifest.features, row.instance, strict=True)
        ]
        for row in artifact.manifest.golden
    ]
    answered = _onnx(members[contract.ONNX], np.array(rows, dtype=np.float32))
    expected = [row.probabilities for row in artifact.manifest.golden]
    np.testing.assert_allclose(answered, expected, atol=contract.GOLDEN_TOLERANCE)


def test_onnx_answers_the_golden_baskets(artifact: ArtifactFile, members: dict[str, bytes]) -> None:
    """From till lines, through the archive's own tables."""
    tables = Tables.from_npz(members[contract.TABLES])
    baskets = artifact.manifest.golden_baskets
    matrix = basket_features(Lines.from_baskets([basket.lines for basket in baskets]), tables)
    answered = _onnx(members[contract.ONNX], matrix)
    np.testing.assert_allclose(answered, [basket.probabilities for basket in baskets], atol=contract.GOLDEN_TOLERANCE)


def test_golden_rows_cover_all_classes(artifact: ArtifactFile) -> None:
    """A model that always answers the same class must not pass."""
    answers = {int(np.argmax(row.probabilities)) for row in artifact.manifest.golden}
    assert answers == {0, 1, 2}


def test_the_manifests_features_are_the_tables_features(artifact: ArtifactFile, members: dict[str, bytes]) -> None:
    """Two descriptions of one input agree."""
    assert feature_schema(Tables.from_npz(members[contract.TABLES])) == artifact.manifest.features


def test_what_answers_otherwise_is_not_written(members: dict[str, bytes], tmp_path: Path) -> None:
    """The proof fails when ONNX or the flat trees are not the estimator's."""
    other = unpack(make_artifact(tmp_path, seed=1).path.read_bytes())
    estimator = joblib.load(io.BytesIO(other[contract.JOBLIB]))
    matrix = np.random.default_rng(0).normal(size=(50, estimator.n_features_in_)).astype(np.float32)
    onnx, trees = other[contract.ONNX], TreeEnsemble.from_npz(other[contract.TREES])

    np.testing.assert_allclose(prove_parity(estimator, onnx, trees, matrix), estimator.predict_proba(matrix), atol=1e-7)
    with pytest.raises(ParityError, match=r"model\.onnx answers"):
        prove_parity(estimator, members[contract.ONNX], trees, matrix)
    with pytest.raises(ParityError, match=r"trees\.npz answers"):
        prove_parity(estimator, onnx, TreeEnsemble.from_npz(members[contract.TREES]), matrix)


def test_a_model_that_is_no_ensemble_of_trees_is_written_without_them() -> None:
    """Its archive has everything else, and ONNX serves it."""
    gold = generate(baskets=800, households=80).gold
    gold = gold.take(gold.label >= 0)
    tables = fit_tables(gold, TableRecipe())
    window = basket_features(gold.lines, tables)
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(window, gold.label)
    training = Training(source="synthetic", first_week=1, last_week=2, baskets=len(gold), households=80)
    provenance = Provenance(training=training, metrics={}, git_sha="0" * 40, created_at="2026-01-01T00:00:00Z")

    members = artifact_members(Fitted(estimator, tables, window), gold, provenance)

    assert set(members) == set(contract.MEMBERS) - {contract.TREES}
    assert contract.TREES not in Manifest.from_json(members[contract.MANIFEST]).files


@pytest.fixture
def extracted(members: dict[str, bytes], tmp_path: Path) -> Path:
    """The archive as SageMaker's container extracts it."""
    for name, raw in members.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return tmp_path


def test_sagemakers_container_answers_like_the_golden_rows(artifact: ArtifactFile, extracted: Path) -> None:
    """code/inference.py, called the way the container calls it."""
    names = [feature.name for feature in artifact.manifest.features]
    body = json.dumps({"instances": [dict(zip(names, row.instance, strict=True)) for row in artifact.manifest.golden]})
    model = inference_code.model_fn(str(extracted))
    answer = json.loads(inference_code.output_fn(inference_code.predict_fn(inference_code.input_fn(body), model)))
    expected = [row.probabilities for row in artifact.manifest.golden]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=contract.GOLDEN_TOLERANCE)
    assert answer["classes"] == [CLASSES[int(np.argmax(row))] for row in expected]


def test_sagemakers_container_refuses_what_it_does_not_speak(extracted: Path) -> None:
    """Wrong content type, wrong accept, missing required value."""
    with pytest.raises(ValueError, match="text/csv is not supported"):
        inference_code.input_fn("1,2", "text/csv")
    with pytest.raises(ValueError, match="text/csv is not supported"):
        inference_code.output_fn({}, "text/csv")
    with pytest.raises(ValueError, match="spend is required"):
        inference_code.predict_fn([{}], inference_code.model_fn(str(extracted)))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), st.binary(max_size=64), max_size=5))
def test_packing_is_a_function_of_the_members(members: dict[str, bytes]) -> None:
    """In any order of insertion, and nothing is lost."""
    raw = pack(members)
    assert raw == pack(dict(reversed(members.items())))
    assert unpack(raw) == members


def test_a_packed_member_tells_nothing_about_the_machine() -> None:
    """No time, no user, no name."""
    with tarfile.open(fileobj=io.BytesIO(pack({"a": b"1"}))) as tar:
        (entry,) = tar.getmembers()
    assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) == (0, 0, 0, "", "", 0o644)
