"""The validation gate: what failed and was allowed once is asked about again, and a lake is part of what was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from training_spaces import Ran

from psm_training.cache import keep, restore
from psm_training.errors import PipelineError
from psm_training.recipes import V1
from psm_training.run import Order, run
from psm_training.settings import Settings
from psm_training.synthetic_files import Order as Till
from psm_training.synthetic_files import synthesize
from psm_training.windows import DEFAULT, SplitOptions
from psm_training.workspace import ModelFiles, Workspace


@pytest.fixture
def failed(synthetic_run: Ran, tmp_path: Path) -> ModelFiles:
    """Files of a model whose data failed validation."""
    folder = tmp_path / "failed"
    shutil.copytree(synthetic_run.space.of("v1").folder, folder)
    files = ModelFiles(folder)
    files.card.write_text(json.dumps({**json.loads(files.card.read_text()), "data_validation": "failed"}))
    return files


def test_what_failed_validation_is_restored_only_for_who_allows_it(failed: ModelFiles, tmp_path: Path) -> None:
    """Allowed once is not allowed for ever."""
    keep(tmp_path / "cache", "key", failed)
    back = Workspace(tmp_path / "back")
    assert not restore(tmp_path / "cache", "key", back.of("v1"), allow_failed=False)
    assert not back.of("v1").artifact.exists()
    assert restore(tmp_path / "cache", "key", back.of("v1"), allow_failed=True)


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that train in seconds, one class of which is missing in one week: validation fails."""
    folder = tmp_path_factory.mktemp("till")
    synthesize(folder, Till(lines=30_000, weeks=12))
    path = sorted(folder.glob("transactions*.csv"))[3]
    path.write_text(path.read_text().replace(",UM,", ",MM,"))
    return folder


def test_the_gate_asks_at_every_run(till: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was allowed to train on failed data opens nothing for the next one, with a lake or without."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = Settings.from_environment()
    told: list[str] = []

    def ran(out: str, *, lake: str | None = None, allow: bool = False) -> None:
        order = Order("source-files", [V1], str(till), lake and str(tmp_path / lake), allow_failed_validation=allow)
        run(Workspace(tmp_path / out), order, settings, told.append)

    ran("first", allow=True)
    with pytest.raises(PipelineError, match="data validation failed"):
        ran("second")
    told.clear()
    ran("third", allow=True)
    assert any("trained before" in line for line in told), "who allows it again need not train again"
    told.clear()
    with pytest.raises(PipelineError, match="data validation failed"):
        ran("fourth", lake="lake")
    assert (tmp_path / "lake" / "silver").exists(), "a lake that was named is filled"


def test_a_lake_and_the_weeks_are_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier run left in the lake, and other windows, are other training data."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = Settings.from_environment()
    synthesize(tmp_path / "till", Till(lines=30_000, weeks=12))
    synthesize(tmp_path / "earlier", Till(lines=20_000, weeks=10, first_week=200741, seed=1))
    told: list[str] = []

    def kept(out: str, data: str, lake: str | None = None, weeks: SplitOptions = DEFAULT) -> bool:
        told.clear()
        order = Order(
            "source-files",
            [V1],
            str(tmp_path / data),
            lake and str(tmp_path / lake),
            allow_failed_validation=True,
            weeks=weeks,
        )
        run(Workspace(tmp_path / out), order, settings, told.append)
        return any("trained before" in line for line in told)

    assert not kept("a", "till", "lake")
    assert kept("b", "till", "lake"), "the same again"
    assert not kept("c", "earlier", "lake"), "more weeks in the lake"
    assert kept("d", "till", "lake"), "the first files again, and what the others left: what was trained in c"
    assert not kept("e", "till", "lake", SplitOptions(test_weeks=1)), "other windows"
