"""Metrics of each model: one row of a table per sample, computed at the end of a pass, written out at a scrape.

Used by `telemetry` alone. A model's rows are one value in one dictionary: when the model goes they all go, and no label
set can outlive what it is about. Labels come from closed sets (phases, conditions, reasons, verdicts) and, for names of
metrics, from the spec, which holds 32 at most. Rows are rendered when they change and joined at a scrape:
prometheus_client would take ten times the memory, and half a second of every scrape of a thousand models.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import ModelStatus, Rejection, Served
from psm_operator.values import ObjectRef, Observation

Row = tuple[tuple[str, ...], float]
"""Values of a family's own labels, and the sample's value."""

Read = Callable[[Observation, ModelStatus], Iterable[Row]]

MAX_METRICS = 32
"""As many metrics as a spec may name."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; its labels are the model's namespace and name, then its own."""

    name: str
    help_text: str
    read: Read
    labels: tuple[str, ...] = ()


def _info(seen: Observation, _: ModelStatus) -> Iterator[Row]:
    registry = seen.spec.registry
    yield (registry.model_package_group_name, registry.region), 1


def _phase(_: Observation, status: ModelStatus) -> Iterator[Row]:
    if status.phase is not None:
        yield (status.phase.value,), 1


def _conditions(_: Observation, status: ModelStatus) -> Iterator[Row]:
    for condition in status.conditions:
        yield (condition.type.value, condition.status.value, condition.reason.value), 1


def _is_true(kind: ConditionType) -> Read:
    def read(_: Observation, status: ModelStatus) -> Iterator[Row]:
        yield (), any(c.type is kind and c.status is ConditionStatus.TRUE for c in status.conditions)

    return read


def _version(which: str) -> Read:
    def read(_: Observation, status: ModelStatus) -> Iterator[Row]:
        found = getattr(status, which)
        yield (), found.version if found is not None else 0

    return read


def _served_metrics(seen: Observation, status: ModelStatus) -> Iterator[tuple[str, str, str]]:
    """Name, value and verdict of each metric of the served version that the spec names."""
    names = {metric.name for metric in seen.spec.analysis.metrics[:MAX_METRICS]}
    served: Served | None = status.current
    for metric in served.metrics if served is not None else ():
        if metric.name in names:
            yield metric.name, metric.value, metric.verdict


def _metric(seen: Observation, status: ModelStatus) -> Iterator[Row]:
    for name, text, _ in _served_metrics(seen, status):
        value = _number(text)
        if value is not None:
            yield (name,), value


def _verdict(seen: Observation, status: ModelStatus) -> Iterator[Row]:
    for name, _, verdict in _served_metrics(seen, status):
        yield (name, verdict), 1


def _thresholds(seen: Observation, _: ModelStatus) -> Iterator[Row]:
    for metric in seen.spec.analysis.metrics[:MAX_METRICS]:
        if metric.threshold is not None:
            bounds = {"min": metric.threshold.min, "max": metric.threshold.max}
            yield from (((metric.name, which), float(text)) for which, text in bounds.items() if text is not None)


def _failures(seen: Observation, _: ModelStatus) -> Iterator[Row]:
    for metric in seen.spec.analysis.metrics[:MAX_METRICS]:
        yield (metric.name,), seen.evidence.metric_failures.get(metric.name, 0)


def _failure_limit(seen: Observation, _: ModelStatus) -> Iterator[Row]:
    yield (), seen.spec.analysis.failure_limit


def _off_hours(_: Observation, status: ModelStatus) -> Iterator[Row]:
    yield (), status.off_hours is not None


def _last_rollback(_: Observation, status: ModelStatus) -> Iterator[Row]:
    if status.rollback is not None:
        yield (status.rollback.reason.value,), status.rollback.started_at.timestamp()


def _last_rejection(_: Observation, status: ModelStatus) -> Iterator[Row]:
    newest = max(status.rejected, key=lambda entry: entry.at, default=None)
    if newest is not None:
        yield (newest.reason.value,), newest.at.timestamp()


def _last_pass(seen: Observation, _: ModelStatus) -> Iterator[Row]:
    yield (), seen.now.timestamp()


CONDITION = "psm_model_condition"
STALLED = "psm_model_stalled"

FAMILIES = (
    Family("psm_model_info", "1; what a model follows.", _info, ("group", "region")),
    Family("psm_model_phase", "1; the phase it is in.", _phase, ("phase",)),
    Family(CONDITION, "1; its conditions as they are.", _conditions, ("type", "status", "reason")),
    Family("psm_model_ready", "1 while condition Ready is True.", _is_true(ConditionType.READY)),
    Family(STALLED, "1 while only a person can help.", _is_true(ConditionType.STALLED)),
    Family("psm_model_version", "Version being served; 0 if none.", _version("current")),
    Family("psm_model_stable_version", "Version that is the way back; 0 if none.", _version("stable")),
    Family("psm_model_desired_version", "Version the policy would pick; 0 if none.", _version("desired")),
    Family("psm_model_candidate_version", "Version on its way; 0 if none.", _version("candidate")),
    Family("psm_model_metric", "Metric of the served version.", _metric, ("metric",)),
    Family("psm_model_metric_verdict", "1; verdict on the served version.", _verdict, ("metric", "verdict")),
    Family("psm_model_metric_threshold", "Bound of spec.analysis.", _thresholds, ("metric", "bound")),
    Family("psm_model_metric_failures", "Failed verdicts in a row.", _failures, ("metric",)),
    Family("psm_model_metric_failure_limit", "Failed verdicts in a row that end in a rollback.", _failure_limit),
    Family("psm_model_schedule_active", "1 while a window of spec.schedule is in force.", _off_hours),
    Family("psm_model_last_rollback_timestamp_seconds", "When its last rollback began.", _last_rollback, ("reason",)),
    Family(
        "psm_model_last_rejection_timestamp_seconds",
        "When a version was last rejected, also by a rollback.",
        _last_rejection,
        ("reason",),
    ),
    Family("psm_model_last_pass_timestamp_seconds", "When it was last looked at.", _last_pass),
)
"""Every gauge of a model."""


@dataclass(slots=True)
class Steps:
    """What happened to one model while this process looked: what is known already, and how often something new came.

    A rollback or a rejection that the status told of when this process first saw the model is old: another process
    counted it. Whatever the status tells of later is new, whichever pass wrote it.
    """

    rollback_id: str | None
    rejections: frozenset[tuple[int, float]]
    rollbacks: int = 0
    rejected: int = 0

    @classmethod
    def at_first_sight(cls, status: ModelStatus) -> "Steps":
        """Nothing is new yet."""
        return cls(_rollback_id(status), frozenset(_key(entry) for entry in status.rejected))

    def new_in(self, status: ModelStatus) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """Reasons of rollbacks and of rejections that were not known; they are afterwards."""
        rollbacks: tuple[Reason, ...] = ()
        if status.rollback is not None and status.rollback.id != self.rollback_id:
            rollbacks = (status.rollback.reason,)
        fresh = [entry for entry in status.rejected if _key(entry) not in self.rejections]
        rejections = tuple(entry.reason for entry in fresh if not _is_of_rollback(entry, status))
        self.rollback_id = _rollback_id(status)
        self.rejections = frozenset(_key(entry) for entry in status.rejected)
        self.rollbacks += len(rollbacks)
        self.rejected += len(rejections)
        return rollbacks, rejections


@dataclass(frozen=True, slots=True)
class Shown:
    """One model's rows, by family, and how a scrape shows them."""

    rows: tuple[tuple[Row, ...], ...]
    text: tuple[str, ...]


@dataclass(slots=True)
class ModelSeries:
    """Series of every model that exists."""

    shown: dict[ObjectRef, Shown] = field(default_factory=dict)
    steps: dict[ObjectRef, Steps] = field(default_factory=dict)

    def show(self, seen: Observation, status: ModelStatus) -> None:
        """Replace a model's rows."""
        self._show(seen.ref, tuple(tuple(family.read(seen, status)) for family in FAMILIES))

    def show_unreadable(self, ref: ObjectRef, reason: Reason) -> None:
        """Only a person can help; whatever else was known of it stays."""
        stalled = ConditionType.STALLED.value
        known = self.shown[ref].rows if ref in self.shown else NOTHING
        rows = dict(zip((family.name for family in FAMILIES), known, strict=True))
        others = tuple(row for row in rows[CONDITION] if row[0][0] != stalled)
        rows[CONDITION] = (*others, ((stalled, ConditionStatus.TRUE.value, reason.value), 1))
        rows[STALLED] = (((), 1),)
        self._show(ref, tuple(rows.values()))

    def forget(self, ref: ObjectRef) -> None:
        """The model is gone."""
        self.shown.pop(ref, None)
        self.steps.pop(ref, None)

    def exposition(self) -> str:
        """Every sample in Prometheus' text format; may run in a thread, beside passes that replace rows."""
        shown, counted = tuple(self.shown.values()), tuple(self.steps.items())
        lines = []
        for number, family in enumerate(FAMILIES):
            lines.append(_head(family.name, family.help_text, "gauge"))
            lines += [model.text[number] for model in shown]
        lines.append(_head(ROLLBACKS, "Rollbacks of a model.", "counter"))
        lines += [_sample(ROLLBACKS, ref, (), ((), steps.rollbacks)) for ref, steps in counted]
        lines.append(_head(REJECTIONS, "Candidates of a model that were rejected before they served.", "counter"))
        lines += [_sample(REJECTIONS, ref, (), ((), steps.rejected)) for ref, steps in counted]
        return "".join(lines)

    def _show(self, ref: ObjectRef, rows: tuple[tuple[Row, ...], ...]) -> None:
        before = self.shown.get(ref, Shown(NOTHING, ("",) * len(FAMILIES)))
        text = (
            then if now == rendered else "".join(_sample(family.name, ref, family.labels, row) for row in now)
            for family, now, rendered, then in zip(FAMILIES, rows, before.rows, before.text, strict=True)
        )
        self.shown[ref] = Shown(rows, tuple(text))


NOTHING: Final[tuple[tuple[Row, ...], ...]] = ((),) * len(FAMILIES)
ROLLBACKS: Final = "psm_model_rollbacks_total"
REJECTIONS: Final = "psm_model_rejections_total"

ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
"""Prometheus' own; a name or a region of ours never needs one."""


def _head(name: str, help_text: str, kind: str) -> str:
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"


def _sample(name: str, ref: ObjectRef, names: tuple[str, ...], row: Row) -> str:
    labels, value = row
    own = "".join(f',{label}="{text.translate(ESCAPES)}"' for label, text in zip(names, labels, strict=True))
    return f'{name}{{namespace="{ref.namespace}",name="{ref.name}"{own}}} {float(value)!r}\n'


def _rollback_id(status: ModelStatus) -> str | None:
    return status.rollback.id if status.rollback is not None else None


def _key(entry: Rejection) -> tuple[int, float]:
    return entry.version, entry.at.timestamp()


def _is_of_rollback(entry: Rejection, status: ModelStatus) -> bool:
    """Whether a rejection is the rollback's own: that version served."""
    rollback = status.rollback
    return rollback is not None and entry.version == rollback.from_ and entry.at == rollback.started_at


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
