"""Whether a version may be approved without a person: every KPI met, and surely better than the approved baseline.

Pure: the registry's answers come in, a ruling goes out (`auto_approval` fetches and writes). Two models are compared on
the same baskets, household by household: a sample draws households, and both models are scored on what it drew, so that
what makes a household easy or hard for both cancels out. Baskets of one household are alike; drawing baskets would find
differences sure that are not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract import metadata
from psm_contract.quality import Floats, Quality
from psm_contract.schema import CLASSES
from psm_training.model_quality import KPIS
from psm_training.models.predictions import Predictions

DRAWS: Final = 2000
"""Samples of households; the bounds of a 95 % interval are then known to about a twentieth of its width."""

LEAST_HOUSEHOLDS: Final = 100
"""Below, the bootstrap's interval is too narrow to be trusted."""

TOLERANCE: Final = 1e-5
"""Of an accuracy that the registry keeps with six decimals."""

_DRAWN_AT_ONCE: Final = 4_000_000
"""Numbers in memory: 32 MB."""


@dataclass(frozen=True)
class Version:
    """A registered version as the rules see it.

    Attributes:
        number: In its group.
        properties: Customer metadata.
        answers: To its test baskets; None when they were not registered.
    """

    number: int
    properties: Mapping[str, str]
    answers: Predictions | None


@dataclass(frozen=True)
class Difference:
    """New minus baseline, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} (95 % {self.low:+.4f} to {self.high:+.4f})"


@dataclass(frozen=True)
class Comparison:
    """Two models on the baskets that both were tested on.

    Attributes:
        accuracy: Difference of the accuracies.
        macro_f1: Difference of the macro F1 scores.
        baskets: In common.
        households: Whose they are.
        relabelled: Baskets in common whose label is not the same in both.
    """

    accuracy: Difference
    macro_f1: Difference
    baskets: int
    households: int
    relabelled: int


@dataclass(frozen=True)
class Case:
    """What is ruled on.

    Attributes:
        candidate: Waits for approval.
        baseline: The newest approved version; None when there is none.
        kpis: Metrics of the candidate by the names of KPIS; empty without answers.
        comparison: None unless both have answers in common.
    """

    candidate: Version
    baseline: Version | None
    kpis: Mapping[str, float]
    comparison: Comparison | None


@dataclass(frozen=True)
class Ruling:
    """Approve or wait, why, and by which numbers."""

    approve: bool
    reason: str
    evidence: dict[str, Any]


def rule(candidate: Version, baseline: Version | None) -> Ruling:
    """The ruling: the first objection is what people read."""
    kpis = {} if candidate.answers is None else kpis_of(candidate.answers)
    comparison = None
    if baseline is not None and candidate.answers is not None and baseline.answers is not None:
        comparison = compare(candidate.answers, baseline.answers)
    case = Case(candidate, baseline, kpis, comparison)
    objection = next(filter(None, (objects(case) for objects in OBJECTIONS)), None)
    return Ruling(objection is None, objection or _grounds(case), _evidence(case))


def kpis_of(answers: Predictions) -> dict[str, float]:
    """Metrics by the names of KPIS, from the answers themselves."""
    everyone = np.zeros(len(answers.label), dtype=np.int64)
    quality = Quality.of(_confusions(answers.label, answers.predicted, everyone)[0])
    return {
        "accuracy": float(quality.accuracy),
        "macro_f1": float(quality.macro_f1),
        "precision_min_class": float(quality.precision.min()),
    }


def compare(new: Predictions, old: Predictions) -> Comparison | None:
    """Both models on the baskets in common; None when there are none."""
    _, ours, theirs = np.intersect1d(new.basket, old.basket, assume_unique=True, return_indices=True)
    if not len(ours):
        return None
    household = np.unique(new.household[ours], return_inverse=True)[1]
    label = new.label[ours]
    better = _confusions(label, new.predicted[ours], household)
    worse = _confusions(label, old.predicted[theirs], household)
    accuracy, macro_f1 = differences(better, worse)
    return Comparison(
        accuracy=accuracy,
        macro_f1=macro_f1,
        baskets=len(ours),
        households=len(better),
        relabelled=int((label != old.label[theirs]).sum()),
    )


def differences(new: Floats, old: Floats, draws: int = DRAWS) -> tuple[Difference, Difference]:
    """Differences of accuracy and macro F1 by the paired bootstrap.

    Args:
        new: Counts of the one model, [households, actual, predicted].
        old: Of the other, for the same baskets.
        draws: Samples of households, drawn with replacement, the same for both.
    """
    households = len(new)
    both = np.concatenate([new.reshape(households, -1), old.reshape(households, -1)], axis=1)
    rng = np.random.default_rng(0)
    drawn = np.empty((draws, both.shape[1]))
    step = max(1, _DRAWN_AT_ONCE // households)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        times = rng.multinomial(households, np.full(households, 1 / households), size=size)
        drawn[start : start + size] = times.astype(np.float64) @ both
    spread = _quality_differences(drawn)
    value = _quality_differences(both.sum(axis=0)[np.newaxis])
    low, high = np.percentile(spread, [2.5, 97.5], axis=0)
    accuracy, macro_f1 = (Difference(float(value[0, i]), float(low[i]), float(high[i])) for i in range(2))
    return accuracy, macro_f1


def _quality_differences(counts: Floats) -> Floats:
    """Differences [samples, (accuracy, macro F1)] of counts [samples, 2 models x actual x predicted]."""
    quality = Quality.of(counts.reshape(len(counts), 2, len(CLASSES), len(CLASSES)))
    scores = np.stack([quality.accuracy, quality.macro_f1], axis=-1)
    difference: Floats = scores[:, 0] - scores[:, 1]
    return difference


def _confusions(label: NDArray[np.int8], predicted: NDArray[np.int8], household: NDArray[np.int64]) -> Floats:
    """Counts [households, actual, predicted]."""
    classes = len(CLASSES)
    households = int(household.max(initial=0)) + 1
    place = (household * classes + label) * classes + predicted
    counts = np.bincount(place, minlength=households * classes**2).astype(np.float64)
    return counts.reshape(households, classes, classes)


def _failed_validation(case: Case) -> str | None:
    verdict = case.candidate.properties.get(metadata.DATA_VALIDATION)
    if verdict == metadata.VALIDATION_PASSED:
        return None
    return f"its data validation says {verdict or 'nothing'}, and must say {metadata.VALIDATION_PASSED}"


def _overtaken(case: Case) -> str | None:
    if case.baseline is None or case.baseline.number < case.candidate.number:
        return None
    return f"version {case.baseline.number} is newer and approved already"


def _no_answers(case: Case) -> str | None:
    for version in (case.candidate, case.baseline):
        if version is not None and version.answers is None:
            return f"no predictions lie beside the evaluation of version {version.number}, so nothing can be compared"
    return None


def _other_answers(case: Case) -> str | None:
    """The numbers that people see must be those of the answers that are judged."""
    registered = metadata.parse_metric(case.candidate.properties.get(metadata.ACCURACY, ""))
    if registered is not None and abs(float(registered) - case.kpis["accuracy"]) <= TOLERANCE:
        return None
    return f"its predictions have accuracy {case.kpis['accuracy']:.6f}, its registration says {registered}"


def _missed_kpi(case: Case) -> str | None:
    missed = [f"{name} {case.kpis[name]:.4f} < {least}" for name, least in KPIS.items() if case.kpis[name] < least]
    return f"KPIs not met: {', '.join(missed)}" if missed else None


def _the_same_model(case: Case) -> str | None:
    mine = case.candidate.properties.get(metadata.SHA256)
    if case.baseline is None or mine is None or case.baseline.properties.get(metadata.SHA256) != mine:
        return None
    return f"it is the same archive as version {case.baseline.number}, which is approved"


def _other_baskets(case: Case) -> str | None:
    if case.baseline is None:
        return None
    found = case.comparison
    households = 0 if found is None else found.households
    if found is None or households < LEAST_HOUSEHOLDS:
        return (
            f"only {households} households were tested with version {case.baseline.number} too, "
            f"{LEAST_HOUSEHOLDS} are needed for a comparison"
        )
    if found.relabelled:
        return (
            f"{found.relabelled} of {found.baskets} baskets in common have another label than in the test of version "
            f"{case.baseline.number}: the label changed its meaning"
        )
    return None


def _only_noise(case: Case) -> str | None:
    found = case.comparison
    if case.baseline is None or found is None or found.accuracy.low > 0:
        return None
    verdict = "surely worse" if found.accuracy.high < 0 else "which may be noise"
    return f"accuracy against version {case.baseline.number}: {found.accuracy}, {verdict}; {_on(found)}"


def _worse_for_a_class(case: Case) -> str | None:
    """More baskets right at the cost of a class is for people to weigh."""
    found = case.comparison
    if case.baseline is None or found is None or found.macro_f1.high >= 0:
        return None
    return f"macro F1 against version {case.baseline.number}: {found.macro_f1}, surely worse; {_on(found)}"


OBJECTIONS: Final[tuple[Callable[[Case], str | None], ...]] = (
    _failed_validation, _overtaken, _the_same_model, _no_answers, _other_answers, _missed_kpi, _other_baskets,
    _only_noise, _worse_for_a_class,
)  # fmt: skip
"""In this order; each may rely on those before it."""


def _on(found: Comparison) -> str:
    return f"{found.baskets:,} baskets of {found.households:,} households"


def _grounds(case: Case) -> str:
    met = "every KPI met (" + ", ".join(f"{name} {value:.4f}" for name, value in case.kpis.items()) + ")"
    if case.baseline is None or case.comparison is None:
        return f"{met}; no version was approved before"
    found = case.comparison
    return (
        f"{met}; accuracy against version {case.baseline.number}: {found.accuracy}, macro F1: {found.macro_f1}; "
        f"{_on(found)}"
    )


def _evidence(case: Case) -> dict[str, Any]:
    found = case.comparison
    evidence: dict[str, Any] = {
        "version": case.candidate.number,
        "baseline": None if case.baseline is None else case.baseline.number,
        "kpis": {name: {"minimum": KPIS[name], "value": value} for name, value in case.kpis.items()},
    }
    if found is not None:
        evidence["comparison"] = {
            "baskets": found.baskets,
            "households": found.households,
            "relabelled": found.relabelled,
            "draws": DRAWS,
            **{
                f"{name}_difference": {"value": of.value, "confidence_interval_95": [of.low, of.high]}
                for name, of in (("accuracy", found.accuracy), ("macro_f1", found.macro_f1))
            },
        }
    return evidence
