"""PURE. The gates of a version, as steps of an explanation: judged anew, or as the operator remembers them in the status."""

from collections.abc import Iterator
from dataclasses import replace

from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.api.metrics import AnalysisMetric
from psm_operator.api.status import Stage
from psm_operator.decide.explain_steps import Answer, Step, judged
from psm_operator.decide.gates import (
    AUTOMATIC,
    BY_HAND,
    Finding,
    Gate,
    artifact_gate,
    data_validation_gate,
    metrics_gate,
    package_gate,
)
from psm_operator.decide.scene import artifact_of, known, package_of
from psm_operator.decide.verdict import baseline_of, judge_metrics
from psm_operator.values import ArtifactState, DataValidation, ModelPackage, Observation, Outcome, Verdict

NO_REGISTRY = "the registry was not read"

NAMES: dict[Gate, str] = {
    package_gate: "package",
    data_validation_gate: "data validation",
    metrics_gate: "metrics",
    artifact_gate: "artifact",
}

ANSWERS = {
    Outcome.PASS: Answer.PASS,
    Outcome.FAIL: Answer.FAIL,
    Outcome.INCONCLUSIVE: Answer.WAIT,
    Outcome.ERROR: Answer.WAIT,
}


def gates(seen: Observation, version: int) -> Iterator[Step]:
    """Every gate, also behind one that stops."""
    for gate in AUTOMATIC:
        if gate not in BY_HAND and seen.spec.version.pin is not None:
            yield Step(NAMES[gate], Answer.SKIP, message="a pin does not ask for it")
        elif gate is metrics_gate:
            yield from metrics(seen, version)
        else:
            yield _gate(gate, seen, version)


def _gate(gate: Gate, seen: Observation, version: int) -> Step:
    package, rule = package_of(seen, version), NAMES[gate]
    if package is None:
        return _remembered(seen, version, gate)
    finding = gate(seen, seen.status, package)
    if gate is data_validation_gate:
        value = package.data_validation.value
        if not seen.spec.analysis.require_data_validation:
            return Step(rule, Answer.SKIP, value, message="spec.analysis.requireDataValidation is false")
        return judged(rule, finding, value, DataValidation.PASSED.value)
    if gate is artifact_gate:
        return _artifact(seen, package, finding)
    return judged(rule, finding)


def _artifact(seen: Observation, package: ModelPackage, finding: Finding | None) -> Step:
    state, rule = artifact_of(seen, package.version).state, NAMES[artifact_gate]
    bound = f"sha256 {package.sha256[:12]}"
    if finding is None:
        return Step(rule, Answer.PASS, state.value, bound, package.model_data_url)
    step = judged(rule, finding, state.value, bound)
    return replace(step, answer=Answer.UNKNOWN) if state is ArtifactState.UNKNOWN else step


def metrics(seen: Observation, version: int) -> Iterator[Step]:
    """One step per metric that the registry has."""
    package = package_of(seen, version)
    if package is None:
        yield from _remembered_metrics(seen, version)
        return
    asked = {metric.name: metric for metric in seen.spec.analysis.metrics}
    for verdict in judge_metrics(seen.spec.analysis, package, baseline_of(seen.status, known(seen))):
        yield _metric(seen, asked[verdict.metric], verdict)


def _metric(seen: Observation, metric: AnalysisMetric, verdict: Verdict) -> Step:
    value = str(verdict.value) if verdict.value is not None else verdict.outcome.value
    message = "" if verdict.outcome is Outcome.PASS else verdict.message
    if seen.spec.analysis.dry_run and message:
        return Step(f"metric {metric.name}", Answer.NOTE, value, _bound(metric), f"dry run, not counted: {message}")
    return Step(f"metric {metric.name}", ANSWERS[verdict.outcome], value, _bound(metric), message)


def _bound(metric: AnalysisMetric) -> str:
    parts = []
    if metric.threshold is not None and metric.threshold.min is not None:
        parts.append(f">= {metric.threshold.min}")
    if metric.threshold is not None and metric.threshold.max is not None:
        parts.append(f"<= {metric.threshold.max}")
    if metric.max_regression is not None:
        parts.append(f"at most {metric.max_regression.absolute} below stable")
    return ", ".join(parts)


def _remembered(seen: Observation, version: int, gate: Gate) -> Step:
    """What the status tells of a gate, without the registry: the candidate passed every gate before the one it waits at."""
    unknown = Step(NAMES[gate], Answer.UNKNOWN, message=_why_unknown(seen, version))
    candidate = seen.status.candidate
    if candidate is None or candidate.version != version:
        return unknown
    passed = Step(NAMES[gate], Answer.PASS, message="as the operator judged it")
    if candidate.stage is not Stage.VERIFYING or candidate.proving_since is not None:
        return passed
    waiting = next((c for c in seen.status.conditions if c.type is ConditionType.RECONCILING), None)
    stop = WAITS.get(waiting.reason) if waiting is not None else None
    if waiting is None or stop is None or AUTOMATIC.index(gate) > AUTOMATIC.index(stop):
        return unknown
    return passed if gate is not stop else Step(NAMES[gate], Answer.WAIT, message=waiting.message)


def _remembered_metrics(seen: Observation, version: int) -> Iterator[Step]:
    gate, current = _remembered(seen, version, metrics_gate), seen.status.current
    judged_then = current.metrics if current is not None and current.version == version else ()
    then = {metric.name: metric for metric in judged_then}
    if gate.answer is Answer.WAIT:
        yield gate
        return
    for metric in seen.spec.analysis.metrics:
        was = then.get(metric.name)
        rule, bound = f"metric {metric.name}", _bound(metric)
        if was is not None:
            yield Step(rule, ANSWERS[Outcome(was.verdict)], was.value, bound, "as the operator last judged it")
        elif metric.cloud_watch is None:
            yield Step(rule, gate.answer, gate.value, bound, gate.message)


WAITS = {
    Reason.PACKAGE_INCOMPLETE: package_gate,
    Reason.DATA_VALIDATION_FAILED: data_validation_gate,
    Reason.METRIC_INCONCLUSIVE: metrics_gate,
    Reason.METRICS_UNREADABLE: metrics_gate,
    Reason.ARTIFACT_MISSING: artifact_gate,
    Reason.ARTIFACT_UNKNOWN: artifact_gate,
}
"""Reason of a wait -> the gate that gives it."""


def _why_unknown(seen: Observation, version: int) -> str:
    return NO_REGISTRY if known(seen) is None else f"version {version} is not described by the registry"
