"""The drift report: the newest weeks against the window that a model was trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from artifacts import make_artifact
from training_spaces import copied

from psm_contract.drift import LEAST_BASKETS, MOVED
from psm_training.__main__ import main
from psm_training.errors import PipelineError
from psm_training.gold import Gold
from psm_training.synthetic import generate
from psm_training.validation.drift import PREDICTIONS, Trained, compare, drift, verdict_of
from psm_training.validation.drift_page import page
from psm_training.workspace import Workspace


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained.from_archive(make_artifact(tmp_path_factory.mktemp("trained")).path.read_bytes())


@pytest.fixture(scope="module")
def window() -> Gold:
    """Baskets of the population that the model was trained on, of other households."""
    gold = generate(baskets=2500, households=250, seed=0).gold
    return gold.take((gold.label >= 0) & (gold.household % 4 == 0) | (gold.household % 4 == 1))


def test_the_same_population_is_steady(trained: Trained, window: Gold) -> None:
    """Every feature and the predictions are there, farthest first."""
    report = compare(trained, window)
    names = [found["name"] for found in report["features"]]
    indices = [found["index"] for found in report["features"]]
    assert sorted(names) == sorted((*(feature.name for feature in trained.manifest.features), PREDICTIONS))
    assert indices == sorted(indices, reverse=True)
    assert report["largest"] == indices[0] < MOVED
    assert report["window"]["baskets"] == len(window) == sum(week["baskets"] for week in report["weeks"])


def test_other_prices_are_another_population(trained: Trained, window: Gold) -> None:
    """The features that prices make have moved, the calendar has not."""
    dear = replace(window, lines=replace(window.lines, spend=window.lines.spend * 1.6))
    report = compare(trained, dear)
    verdicts = {found["name"]: found["verdict"] for found in report["features"]}
    assert report["verdict"] == verdicts["unit_price_mean"] == "moved"
    assert verdicts["shop_weekday"] == "steady"
    assert "<h1>Drift: moved</h1>" in page(report)


def test_a_week_with_few_baskets_is_listed_and_not_judged(trained: Trained, window: Gold) -> None:
    """By chance alone it would seem to move."""
    weeks = np.full(len(window), 200839, dtype=np.int32)
    weeks[:10] = 200840
    report = compare(trained, replace(window, week=weeks))
    assert [(week["week"], week["farthest"] is None) for week in report["weeks"]] == [(200839, False), (200840, True)]
    assert "too few baskets" in page(report)


@pytest.mark.parametrize(
    ("index", "verdict"), [(0.1, "steady"), (0.11, "worth a look"), (0.25, "worth a look"), (0.26, "moved")]
)
def test_the_words_for_an_index(index: float, verdict: str) -> None:
    """As by custom; the limits themselves are on the milder side."""
    assert verdict_of(index) == verdict


def test_the_command_writes_report_and_page_and_fails_above_a_limit(
    synthetic_gold: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are there either way."""
    space = copied(synthetic_gold, tmp_path)
    archive = make_artifact(tmp_path).path
    order = ["drift", "--out", str(tmp_path), "--model", str(archive)]
    assert main(order) == 0
    assert main([*order, "--limit", "0.0001"]) == 1
    assert "index" in capsys.readouterr().err
    assert (space.root / "drift.json").exists()
    assert (space.root / "drift.html").read_text().startswith("<!doctype html>")
    with pytest.raises(PipelineError, match=f"{LEAST_BASKETS} are needed; take more weeks"):
        drift(space, archive.read_bytes(), weeks=1)
    assert main([*order[:3], "--model", str(tmp_path / "none.tar.gz")]) == 1
    assert "name a model.tar.gz" in capsys.readouterr().err
