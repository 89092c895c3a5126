"""What a candidate must pass before traffic moves: an ordered chain of pure checks; the first finding is what the user reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from psm_operator.api.conditions import Reason
from psm_operator.api.status import Candidate, ModelStatus
from psm_operator.decide.packages import is_same
from psm_operator.decide.scene import artifact_of, is_ready, known, proving_workload, serving_target
from psm_operator.decide.verdict import baseline_of, is_regression, judge_metrics
from psm_operator.values import ArtifactState, DataValidation, ModelPackage, Observation, Outcome


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a candidate may not go on.

    Attributes:
        is_final: it never will: reject it. Otherwise wait: the answer is not known yet.
    """

    reason: Reason
    message: str
    is_final: bool


Gate = Callable[[Observation, ModelStatus, ModelPackage], Finding | None]


def package_gate(_: Observation, __: ModelStatus, package: ModelPackage) -> Finding | None:
    """The package must name its artifact and its digest: what cannot be checked is not served."""
    if package.model_data_url and package.sha256:
        return None
    lacks = "psm.sha256 among its customer metadata" if package.model_data_url else "a ModelDataUrl"
    message = f"version {package.version} has no {lacks}; add it, or register the model again"
    return Finding(Reason.PACKAGE_INCOMPLETE, message, is_final=False)


def data_validation_gate(seen: Observation, _: ModelStatus, package: ModelPackage) -> Finding | None:
    """The package must say that its data validation passed."""
    if not seen.spec.analysis.require_data_validation or package.data_validation is DataValidation.PASSED:
        return None
    if package.data_validation is DataValidation.FAILED:
        message = f"version {package.version} says psm.data_validation=failed; fix the data and register a new version"
        return Finding(Reason.DATA_VALIDATION_FAILED, message, is_final=True)
    message = (
        f"version {package.version} does not say psm.data_validation=passed; "
        "add it, or set spec.analysis.requireDataValidation to false"
    )
    return Finding(Reason.DATA_VALIDATION_FAILED, message, is_final=False)


def metrics_gate(seen: Observation, status: ModelStatus, package: ModelPackage) -> Finding | None:
    """Every registered metric must pass its threshold and not be worse than the stable version's."""
    if seen.spec.analysis.dry_run:
        return None
    verdicts = judge_metrics(seen.spec.analysis, package, baseline_of(status, known(seen)))
    for verdict in verdicts:
        if verdict.outcome is Outcome.FAIL:
            regressed = is_regression(seen.spec.analysis, verdict)
            reason = Reason.METRIC_REGRESSION if regressed else Reason.METRIC_BELOW_THRESHOLD
            return Finding(reason, verdict.message, is_final=True)
    for verdict in verdicts:
        if verdict.outcome is not Outcome.PASS:
            return Finding(Reason.METRIC_INCONCLUSIVE, verdict.message, is_final=False)
    return None


def artifact_gate(seen: Observation, _: ModelStatus, package: ModelPackage) -> Finding | None:
    """The artifact must exist with the digest that the package names."""
    artifact = artifact_of(seen, package.version)
    match artifact.state:
        case ArtifactState.PRESENT:
            return None
        case ArtifactState.MISSING:
            return Finding(Reason.ARTIFACT_MISSING, artifact.message, is_final=False)
        case ArtifactState.MISMATCH:
            return Finding(Reason.ARTIFACT_MISMATCH, artifact.message, is_final=True)
        case ArtifactState.UNKNOWN:
            return Finding(Reason.ARTIFACT_UNKNOWN, artifact.message, is_final=False)


AUTOMATIC: tuple[Gate, ...] = (package_gate, data_validation_gate, metrics_gate, artifact_gate)
BY_HAND: tuple[Gate, ...] = (package_gate, artifact_gate)
"""A person who pins a version skips all but what it takes to serve: the artifact and the candidate pod."""


def first_finding(seen: Observation, status: ModelStatus, package: ModelPackage) -> Finding | None:
    """The first gate that a candidate does not pass; None if it passes all."""
    gates = BY_HAND if seen.spec.version.pin is not None else AUTOMATIC
    findings = (gate(seen, status, package) for gate in gates)
    return next((finding for finding in findings if finding is not None), None)


def verification_finding(seen: Observation, status: ModelStatus, candidate: Candidate) -> Finding | None:
    """Whether a pod of the candidate has proved itself: ready means that it answered its golden rows.

    While nothing serves, there is no traffic to protect: the first version proves itself in the serving Deployment.
    """
    verification = seen.spec.rollout.verification
    workload = proving_workload(seen, status)
    if not verification.enabled or is_ready(workload, candidate):
        return None
    pod = workload if workload is not None and is_same(workload, candidate) else None
    failure = pod.failure if pod is not None else ""
    if pod is not None and pod.failure_is_final:
        return Finding(Reason.VERIFICATION_FAILED, f"version {candidate.version}: {failure}", is_final=True)
    limit = timedelta(seconds=verification.timeout_seconds)
    is_tried = pod is not None and pod.is_tried
    if seen.watched < limit or not is_tried or not _is_spec_proven(seen, status):
        waiting = f"waiting for the candidate pod of version {candidate.version}" + (f": {failure}" if failure else "")
        return Finding(Reason.VERIFYING, waiting, is_final=False)
    why = failure or "its pod ran and did not become ready; look at its logs"
    message = f"version {candidate.version} was not ready within {verification.timeout_seconds} s: {why}"
    return Finding(Reason.VERIFICATION_FAILED, message, is_final=True)


def _is_spec_proven(seen: Observation, status: ModelStatus) -> bool:
    """Whether what serves came up with the same spec: if it did not, it is not the version that is at fault."""
    if serving_target(status) is None:
        return True
    is_same = seen.status.observed_generation == seen.generation
    return is_same and seen.serving is not None and seen.serving.complete
