"""manifest.json: what is written can be read, and nothing doubtful is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifacts import make_artifact

from psm_contract.manifest import Manifest, ManifestError

Document = dict[str, Any]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The manifest of a real archive."""
    return make_artifact(tmp_path_factory.mktemp("manifest")).manifest


def test_a_manifest_survives_its_file(manifest: Manifest) -> None:
    """Bytes and back are equal, and so are the bytes of equal manifests."""
    again = Manifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.to_json() == manifest.to_json()


def test_the_window_is_what_the_registry_shows(manifest: Manifest) -> None:
    """First and last week, joined."""
    assert manifest.training.window == f"{manifest.training.first_week}-{manifest.training.last_week}"


def test_required_features_are_the_ones_without_a_default(manifest: Manifest) -> None:
    """A caller must at least say how much was bought for how much."""
    assert [feature.name for feature in manifest.features if feature.default is None] == [
        "spend",
        "items",
        "line_count",
    ]


def _change(path: list[str | int], value: Any) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        place: Any = document
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value

    return apply


def _remove(key: str) -> Callable[[Document], None]:
    def apply(document: Document) -> None:
        del document[key]

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change(["classes"], ["UM", "MM", "LA"]), r"classes must be \('LA', 'MM', 'UM'\) in this order"),
        (_change(["files", "model.onnx"], "abc"), r"files\.model\.onnx"),
        (_change(["files", "manifest.json"], "0" * 64), "cannot carry its own digest"),
        (_change(["files"], {"model.onnx": "0" * 64}), "no digest for tables.npz"),
        (_change(["golden"], []), "at least 8 items"),
        (_change(["golden", 0, "probabilities"], [0.5, 0.5, 0.5]), r"golden\[0\]: probabilities sum to 1.5"),
        (_change(["golden", 1, "instance"], [1.0]), r"golden\[1\] has 1 values for 48 features"),
        (_change(["golden", 2, "instance", 0], "much"), r"golden\[2\]: spend must be a number"),
        (_change(["golden", 2, "instance", 1], -1), r"golden\[2\]: items is -1.0, allowed are 1.0 to"),
        (_change(["golden", 0, "instance", -1], "??"), r"golden\[0\]: '\?\?' is not in the vocabulary of seg_2"),
        (_change(["golden_baskets", 0, "lines"], []), r"golden_baskets\.0\.lines"),
        (_change(["features", 1, "name"], "spend"), "feature names repeat: spend"),
        (_change(["features", -1, "vocabulary"], ["A"]), "vocabulary of seg_2 must end with 'other'"),
        (_change(["features", -1, "vocabulary"], ["A", "A", "other"]), "repeats a word"),
        (_change(["features", -1, "default"], "Z"), "default 'Z' of seg_2 is not in its vocabulary"),
        (_change(["features", 0, "vocabulary"], ["a", "other"]), "spend is a number and must have no vocabulary"),
        (_change(["features", 3, "default"], "many"), "default 'many' of unit_price must be a number"),
        (_change(["features", 0, "minimum"], 1e9), "minimum 1000000000.0 of spend is above its maximum"),
        (_change(["reference", "features"], []), "0 histograms for 48 features"),
        (_change(["reference", "features", -1, "shares"], [0.5, 0.5]), "seg_2 must have a share for each of"),
        (_change(["reference", "features", 0, "edges"], [2.0, 1.0]), r"reference\.features\.0: .*edges must ascend"),
        (_change(["reference", "features", 0, "edges"], [1.0]), "1 edges make 2 bins"),
        (_change(["reference", "predictions", "shares"], [1.0]), "share for each of 3 classes"),
        (_change(["reference", "predictions", "shares"], [1.0, 1.0, 1.0]), "shares sum to 3.0"),
        (_change(["training", "baskets"], 0), r"training\.baskets"),
        (_change(["surprise"], 1), "surprise: Extra inputs are not permitted"),
        (_remove("git_sha"), "git_sha: Field required"),
    ],
)
def test_a_doubtful_manifest_is_refused_with_the_field(
    manifest: Manifest, change: Callable[[Document], None], message: str
) -> None:
    """The one message names the field and the rule."""
    document = json.loads(manifest.to_json())
    change(document)
    with pytest.raises(ManifestError, match=message):
        Manifest.from_json(json.dumps(document))


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, "3", True, None], ids=str)
def test_another_protocol_is_refused_before_anything_else(protocol: Any) -> None:
    """A reader of protocol 3 does not guess what protocol 4 means, even if every field is wrong."""
    document = {"protocol": protocol, "shape": "unknown"}
    with pytest.raises(ManifestError, match="this release reads protocol 3"):
        Manifest.from_json(json.dumps(document))


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff\xfe"], ids=["empty", "cut off", "a list", "no text"])
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    """Garbage gives our error, not Python's."""
    with pytest.raises(ManifestError):
        Manifest.from_json(raw)


def test_nan_is_refused(manifest: Manifest) -> None:
    """A metric that is no number would pass every comparison the wrong way."""
    document = json.loads(manifest.to_json())
    document["metrics"]["accuracy"] = float("nan")
    with pytest.raises(ManifestError, match=r"metrics\.accuracy"):
        Manifest.from_json(json.dumps(document))


def test_the_factory_can_break_an_archive(tmp_path: Path) -> None:
    """`mutate` changes members and leaves the recorded digests as trained."""
    whole = make_artifact(tmp_path)
    broken = make_artifact(tmp_path, mutate=lambda members: members.update({"model.onnx": b"no model"}))
    assert broken.sha256 != whole.sha256
    assert broken.manifest == whole.manifest
