"""`psm-train benchmark`: every model on the same baskets, and what lies below and above them."""

import json
from typing import Any

import pytest

from psm_contract.schema import CLASSES
from psm_training.__main__ import main
from psm_training.archive import unpack
from psm_training.workspace import Workspace

ORDER = ("benchmark", "--source", "synthetic", "--recipe", "logistic", "--recipe", "tree")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two families, compared."""
    space = Workspace(tmp_path_factory.mktemp("benchmark"))
    assert main([*ORDER, "--out", str(space.root)]) == 0
    return space


def _models(space: Workspace) -> dict[str, Any]:
    return {model["name"]: model for model in json.loads(space.comparison.read_text())["models"]}


def test_every_model_is_compared_with_the_bounds(space: Workspace) -> None:
    """The most frequent class below; each with its interval, its classes, its time and its size."""
    models = _models(space)
    assert {"majority", "logistic", "tree"} <= set(models)
    for name in ("logistic", "tree"):
        model = models[name]
        low, high = model["interval"]
        assert models["majority"]["accuracy"] + 0.1 < low < model["accuracy"] < high
        assert set(model["precision"]) == set(CLASSES)
        assert model["family"] == name
        assert model["bytes"] == space.of(name).artifact.stat().st_size
        assert model["fit_seconds"] > 0
        assert unpack(space.of(name).artifact.read_bytes())


def test_none_is_better_than_the_best_possible(space: Workspace) -> None:
    """The generator knows it."""
    models = _models(space)
    assert models["tree"]["interval"][0] < models["bayes"]["accuracy"]
    assert models["logistic"]["interval"][0] < models["bayes"]["accuracy"]


def test_what_was_compared_before_is_not_trained_again(space: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken off, it goes on; a recipe more trains that one only, on the features that are there."""
    assert main([*ORDER, "--recipe", "v1", "--out", str(space.root)]) == 0
    told = capsys.readouterr().err
    assert "v1 train" in told
    assert "tree train" not in told
    assert set(_models(space)) >= {"majority", "logistic", "tree", "v1"}
