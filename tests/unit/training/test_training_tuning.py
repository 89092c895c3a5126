"""Tuning: seeded, boxed in time, by household, and blind to the test set."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import FixedTrial

from psm_training.gold import Gold
from psm_training.models import tuning
from psm_training.models.folds import Fold, folds_of
from psm_training.models.search import propose
from psm_training.models.tuning import Budget, tune
from psm_training.recipes import FAMILIES, Recipe, TableRecipe, TreeRecipe
from psm_training.split import TRAIN, VALID
from psm_training.synthetic import generate
from psm_training.workspace import Workspace

RECIPE = Recipe("tree", TableRecipe(folds=2), TreeRecipe(max_depth=4, min_samples_leaf=250))


@pytest.fixture(scope="module")
def parts() -> dict[str, Gold]:
    """Training and validation households. There is no test part: whoever looks at it fails."""
    gold = generate(baskets=2500, households=200).gold
    gold = gold.take(gold.label >= 0)
    is_valid = gold.household % 5 == 0
    return {TRAIN: gold.take(~is_valid), VALID: gold.take(is_valid)}


@pytest.fixture
def search(parts: dict[str, Gold], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Tunes the tree on these parts."""
    monkeypatch.setattr(tuning, "labelled_parts", lambda _: parts)

    def run(folder: Path, budget: Budget, clock: Callable[[], float] = lambda: 0.0) -> dict[str, object]:
        folder.mkdir(exist_ok=True)
        found: dict[str, object] = tune(Workspace(folder), [RECIPE], budget, lambda _: None, clock)["tree"]
        return found

    return run


def _kept(folder: Path) -> bytes:
    return (folder / "tuning" / "tree.json").read_bytes()


def test_the_same_seed_finds_the_same(search: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """Every trial, to the bit; another seed tries others; nothing found is worse than what was there."""
    one, two = (search(tmp_path / name, Budget(trials=8)) for name in ("one", "two"))
    assert one == two
    assert _kept(tmp_path / "one") == _kept(tmp_path / "two")
    other = search(tmp_path / "other", Budget(trials=8, seed=1))
    assert other["parameters"] != one["parameters"]
    assert one["accuracy"] > one["accuracy_of_the_recipe"]  # type: ignore[operator]  # floats
    assert json.loads(_kept(tmp_path / "one"))["trials"][0]["parameters"] == {"max_depth": 4, "min_samples_leaf": 250}


def test_a_search_that_was_broken_off_goes_on(search: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """In three runs it finds what it finds in one."""
    whole = search(tmp_path / "whole", Budget(trials=9))
    for trials in (2, 6, 9):
        parted = search(tmp_path / "parted", Budget(trials=trials))
    assert parted == whole
    assert _kept(tmp_path / "parted") == _kept(tmp_path / "whole")
    search(tmp_path / "parted", Budget(trials=3, seed=5))
    assert len(json.loads(_kept(tmp_path / "parted"))["trials"]) == 3


def test_the_time_box_ends_it(search: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """The first trial is always made; none begins after the time is over, and what was found stays as it is."""
    search(tmp_path / "whole", Budget(trials=9))
    ticks: Iterator[int] = count()
    boxed = search(tmp_path / "boxed", Budget(trials=9, seconds=12), clock=lambda: float(next(ticks)))
    trials = json.loads(_kept(tmp_path / "boxed"))["trials"]
    assert 1 <= boxed["trials"] == len(trials) < 9  # type: ignore[operator]  # an integer
    assert trials == json.loads(_kept(tmp_path / "whole"))["trials"][: len(trials)]
    assert search(tmp_path / "none", Budget(trials=9, seconds=0), clock=lambda: 0.0)["trials"] == 1


def test_a_fold_is_checked_on_households_that_it_never_saw(parts: dict[str, Gold]) -> None:
    """Turn the labels of the checked households around: what is learned from stays, to the bit.

    Labels of validation baskets never teach, whatever the fold.
    """
    folds = folds_of(parts[TRAIN], parts[VALID], RECIPE.tables, 3)
    turned = Gold(**{**vars(parts[VALID]), "label": (2 - parts[VALID].label).astype(np.int8)})
    again = folds_of(parts[TRAIN], turned, RECIPE.tables, 3)
    for one, two in zip(folds, again, strict=True):
        assert np.array_equal(one.matrix, two.matrix)
        assert np.array_equal(one.label, two.label)
        assert np.array_equal(one.checked_matrix, two.checked_matrix)
        assert not np.array_equal(one.checked_label, two.checked_label)
    assert sum(map(_checked, folds)) == len(parts[TRAIN]) + len(parts[VALID])
    assert sum(len(fold.label) for fold in folds) == 2 * len(parts[TRAIN])


def _checked(fold: Fold) -> int:
    return len(fold.checked_label)


@pytest.mark.parametrize("recipe", FAMILIES, ids=lambda recipe: recipe.name)
def test_every_family_has_a_space_that_holds_its_recipe(recipe: Recipe) -> None:
    """The first trial is the recipe itself; Optuna would warn of a value out of bounds."""
    trial = FixedTrial(asdict(recipe.estimator))
    assert propose(trial, recipe.estimator) == recipe.estimator
    assert trial.params
