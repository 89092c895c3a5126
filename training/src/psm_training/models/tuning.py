"""`psm-train tune`: looks for the parameters of a family by household folds, and never at the test set.

The n-th trial depends on the seed and the trials before it, not on the clock: a time box ends the search earlier and
changes nothing in what was found until then, and a search that was broken off goes on where it was.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from psm_training.features import labelled_parts
from psm_training.models.families import fit_estimator
from psm_training.models.folds import Fold, folds_of
from psm_training.models.search import propose
from psm_training.recipes import Recipe
from psm_training.split import TRAIN, VALID
from psm_training.workspace import Workspace, write_json

FOLDS: Final = 3
MEDIAN_AFTER: Final = 5
"""Whole trials before one that is below their median after a fold is broken off."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """How long to look.

    Attributes:
        trials: At most so many per family, those of earlier runs included.
        seconds: No trial of a family begins later than this after its first, and one that is under way is given up.
        seed: Of the search.
        jobs: Threads.
    """

    trials: int = 60
    seconds: float = 600.0
    seed: int = 0
    jobs: int = 1


def tune(
    space: Workspace,
    recipes: Sequence[Recipe],
    budget: Budget,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Searches for each recipe's family and keeps every trial in `<out>/tuning/<recipe>.json`.

    Args:
        space: Where `split` wrote.
        recipes: One per family; their parameters are the first trial, and their tables must be the same.
        budget: How long.
        say: Gets a line per trial.
        clock: Seconds.

    Returns:
        By name of the recipe: the best parameters, their accuracy, the recipe's own accuracy and the number of trials.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parts = labelled_parts(space)
    found: dict[str, Any] = {}
    folds: dict[str, list[Fold]] = {}
    for recipe in recipes:
        tables = json.dumps(asdict(recipe.tables))
        if tables not in folds:
            folds = {tables: folds_of(parts[TRAIN], parts[VALID], recipe.tables, FOLDS)}
            say(f"{FOLDS} folds of households in train and valid are ready")
        search = Search(recipe, folds[tables], _file(space, recipe), budget)
        found[recipe.name] = search.run(say, clock)
    return found


def _file(space: Workspace, recipe: Recipe) -> Path:
    folder = space.root / "tuning"
    folder.mkdir(exist_ok=True)
    return folder / f"{recipe.name}.json"


class Search:
    """The search of one family."""

    def __init__(self, recipe: Recipe, folds: Sequence[Fold], file: Path, budget: Budget) -> None:
        """Takes up the trials that the file holds, if they are about the same folds, recipe and seed."""
        self._recipe = recipe
        self._folds = folds
        self._file = file
        self._budget = budget
        self._basis = _basis(recipe, folds, budget.seed)
        self._study = optuna.create_study(
            direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=MEDIAN_AFTER, n_warmup_steps=0)
        )
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if kept.get("basis") == self._basis:
            self._study.add_trials([_thawed(trial) for trial in kept["trials"]])

    def run(self, say: Say, clock: Callable[[], float]) -> dict[str, Any]:
        """Tries until the budget is used up."""
        deadline = clock() + self._budget.seconds
        if not self._study.trials:
            self._study.enqueue_trial(self._own_parameters())
        while (number := _count(self._study)) < self._budget.trials and (clock() < deadline or not number):
            # a sampler per trial: what it proposes depends on the trials before, not on where a run began
            self._study.sampler = optuna.samplers.TPESampler(seed=self._budget.seed + number)
            scores = self._try(self._study.ask(), lambda: clock() >= deadline)
            if scores is None:
                break
            self._keep()
            say(self._line(number, scores))
        return self._outcome()

    def _try(self, trial: optuna.Trial, is_late: Callable[[], bool]) -> list[float] | None:
        """Accuracy of each fold, fewer if it is hopeless; None if the time ran out."""
        estimator = propose(trial, self._recipe.estimator)
        scores: list[float] = []
        for step, fold in enumerate(self._folds):
            if is_late() and _count(self._study):
                return None
            fitted = fit_estimator(estimator, fold.matrix, fold.label, seed=self._recipe.seed, jobs=self._budget.jobs)
            scores.append(fold.accuracy(fitted))
            trial.report(sum(scores) / len(scores), step)
            if trial.should_prune():
                self._study.tell(trial, state=TrialState.PRUNED)
                return scores
        self._study.tell(trial, sum(scores) / len(scores))
        return scores

    def _own_parameters(self) -> dict[str, Any]:
        """The recipe's parameters among those that are searched."""
        asked = optuna.trial.FixedTrial(asdict(self._recipe.estimator))
        propose(asked, self._recipe.estimator)
        return dict(asked.params)

    def _keep(self) -> None:
        finished = [trial for trial in self._study.trials if trial.state.is_finished()]
        write_json(self._file, {"basis": self._basis, "trials": [_frozen(trial) for trial in finished]})

    def _line(self, number: int, scores: list[float]) -> str:
        trial, mean = self._study.trials[-1], sum(scores) / len(scores)
        shown = " ".join(f"{name}={value:.4g}" for name, value in trial.params.items())
        cut = " broken off" if trial.state == TrialState.PRUNED else ""
        return f"{self._recipe.name} trial {number + 1}: {mean:.4f}{cut}, best {self._study.best_value:.4f}  {shown}"

    def _outcome(self) -> dict[str, Any]:
        best = self._study.best_trial
        return {
            "family": self._recipe.family,
            "parameters": dict(best.params),
            "accuracy": best.value,
            "accuracy_of_the_recipe": self._study.trials[0].value,
            "trials": _count(self._study),
        }


def _count(study: optuna.Study) -> int:
    """Finished trials."""
    return sum(trial.state.is_finished() for trial in study.trials)


def _basis(recipe: Recipe, folds: Sequence[Fold], seed: int) -> str:
    """Digest of what the trials are about."""
    digest = hashlib.sha256(json.dumps({**recipe.describe(), "search": seed}, sort_keys=True).encode())
    for fold in folds:
        for array in vars(fold).values():
            digest.update(array.tobytes())
    return digest.hexdigest()


def _frozen(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "state": trial.state.name,
        "accuracy": trial.value,
        "parameters": trial.params,
        "distributions": {name: json.loads(distribution_to_json(of)) for name, of in trial.distributions.items()},
        "after_folds": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
    }


def _thawed(kept: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        state=TrialState[kept["state"]],
        value=kept["accuracy"],
        params=kept["parameters"],
        distributions={name: json_to_distribution(json.dumps(of)) for name, of in kept["distributions"].items()},
        intermediate_values=dict(enumerate(kept["after_folds"])),
    )
