"""psm-train: all steps on synthetic baskets, alone and in one run, and the cache of outcomes."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from training_spaces import COMMIT_TIME, OF_THE_COMMIT, Ran

from psm_contract.manifest import Manifest
from psm_contract.schema import COLUMN_NAMES
from psm_training.__main__ import main
from psm_training.archive import unpack
from psm_training.cache import MAX_OUTCOMES, keep, outcome_key
from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake.views import open_lake
from psm_training.recipes import RECIPES, recipe_named
from psm_training.registry import ModelRegistry
from psm_training.settings import Settings
from psm_training.sources.raw_files import fingerprint
from psm_training.workspace import ModelFiles, Workspace


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    for name, value in OF_THE_COMMIT.items():
        monkeypatch.setenv(name, value)


def psm_train(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[Any, str]:
    """Runs the command; its JSON and its progress."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out), captured.err


def test_one_run_makes_two_models_and_a_second_run_takes_them_from_the_cache(
    synthetic_run: Ran, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trains, the second copies, a third without the cache gives the same bytes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(synthetic_run.cache))
    run = ("run", "--source", "synthetic")
    first = synthetic_run.cards
    assert "v1 train" in synthetic_run.told
    second, told = psm_train(capsys, *run, "--out", tmp_path / "two")
    assert "trained before" in told
    assert "v1 train" not in told
    third, told = psm_train(capsys, *run, "--out", tmp_path / "three", "--no-cache")
    assert "v1 train" in told
    assert first == second == third
    for recipe in ("v1", "v2"):
        raw = (tmp_path / "three" / recipe / "model.tar.gz").read_bytes()
        assert hashlib.sha256(raw).hexdigest() == first[recipe]["sha256"]
        manifest = Manifest.from_json(unpack(raw)["manifest.json"])
        assert manifest.metrics == first[recipe]["metrics"]
        assert (manifest.git_sha, manifest.created_at) == (OF_THE_COMMIT["PSM_GIT_SHA"], COMMIT_TIME)
        assert manifest.training.window == "200801-200836"


def test_a_damaged_outcome_is_trained_again(
    synthetic_run: Ran, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept archive whose digest does not match is worth nothing; the other one is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(synthetic_run.cache, tmp_path / "cache")
    sha256 = synthetic_run.cards["v1"]["sha256"]
    archives = (tmp_path / "cache").rglob("model.tar.gz")
    (kept,) = (path for path in archives if hashlib.sha256(path.read_bytes()).hexdigest() == sha256)
    kept.write_bytes(kept.read_bytes()[:-1])
    again, told = psm_train(capsys, "run", "--source", "synthetic", "--out", tmp_path / "out")
    assert "v1 train" in told
    assert "v2: trained before" in told
    assert again == synthetic_run.cards


def test_the_steps_one_by_one_give_what_the_run_gives(
    synthetic_run: Ran, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each is a subcommand that reads the files of the ones before it."""
    steps = tmp_path / "steps"
    psm_train(capsys, "ingest", "--source", "synthetic", "--out", steps)
    for step in ("validate", "split"):
        psm_train(capsys, step, "--out", steps)
    for step in ("features", "train", "evaluate", "package"):
        said, _ = psm_train(capsys, step, "--out", steps, "--recipe", "v1")
        assert said[step]
    assert json.loads((steps / "v1" / "model.json").read_text()) == synthetic_run.cards["v1"]


def test_a_step_that_comes_too_early_fails_with_the_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit status 1 and one line, no traceback."""
    assert main(["train", "--out", str(tmp_path), "--recipe", "v1"]) == 1
    assert "run `psm-train features` first" in capsys.readouterr().err


def test_bad_data_stops_the_run_unless_told_otherwise(
    synthetic_gold: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A run on data that failed validation is possible, and the model carries the verdict."""
    source = tmp_path / "files"
    source.mkdir()
    with open_lake(synthetic_gold) as database:
        large = "SELECT * REPLACE (replace(BASKET_SIZE, 'L', 'XXL') AS BASKET_SIZE) FROM silver"
        database.execute(f"COPY ({large}) TO '{source}/transactions_200801.csv' (HEADER)")
    run = ("run", "--source", "source-files", "--data", source, "--recipe", "v1", "--out", tmp_path / "out")
    assert main([str(argument) for argument in run]) == 1
    assert "silver words: BASKET_SIZE is one of S, M, L; seen: 'XXL'" in capsys.readouterr().err
    cards, _ = psm_train(capsys, *run, "--allow-failed-validation")
    assert cards["v1"]["data_validation"] == "failed"


def test_silver_has_the_22_columns_in_order(synthetic_gold: Workspace) -> None:
    """Of every source; here the synthetic one."""
    with open_lake(synthetic_gold) as database:
        rows = database.execute("DESCRIBE silver").fetchall()
    assert tuple(row[0] for row in rows) == COLUMN_NAMES


@pytest.mark.parametrize(
    ("source", "folder", "message"),
    [
        ("source-files", None, "needs --data FOLDER"),
        ("source-files", "empty", r"holds no transactions\*\.csv"),
        ("source-files", "other", "names none of the 22 columns"),
        ("elsewhere", None, "unknown source 'elsewhere'"),
    ],
    ids=["no folder named", "no file in it", "a file of another schema", "a source nobody knows"],
)
def test_data_that_is_not_there_is_named(tmp_path: Path, source: str, folder: str | None, message: str) -> None:
    """With what to do about it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "transactions_1.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PipelineError, match=message):
        ingest(Workspace(tmp_path / "out"), source, tmp_path / folder if folder is not None else None)


def test_the_key_of_an_outcome_depends_on_what_decides_it(tmp_path: Path) -> None:
    """Recipe, source and data; asked twice it is the same."""
    data = tmp_path / "transactions_1.csv"
    data.write_text("1")
    v1, v2 = RECIPES
    keys = [
        outcome_key(v1, "synthetic"),
        outcome_key(v2, "synthetic"),
        outcome_key(v1, "complete-journey"),
        outcome_key(v1, "synthetic", fingerprint(data)),
    ]
    assert len(set(keys)) == len(keys)
    assert outcome_key(v1, "synthetic") == keys[0]


def test_the_cache_forgets_the_oldest_outcomes(tmp_path: Path) -> None:
    """It does not grow with every change of the code."""
    files = ModelFiles(tmp_path / "out")
    files.folder.mkdir()
    for path in (files.artifact, files.predictions, files.evaluation, files.card):
        path.write_text("{}")
    cache = tmp_path / "cache"
    for number in range(MAX_OUTCOMES + 3):
        keep(cache, f"{number:02d}", files)
        os.utime(cache / f"{number:02d}", (number, number))
    assert sorted(path.name for path in cache.iterdir()) == [f"{number:02d}" for number in range(3, MAX_OUTCOMES + 3)]


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    """No traceback for a typing error."""
    with pytest.raises(PipelineError, match="unknown recipe 'v9'; known are v1, v2"):
        recipe_named("v9")


def test_the_defaults_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned: where outcomes are kept, and that nothing else is assumed."""
    for name in ("XDG_CACHE_HOME", "SOURCE_DATE_EPOCH", "PSM_GIT_SHA", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    expected = Settings(cache_dir=Path.home() / ".cache" / "psm" / "models")
    assert Settings.from_environment() == expected


def test_the_region_may_be_named_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION wins, as in Lambda and in the newer SDKs."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "ap-southeast-1")
    assert Settings.from_environment().region == "ap-southeast-1"


def test_without_a_region_the_registry_says_so() -> None:
    """Before boto3 would."""
    with pytest.raises(PipelineError, match="set AWS_REGION or pass --region"):
        ModelRegistry(None)
