"""Sums a decision up for people and machines: phase, one sentence, and every condition with its reason."""

from psm_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason, shortened
from psm_operator.api.status import Desired, ModelStatus, OffHoursStatus, Phase, Served, Stage
from psm_operator.decide.desired.model import serving_selector
from psm_operator.decide.evidence import is_doubted, is_revocation_seen
from psm_operator.decide.gates import Finding, first_finding, verification_finding
from psm_operator.decide.monitoring.told import monitoring_ready
from psm_operator.decide.packages import is_same
from psm_operator.decide.rollback import Blocked
from psm_operator.decide.scene import (
    answering,
    is_gone,
    is_rejected,
    is_rolling_back,
    known,
    own_package,
    policy_choice,
    requested_at,
    serving_target,
    withdrawal,
)
from psm_operator.decide.sizing import is_paused, off_hours
from psm_operator.decide.verdict import is_regression, judge_current, metric_values
from psm_operator.decide.wishes import unreadable_wish
from psm_operator.values import Observation, Outcome, RegistryUnknown, Verdict

Judgement = tuple[ConditionStatus, Reason, str]
TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def summarise(seen: Observation, release: ModelStatus, blocked: Blocked | None) -> ModelStatus:
    """The whole status: the release as decided, and what it means."""
    stall = find_stall(seen, release, blocked)
    waiting = waiting_for(seen, release)
    verdicts = judge_current(seen, release)
    judged: dict[ConditionType, Judgement | None] = {
        ConditionType.READY: _ready(seen, release),
        ConditionType.RECONCILING: _reconciling(seen, release, waiting),
        ConditionType.STALLED: (TRUE, *stall) if stall is not None else None,
        ConditionType.VERSION_RESOLVED: _version_resolved(seen, release),
        ConditionType.AVAILABLE: _available(seen, release),
        ConditionType.METRICS_HEALTHY: _metrics_healthy(seen, release, verdicts),
        ConditionType.UP_TO_DATE: _up_to_date(seen, release),
        ConditionType.MONITORING_READY: monitoring_ready(seen),
    }
    if _is_unread(seen):
        judged |= {kind: _as_before(seen, kind) for kind in OF_THE_REGISTRY}
    own = (_condition(seen, kind, judgement) for kind, judgement in judged.items() if judgement is not None)
    conditions = (*own, *(known for known in seen.status.conditions if known.type not in judged))  # others' stay
    return release.model_copy(
        update={
            "observed_generation": seen.generation,
            "phase": phase(seen, release, stall),
            "message": shortened(sentence(seen, release, stall, waiting)),
            "current": _with_metrics(seen, release.current, verdicts),
            "replicas": seen.serving.replicas if seen.serving is not None else 0,
            "ready_replicas": seen.serving.ready_replicas if seen.serving is not None else 0,
            "selector": serving_selector(seen.ref),
            "url": url(seen),
            "last_handled_reconcile_at": requested_at(seen),
            "conditions": conditions,
        }
    )


OF_THE_REGISTRY = (
    ConditionType.STALLED,
    ConditionType.VERSION_RESOLVED,
    ConditionType.METRICS_HEALTHY,
    ConditionType.UP_TO_DATE,
)


BLOCKED = frozenset({Reason.NO_ROLLBACK_TARGET, Reason.ROLLBACK_LIMIT_EXCEEDED, Reason.ROLLBACK_NOT_AUTOMATIC})
"""Why a rollback that is due does not happen."""


def _is_unread(seen: Observation) -> bool:
    """Whether this process has not read the registry yet: that is no news about a model that another one reported on."""
    if not isinstance(seen.registry, RegistryUnknown) or seen.registry.reason is not Reason.NOT_CHECKED:
        return False
    resolved = _as_before(seen, ConditionType.VERSION_RESOLVED)
    was_read = resolved is not None and resolved[1] is not Reason.NOT_CHECKED
    return was_read and seen.status.observed_generation == seen.generation


def _as_before(seen: Observation, kind: ConditionType) -> Judgement | None:
    before = next((condition for condition in seen.status.conditions if condition.type is kind), None)
    return (before.status, before.reason, before.message) if before is not None else None


def _is_still_blocked(seen: Observation, release: ModelStatus, reason: Reason) -> bool:
    """Whether a rollback was due, and only the count that said so was forgotten by a restart: the doubt is there."""
    serving = serving_target(release)
    is_doubt_about_it = serving is not None and is_same(seen.evidence, serving) and is_doubted(seen.evidence)
    is_same_spec = seen.status.observed_generation == seen.generation
    return reason in BLOCKED and is_doubt_about_it and is_same_spec and known(seen) is not None


def _is_being_replaced(release: ModelStatus, blocked: Blocked) -> bool:
    """Whether a version that never served is proving itself, to serve instead of one that has no way back."""
    is_verifying = release.candidate is not None and release.candidate.stage is Stage.VERIFYING
    return is_verifying and blocked.reason is Reason.NO_ROLLBACK_TARGET


def find_stall(seen: Observation, release: ModelStatus, blocked: Blocked | None) -> tuple[Reason, str] | None:
    """What only a person can end, worst first."""
    before = _as_before(seen, ConditionType.STALLED)
    if before is not None and (_is_unread(seen) or (blocked is None and _is_still_blocked(seen, release, before[1]))):
        return before[1:]
    if blocked is not None and not _is_being_replaced(release, blocked):
        return blocked.reason, blocked.message
    is_unknown = isinstance(seen.registry, RegistryUnknown)
    if isinstance(seen.registry, RegistryUnknown) and seen.registry.reason is Reason.MODEL_PACKAGE_GROUP_NOT_FOUND:
        return seen.registry.reason, seen.registry.message
    stuck = _stuck(seen, release)
    if stuck is not None or is_unknown:
        return stuck
    is_idle = serving_target(release) is None and release.candidate is None
    if policy_choice(seen, release) is None and (is_idle or seen.spec.version.pin is not None):
        return _nothing_to_choose(seen, release)
    return None


def _stuck(seen: Observation, release: ModelStatus) -> tuple[Reason, str] | None:
    """A Deployment that does not come up with what is meant to serve, where no rollback is the answer."""
    target, serving = serving_target(release), seen.serving
    if target is None or serving is None or serving.version != target.version or not serving.deadline_exceeded:
        return None
    limit = seen.spec.rollout.progress_deadline_seconds
    why = f": {serving.failure}" if serving.failure else ""
    message = f"version {target.version} was not rolled out within {limit} s{why}"
    return Reason.PROGRESS_DEADLINE_EXCEEDED, f"{message}; correct the spec, or make room for its pods"


def _nothing_to_choose(seen: Observation, release: ModelStatus) -> tuple[Reason, str]:
    group = seen.spec.registry.model_package_group_name
    if seen.spec.version.pin is not None:
        message = (
            f"spec.version.pin is {seen.spec.version.pin}, which is not in group {group}; pin a version that exists"
        )
        return Reason.VERSION_NOT_FOUND, message
    if release.rejected:
        last = release.rejected[0]
        message = f"every approved version of group {group} is rejected, last {last.version}: {last.message}"
        return Reason.NO_APPROVED_VERSION, f"{message}; approve another version or pin one"
    count = len(seen.registry.summaries) if not isinstance(seen.registry, RegistryUnknown) else 0
    within = f" in range {seen.spec.version.range!r}" if seen.spec.version.range is not None else ""
    return Reason.NO_APPROVED_VERSION, f"none of the {count} versions of group {group} is approved{within}; approve one"


def waiting_for(seen: Observation, release: ModelStatus) -> Finding | None:
    """What a verifying candidate waits for."""
    candidate = release.candidate
    if candidate is None or candidate.stage is not Stage.VERIFYING:
        return None
    package = own_package(seen, candidate)
    finding = first_finding(seen, release, package) if package is not None else None
    return finding or verification_finding(seen, release, candidate)


def phase(seen: Observation, release: ModelStatus, stall: tuple[Reason, str] | None) -> Phase:
    """One word for people."""
    if seen.spec.suspend:
        return Phase.SUSPENDED
    if is_rolling_back(release):
        return Phase.ROLLING_BACK
    serving = serving_target(release)
    if stall is not None and serving is not None:
        return Phase.DEGRADED if stall[0] is Reason.PROGRESS_DEADLINE_EXCEEDED else Phase.BLOCKED
    if release.candidate is not None:
        return Phase(release.candidate.stage.value)
    if release.current is None:
        return Phase.PENDING
    return Phase.READY if seen.serving is not None and seen.serving.available else Phase.DEGRADED


def sentence(seen: Observation, release: ModelStatus, stall: tuple[Reason, str] | None, waiting: Finding | None) -> str:
    """What is served, and what stands in the way of more."""
    versions = answering(seen, release)
    nothing = "serving nothing yet" if release.current is None else "serving nothing now"
    parts = [f"serving {_listed(versions)}" if versions else nothing]
    if seen.spec.suspend:
        parts.append("suspended: nothing is changed until spec.suspend is false")
    if is_rolling_back(release) and release.rollback is not None:
        parts.append(f"rolling back from {release.rollback.from_}: {release.rollback.message}")
    window = off_hours(seen, release)
    if window is not None:
        parts.append(_off_hours(window))
    if waiting is not None and release.candidate is not None:
        parts.append(f"{release.candidate.version} verifying: {waiting.message}")
    available = _available(seen, release)
    if not versions and release.current is not None and available[1] is Reason.UNAVAILABLE:
        parts.append(available[2])
    parts.append(stall[1] if stall is not None else _trouble_of_registry(seen))
    parts += [_rejected(release)] if stall is None else []
    return "; ".join(part for part in (*parts, unreadable_wish(seen)) if part)


def _listed(versions: tuple[int, ...]) -> str:
    return " and ".join(str(version) for version in versions)


def _trouble_of_registry(seen: Observation) -> str:
    resolved = _as_before(seen, ConditionType.VERSION_RESOLVED)
    if _is_unread(seen) and resolved is not None:
        return resolved[2] if resolved[0] is UNKNOWN else ""
    return seen.registry.message if isinstance(seen.registry, RegistryUnknown) else ""


def _off_hours(window: OffHoursStatus) -> str:
    return f"off-hours until {window.until:%Y-%m-%dT%H:%M:%SZ}: {window.replicas} replicas"


def _rejected(release: ModelStatus) -> str:
    wanted = release.desired.version if release.desired is not None else None
    entries = [entry for entry in release.rejected if entry.version == wanted] or list(release.rejected[:1])
    return f"{entries[0].version} rejected: {entries[0].message}" if entries else ""


def _ready(seen: Observation, release: ModelStatus) -> Judgement:
    serving = serving_target(release)
    available = _available(seen, release)
    if serving is None:
        return FALSE, Reason.PENDING, "no version is served yet"
    if release.current is None or available[0] is not TRUE:
        return FALSE, available[1] if release.current is not None else Reason.PROGRESSING, available[2]
    if available[1] is Reason.OFF_HOURS:
        return available
    versions = answering(seen, release) or (release.current.version,)
    return TRUE, Reason.SERVING, f"version {_listed(versions)} answer{'s' if len(versions) == 1 else ''}"


def _reconciling(seen: Observation, release: ModelStatus, waiting: Finding | None) -> Judgement | None:
    if seen.spec.suspend:
        return None
    if is_rolling_back(release) and release.rollback is not None:
        return TRUE, Reason.ROLLING_BACK, f"going back to version {release.rollback.to.version}"
    candidate = release.candidate
    if candidate is None or candidate.stage is Stage.SOAKING:
        is_moving = seen.serving is not None and not seen.serving.complete
        return (TRUE, Reason.PROGRESSING, "the Deployment is rolling out a change") if is_moving else None
    reason = waiting.reason if waiting is not None else Reason(candidate.stage.value)
    message = waiting.message if waiting is not None else f"version {candidate.version}: {candidate.stage.value}"
    return TRUE, reason, message


def _version_resolved(seen: Observation, release: ModelStatus) -> Judgement:
    if isinstance(seen.registry, RegistryUnknown):
        return UNKNOWN, seen.registry.reason, seen.registry.message
    row = policy_choice(seen, release, ignore_rejections=True)
    if row is None:
        return (FALSE, *_nothing_to_choose(seen, release))
    pinned = seen.spec.version.pin is not None
    reason = Reason.PINNED if pinned else Reason.RESOLVED
    where = f" in range {seen.spec.version.range!r}" if seen.spec.version.range is not None and not pinned else ""
    return TRUE, reason, f"{'pinned to' if pinned else 'newest approved is'} version {row.version}{where}"


def _available(seen: Observation, release: ModelStatus) -> Judgement:
    if seen.serving is None:
        return FALSE, Reason.PENDING, "there is no Deployment yet"
    window = off_hours(seen, release)
    if window is not None and window.replicas == 0:
        return TRUE, Reason.OFF_HOURS, _off_hours(window)
    if seen.serving.available and seen.serving.ready_replicas > 0:
        return TRUE, Reason.AVAILABLE, "enough replicas answer"
    if seen.serving.replicas == 0 and seen.serving.complete:
        return FALSE, Reason.SCALED_TO_ZERO, "no replica is wanted"
    serving = serving_target(release)
    who = f"version {serving.version}" if serving is not None else "the Deployment"
    return (
        FALSE,
        Reason.UNAVAILABLE,
        f"{who}: too few replicas answer{': ' + seen.serving.failure if seen.serving.failure else ''}",
    )


def _metrics_healthy(seen: Observation, release: ModelStatus, verdicts: tuple[Verdict, ...]) -> Judgement:
    if not verdicts:
        return _unjudged(seen, release)
    failed = [v for v in verdicts if v.outcome is Outcome.FAIL]
    if failed:
        is_worse = all(is_regression(seen.spec.analysis, v) for v in failed)
        reason = Reason.METRIC_REGRESSION if is_worse else Reason.METRIC_BELOW_THRESHOLD
        note = "; dryRun: nothing follows from it" if seen.spec.analysis.dry_run else ""
        return FALSE, reason, "; ".join(v.message for v in failed) + note
    unclear = [v for v in verdicts if v.outcome is Outcome.INCONCLUSIVE]
    if unclear:
        return UNKNOWN, Reason.METRIC_INCONCLUSIVE, "; ".join(v.message for v in unclear)
    unread = [v for v in verdicts if v.outcome is Outcome.ERROR]
    if unread:
        return _unread(seen, unread)
    return TRUE, Reason.METRICS_PASS, ", ".join(v.message for v in verdicts)


def _unjudged(seen: Observation, release: ModelStatus) -> Judgement:
    serving = release.current
    if isinstance(seen.registry, RegistryUnknown):
        return UNKNOWN, seen.registry.reason, "metrics cannot be read"
    if serving is not None and is_gone(seen, serving):
        return UNKNOWN, Reason.METRICS_UNREADABLE, f"{withdrawal(seen, serving)}, and its metrics with it"
    return UNKNOWN, Reason.NOT_CHECKED, "no version is served yet, or no metric is asked for"


def _unread(seen: Observation, unread: list[Verdict]) -> Judgement:
    """A read that fails now and then says nothing yet: the condition stays until it failed often enough."""
    limit = seen.spec.analysis.consecutive_error_limit
    before = _as_before(seen, ConditionType.METRICS_HEALTHY)
    is_lasting = any(seen.evidence.metric_errors.get(v.metric, 0) >= limit for v in unread)
    if is_lasting or before is None:
        return UNKNOWN, Reason.METRICS_UNREADABLE, "; ".join(v.message for v in unread)
    return before


def _up_to_date(seen: Observation, release: ModelStatus) -> Judgement:
    if known(seen) is None:
        return UNKNOWN, Reason.REGISTRY_UNAVAILABLE, "the registry cannot be read"
    serving = release.current
    desired = release.desired
    if is_revocation_seen(seen.evidence) and serving is not None and is_same(seen.evidence, serving):
        return FALSE, Reason.APPROVAL_REVOKED, withdrawal(seen, serving)
    if desired is None:
        return (FALSE, *_nothing_to_choose(seen, release)) if serving else (FALSE, Reason.PENDING, "nothing to serve")
    is_wanted = serving is not None and serving.version == desired.version and not is_gone(seen, serving)
    if is_wanted and not is_rejected(release, desired.version):
        return TRUE, Reason.SERVING, "what is served is what the policy picks"
    return _behind(seen, release, desired)


def _behind(seen: Observation, release: ModelStatus, desired: Desired) -> Judgement:
    rejection = next((entry for entry in release.rejected if entry.version == desired.version), None)
    if rejection is not None:
        return FALSE, Reason.REJECTED, f"version {desired.version} rejected: {rejection.message}"
    if is_paused(seen, release):
        return FALSE, Reason.OFF_HOURS, f"version {desired.version} waits for the end of off-hours"
    is_another = release.current is not None and release.current.version == desired.version
    what = "was made anew and " if is_another else ""
    return FALSE, Reason.PROGRESSING, f"version {desired.version} {what}is not served yet"


def _with_metrics(seen: Observation, current: Served | None, verdicts: tuple[Verdict, ...]) -> Served | None:
    package = own_package(seen, current)
    if current is None or package is None or not verdicts:
        return current
    return current.model_copy(update={"metrics": metric_values(package, verdicts)})


def url(seen: Observation) -> str:
    """Where to send requests: the Ingress host, or the Service inside the cluster."""
    ingress = seen.spec.networking.ingress
    if ingress is not None:
        scheme = "https" if ingress.tls_secret_name else "http"
        return f"{scheme}://{ingress.host}{ingress.path}"
    port = seen.spec.networking.service.port
    return f"http://{seen.ref.name}.{seen.ref.namespace}.svc" + ("" if port == 80 else f":{port}")  # noqa: PLR2004  # http's own port


def _condition(seen: Observation, kind: ConditionType, judgement: Judgement) -> Condition:
    status, reason, message = judgement
    before = next((old for old in seen.status.conditions if old.type is kind), None)
    is_same = before is not None and before.status is status
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        observed_generation=seen.generation,
        last_transition_time=before.last_transition_time if before is not None and is_same else seen.now,
    )
