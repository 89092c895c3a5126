import json
import os
import typing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from artifacts import ArtifactFile, Members, make_artifact
from tree_ensembles import random_ensemble

from psm_contract.manifest import CODE, JOBLIB, MANIFEST, ONNX, TABLES
from psm_predictor.artifact.fetch import FetchedArtifact, fetch
from psm_predictor.artifact.load import load
from psm_predictor.artifact.verify import VerifiedArtifact, verify
from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.model import Model
from psm_predictor.settings import ArchiveLimits, EngineChoice, PackageRef

LIMITS = ArchiveLimits()


def package(artifact: ArtifactFile, sha256: str | None = None) -> PackageRef:
    return PackageRef(data_url=artifact.url, sha256=sha256 or artifact.sha256, arn="arn", version=1)


def fetched(artifact: ArtifactFile, sha256: str | None = None) -> FetchedArtifact:
    return fetch(package(artifact, sha256), cache_dir=artifact.path.parent, limit_bytes=LIMITS.packed_bytes)


def rewrite_manifest(change: Callable[[Any], None]) -> Callable[[Members], None]:
    """A mutation of manifest.json."""

    def mutate(members: Members) -> None:
        document = json.loads(members[MANIFEST])
        change(document)
        members[MANIFEST] = json.dumps(document).encode()

    return mutate


def test_only_the_right_order_type_checks() -> None:
    """Each step takes exactly what the step before it returns, so mypy refuses any other order."""
    hints = [typing.get_type_hints(step) for step in (fetch, verify, load)]

    assert [step["return"] for step in hints] == [FetchedArtifact, VerifiedArtifact, Model]
    assert hints[1]["fetched"] is FetchedArtifact
    assert hints[2]["verified"] is VerifiedArtifact


def test_a_good_archive_becomes_a_model(tmp_path: Path) -> None:
    """Fetched, verified, loaded and self-tested."""
    artifact = make_artifact(tmp_path)

    model = load(verify(fetched(artifact), LIMITS))

    assert model.manifest == artifact.manifest


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """file:// of nothing."""
    reference = PackageRef(data_url=(tmp_path / "none.tar.gz").as_uri(), sha256="0" * 64, arn="arn", version=1)

    with pytest.raises(ArtifactError, match=r"none\.tar\.gz cannot be read: No such file") as caught:
        fetch(reference, cache_dir=tmp_path, limit_bytes=1)

    assert caught.value.reason is Reason.ARTIFACT_MISSING


def test_an_archive_over_the_limit_is_not_even_hashed(tmp_path: Path) -> None:
    """The limit and the variable that raises it are in the message."""
    with pytest.raises(ArtifactError, match="larger than 1 bytes; raise PSM_MAX_ARCHIVE_BYTES") as caught:
        fetch(package(make_artifact(tmp_path)), cache_dir=tmp_path, limit_bytes=1)

    assert caught.value.reason is Reason.ARTIFACT_TOO_LARGE


def test_another_digest_than_the_package_says_is_refused_before_unpacking(tmp_path: Path) -> None:
    """Both digests are in the message."""
    artifact = make_artifact(tmp_path)

    with pytest.raises(ArtifactError, match=f"has sha256 {artifact.sha256}, the package says {'0' * 64}") as caught:
        verify(fetched(artifact, "0" * 64), LIMITS)

    assert caught.value.reason is Reason.DIGEST_MISMATCH


def test_a_file_that_is_exchanged_between_its_digest_and_its_reading_is_refused(tmp_path: Path) -> None:
    """The digest counts of the very bytes that were parsed."""
    artifact = make_artifact(tmp_path)
    before = fetched(artifact)
    (tmp_path / "other").mkdir()
    artifact.path.write_bytes(make_artifact(tmp_path / "other", seed=1).path.read_bytes())

    with pytest.raises(ArtifactError, match="was changed while it was read") as caught:
        verify(before, LIMITS)

    assert caught.value.reason is Reason.DIGEST_MISMATCH


@pytest.mark.parametrize("name", ["/dev/zero", "/dev", "pipe", "zero\0byte", "a/../../../../../dev/zero"])
def test_what_is_no_file_is_never_opened(tmp_path: Path, name: str) -> None:
    """It might never end, or wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    url = f"file://{quote(str(tmp_path / name))}"

    with pytest.raises(ArtifactError, match=r"is not a file|cannot be read") as caught:
        fetch(PackageRef(url, "0" * 64, "arn", 1), cache_dir=tmp_path, limit_bytes=1000)

    assert caught.value.reason is Reason.ARTIFACT_MISSING


def test_a_pickle_is_kept_only_for_who_asks(tmp_path: Path) -> None:
    """Nobody can load by mistake what was never read."""
    artifact = make_artifact(tmp_path)

    assert verify(fetched(artifact), LIMITS).joblib is None
    assert verify(fetched(artifact), LIMITS, keep_joblib=True).joblib
    assert verify(fetched(artifact), LIMITS).trees


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b'{"protocol": 3, "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested", id="deep nesting"),
        pytest.param(b'{"protocol": 3, "x": ' + b"9" * 100_000 + b"}", "is not JSON", id="a number of 100,000 digits"),
        pytest.param(b" " * 17 * 1024 * 1024, "has 17825792 bytes, 16777216 are allowed", id="17 MiB"),
        pytest.param(
            json.dumps({"protocol": 3, **{f"k{number}": number for number in range(50_000)}}).encode(),
            "Extra inputs",
            id="50,000 unknown fields",
        ),
        pytest.param(b'{"protocol": 3, "git_sha": "\\ud800"}', "manifest.json", id="half a character"),
        pytest.param(b'{"protocol": 3, "protocol": 1}', "has protocol 1", id="two protocols"),
        pytest.param(b"\xff\xfe", "is not JSON", id="another encoding"),
    ],
)
def test_a_manifest_made_to_harm_is_refused_in_a_line(tmp_path: Path, raw: bytes, message: str) -> None:
    """The line stays short, whatever the manifest holds."""
    artifact = make_artifact(tmp_path, mutate=put(MANIFEST, raw))

    with pytest.raises(ArtifactError, match=message) as caught:
        verify(fetched(artifact), LIMITS)

    assert caught.value.reason is Reason.MANIFEST_INVALID
    assert len(str(caught.value)) < 3000


def drop(name: str) -> Callable[[Members], None]:
    return lambda members: members.__delitem__(name)


def put(name: str, data: bytes) -> Callable[[Members], None]:
    return lambda members: members.__setitem__(name, data)


@pytest.mark.parametrize(
    ("mutate", "reason", "message"),
    [
        pytest.param(drop(MANIFEST), Reason.MANIFEST_INVALID, "has no manifest.json", id="no manifest"),
        pytest.param(put(MANIFEST, b"{"), Reason.MANIFEST_INVALID, "is not JSON", id="a manifest that is no JSON"),
        pytest.param(
            rewrite_manifest(lambda document: document.update(protocol=4)),
            Reason.MANIFEST_INVALID,
            "has protocol 4, this release reads protocol 3",
            id="another protocol number",
        ),
        pytest.param(
            rewrite_manifest(lambda document: document.update(extra=1)),
            Reason.MANIFEST_INVALID,
            "extra: Extra inputs are not permitted",
            id="an unknown field of the manifest",
        ),
        pytest.param(drop(ONNX), Reason.ARCHIVE_REJECTED, "lacks model.onnx", id="a missing file"),
        pytest.param(put("x", b""), Reason.ARCHIVE_REJECTED, "holds x, unknown to its manifest", id="an extra file"),
        pytest.param(put(ONNX, b"onnx"), Reason.DIGEST_MISMATCH, "model.onnx in the archive has", id="another model"),
        pytest.param(put(JOBLIB, b"evil"), Reason.DIGEST_MISMATCH, "model.joblib in the", id="a changed joblib"),
        pytest.param(put(CODE, b"evil"), Reason.DIGEST_MISMATCH, "code/inference.py in the", id="changed code"),
    ],
)
def test_an_archive_that_is_not_its_manifest_is_refused(
    tmp_path: Path, mutate: Callable[[Members], None], reason: Reason, message: str
) -> None:
    """The first thing that differs is named."""
    artifact = make_artifact(tmp_path, mutate=mutate)

    with pytest.raises(ArtifactError) as caught:
        verify(fetched(artifact), LIMITS)

    assert caught.value.reason is reason
    assert str(caught.value).startswith(f"{reason}: ")
    assert message in str(caught.value)


def verified(tmp_path: Path, **changes: bytes | None) -> VerifiedArtifact:
    """A verified archive, some of whose bytes were exchanged after verification."""
    good = verify(fetched(make_artifact(tmp_path)), LIMITS, keep_joblib=True)
    return replace(good, **changes)  # type: ignore[arg-type]  # each change is of its field's type


@pytest.mark.parametrize(
    ("changes", "engine", "message"),
    [
        ({"onnx": b"not onnx", "trees": None}, "auto", r"model\.onnx does not load"),
        ({"onnx": b"not onnx"}, "onnx", r"model\.onnx does not load"),
        ({"trees": b"not npz"}, "auto", r"trees\.npz does not load: it is no npz file"),
        ({"trees": None}, "trees", r"the archive has no trees\.npz; set it to auto"),
        ({"joblib": b"not a pickle"}, "joblib", r"model\.joblib does not load"),
        ({"joblib": None}, "joblib", r"the archive has no model\.joblib"),
    ],
)
def test_a_model_that_does_not_load_is_refused(
    tmp_path: Path, changes: dict[str, bytes | None], engine: EngineChoice, message: str
) -> None:
    """A digest proves who made it, not that it works."""
    with pytest.raises(ArtifactError, match=message) as caught:
        load(verified(tmp_path, **changes), engine)

    assert caught.value.reason is Reason.MODEL_INVALID


def test_trees_for_another_list_of_features_are_refused(tmp_path: Path) -> None:
    """The kernel would look at columns that are not there."""
    good = verified(tmp_path)
    columns = len(good.manifest.features) + 1
    trees = random_ensemble(1, columns=columns).to_npz()

    with pytest.raises(
        ArtifactError, match=rf"trees\.npz has {columns} features and 3 classes, the manifest has"
    ) as caught:
        load(replace(good, trees=trees))

    assert caught.value.reason is Reason.MODEL_INVALID


def test_trees_of_another_model_fail_the_golden_rows(tmp_path: Path) -> None:
    """Well made, and not what was trained."""
    other = tmp_path / "other"
    other.mkdir()
    foreign = verify(fetched(make_artifact(other, seed=1)), LIMITS)

    with pytest.raises(ArtifactError, match=r"golden\[0\] is answered with"):
        load(verified(tmp_path, trees=foreign.trees))


@pytest.mark.parametrize("engine", ["auto", "trees", "onnx", "joblib"])
def test_every_engine_passes_the_self_test(tmp_path: Path, engine: EngineChoice) -> None:
    """The same golden rows and baskets; auto is the kernel."""
    model = load(verified(tmp_path), engine)

    assert model.engine.name == ("trees" if engine == "auto" else engine)
    assert model.trees is not None


def test_tables_that_do_not_load_are_refused(tmp_path: Path) -> None:
    """The tables are as much a part of the model as its trees."""
    with pytest.raises(ArtifactError, match=r"tables\.npz does not load") as caught:
        load(verified(tmp_path, tables=b"not npz"))

    assert caught.value.reason is Reason.MODEL_INVALID


def test_a_manifest_with_another_list_of_features_is_refused(tmp_path: Path) -> None:
    """Till lines would be turned into other columns than the trees were grown on."""

    def swap(document: Any) -> None:
        features = document["features"]
        features[0], features[1] = features[1], features[0]

    artifact = make_artifact(tmp_path, mutate=rewrite_manifest(swap))

    with pytest.raises(ArtifactError, match="use a predictor of the release that trained the model") as caught:
        load(verify(fetched(artifact), LIMITS))

    assert caught.value.reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("which", ["golden", "golden_baskets"])
def test_a_golden_answer_that_differs_stops_the_start_and_is_printed(tmp_path: Path, which: str) -> None:
    """The row, what was expected, what was answered."""

    def change(document: Any) -> None:
        document[which][1]["probabilities"] = [0.25, 0.25, 0.5]

    artifact = make_artifact(tmp_path, mutate=rewrite_manifest(change))

    with pytest.raises(ArtifactError) as caught:
        load(verify(fetched(artifact), LIMITS))

    assert caught.value.reason is Reason.GOLDEN_MISMATCH
    assert f"{which}[1] is answered with [" in str(caught.value)
    assert "training said [0.25, 0.25, 0.5]" in str(caught.value)
    assert '"spend": ' in str(caught.value) or '"SPEND": ' in str(caught.value)


def test_a_golden_basket_that_the_routes_rules_refuse_stops_the_start(tmp_path: Path) -> None:
    """A client that sends the documented example would get 422."""

    def change(document: Any) -> None:
        for number, line in enumerate(document["golden_baskets"][0]["lines"]):
            line["BASKET_ID"] = number

    artifact = make_artifact(tmp_path, mutate=rewrite_manifest(change))

    with pytest.raises(ArtifactError, match="this release refuses a golden row or basket"):
        load(verify(fetched(artifact), LIMITS))


def test_tables_of_another_model_fail_the_golden_baskets(tmp_path: Path) -> None:
    """Golden baskets prove lines -> features, not only features -> classes."""
    other = tmp_path / "other"
    other.mkdir()
    foreign = verify(fetched(make_artifact(other, seed=1)), LIMITS)

    with pytest.raises(ArtifactError, match=rf"golden_baskets\[|{TABLES}|this release computes"):
        load(verified(tmp_path, tables=foreign.tables))
