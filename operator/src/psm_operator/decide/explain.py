"""PURE. Why a version is, or is not, served: every rule in the order in which it counts, with its values.

For people (`kubectl psm explain`). Nothing is judged here: each step asks the rule that `settle` asks, and says what it answered.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from psm_operator.api.spec import VersionPolicy
from psm_operator.api.status import ModelStatus, Stage
from psm_operator.decide.explain_gates import NO_REGISTRY, gates
from psm_operator.decide.explain_steps import Answer, Step, judged
from psm_operator.decide.gates import (
    verification_finding,
)
from psm_operator.decide.release import clear_rejections, is_backwards, is_cooling_down, soak_end
from psm_operator.decide.rollback import recent_rollbacks
from psm_operator.decide.scene import (
    answering,
    is_gone,
    is_rolling_back,
    known,
    policy_choice,
    serving_target,
    summary_of,
)
from psm_operator.decide.sizing import is_paused, off_hours
from psm_operator.values import Approval, Observation, PackageSummary

ROLL_OUT = "roll-out"
Rule = Callable[[Observation, int], Iterator[Step]]


def explain(seen: Observation, version: int) -> tuple[Step, ...]:
    """Every rule between a version and its service, in order."""
    rules = SERVED if is_meant(seen, version) else CHAIN
    if known(seen) is not None and summary_of(seen, version) is None:
        rules = (suspension, choice, approval)
    return tuple(step for rule in rules for step in rule(seen, version))


def first_stop(steps: tuple[Step, ...]) -> Step | None:
    """What stands in the way first: what is known to, else what may."""
    known_stops = (step for step in steps if step.answer in (Answer.FAIL, Answer.WAIT))
    unknown = (step for step in steps if step.answer is Answer.UNKNOWN)
    return next(known_stops, None) or next(unknown, None)


def is_served(seen: Observation, version: int) -> bool:
    """Whether pods of this version answer."""
    return version in answering(seen, seen.status)


def is_meant(seen: Observation, version: int) -> bool:
    """Whether the serving Deployment is meant to run this version."""
    serving = serving_target(seen.status)
    return serving is not None and serving.version == version and not is_gone(seen, serving)


def suspension(seen: Observation, _: int) -> Iterator[Step]:
    """Nothing moves while a person holds it."""
    if seen.spec.suspend:
        yield Step("suspend", Answer.FAIL, "true", "false", "nothing is changed until spec.suspend is false")


def choice(seen: Observation, version: int) -> Iterator[Step]:
    """The pin, the range or the policy."""
    wanted = seen.spec.version
    if wanted.pin is not None:
        answer = Answer.PASS if wanted.pin == version else Answer.FAIL
        text = (
            ""
            if wanted.pin == version
            else f"spec.version.pin is {wanted.pin}: nothing else is served until it is removed"
        )
        yield Step("pin", answer, str(version), str(wanted.pin), text)
    elif wanted.range is not None:
        answer = Answer.PASS if wanted.admits(version) else Answer.FAIL
        yield Step(
            "range", answer, str(version), wanted.range, "" if wanted.admits(version) else "outside spec.version.range"
        )
    else:
        yield Step("policy", Answer.PASS, str(version), (wanted.policy or VersionPolicy.LATEST_APPROVED).value)


def approval(seen: Observation, version: int) -> Iterator[Step]:
    """People's word in the registry; a pin does not ask for it."""
    if seen.spec.version.pin is not None and (known(seen) is None or summary_of(seen, version) is not None):
        yield Step("approval", Answer.SKIP, message="a pin does not ask for it")
        return
    row, bound = summary_of(seen, version), Approval.APPROVED.value
    if known(seen) is None:
        desired = seen.status.desired
        is_known = desired is not None and desired.version == version
        was_older = desired is not None and version > desired.version and seen.spec.version.admits(version)
        unread = (
            f"{NO_REGISTRY}; when the operator last did, the newest approved was {desired.version if desired else 0}"
        )
        message = "as the operator last read it" if is_known else unread if was_older else NO_REGISTRY
        yield Step("approval", Answer.PASS if is_known else Answer.UNKNOWN, bound if is_known else "", bound, message)
    elif row is None:
        group = seen.spec.registry.model_package_group_name
        yield Step("approval", Answer.FAIL, "no such version", bound, f"group {group} has no version {version}")
    else:
        is_approved = row.approval is Approval.APPROVED
        message = "" if is_approved else "approve it in SageMaker, or with psm-train approve"
        yield Step("approval", Answer.PASS if is_approved else Answer.FAIL, row.approval.value, bound, message)


def rejection(seen: Observation, version: int) -> Iterator[Step]:
    """A rejection sticks until the version is approved anew, pinned or cleared."""
    entry = next((entry for entry in seen.status.rejected if entry.version == version), None)
    if entry is None:
        yield Step("rejection", Answer.PASS)
        return
    value = entry.reason.value
    ends = not any(kept.version == version for kept in clear_rejections(seen, seen.status).rejected)
    if ends:
        yield Step("rejection", Answer.PASS, value, message="it ends at the operator's next pass")
        return
    ttl = seen.spec.rollback.rejection_ttl
    bound = f"ends after {ttl}" if ttl is not None else ""
    yield Step("rejection", Answer.FAIL, value, bound, f"{entry.message} (at {entry.at:%Y-%m-%dT%H:%M:%SZ})")


def newest(seen: Observation, version: int) -> Iterator[Step]:
    """The policy takes the newest that may serve."""
    if seen.spec.version.pin is not None or any(entry.version == version for entry in seen.status.rejected):
        return
    row = policy_choice(seen, seen.status)
    chosen = row.version if row is not None else None
    if known(seen) is None:
        desired = seen.status.desired
        is_rejected = desired is not None and any(entry.version == desired.version for entry in seen.status.rejected)
        chosen = desired.version if desired is not None and not is_rejected else None
    if chosen is not None and chosen > version:
        yield Step("newest", Answer.FAIL, str(version), str(chosen), f"version {chosen} is newer and may be served")
    elif chosen == version:
        yield Step("newest", Answer.PASS, str(version), str(chosen))


def direction(seen: Observation, version: int) -> Iterator[Step]:
    """By itself only forwards: back is a rollback's affair."""
    current, row = seen.status.current, summary_of(seen, version)
    if seen.spec.version.pin is not None or current is None:
        return
    candidate = seen.status.candidate
    is_tried = candidate is not None and candidate.version == version
    if not is_tried and is_backwards(
        seen, seen.status, row if row is not None else PackageSummary(version, "", Approval.PENDING)
    ):
        message = f"version {current.version} serves; an older one comes back by a rollback or a pin only"
        yield Step("direction", Answer.FAIL, str(version), f"> {current.version}", message)
    else:
        yield Step("direction", Answer.PASS, str(version), f"> {current.version}")


def calm(seen: Observation, _: int) -> Iterator[Step]:
    """A rollback under way, its cooldown, off-hours, and the limit of rollbacks."""
    status, rules = seen.status, seen.spec.rollback
    if seen.spec.version.pin is not None:
        yield Step("cooldown", Answer.SKIP, message="a pin does not wait")
        return
    if is_rolling_back(status) and status.rollback is not None:
        text = f"going back from version {status.rollback.from_} to {status.rollback.to.version}"
        yield Step("rollback", Answer.WAIT, message=text)
    window = off_hours(seen, status) if is_paused(seen, status) else None
    if window is not None:
        yield Step(
            "off-hours", Answer.WAIT, f"{window.replicas} replicas", message=f"until {window.until:%Y-%m-%dT%H:%M:%SZ}"
        )
    if is_cooling_down(seen, status) and status.rollback is not None and status.rollback.finished_at is not None:
        left = status.rollback.finished_at + timedelta(seconds=rules.cooldown_s) - seen.now
        yield Step("cooldown", Answer.WAIT, f"{int(left.total_seconds())}s left", rules.cooldown)
    else:
        yield Step("cooldown", Answer.PASS, bound=rules.cooldown)
    count = recent_rollbacks(seen, status)
    if count >= rules.max_per_hour:
        text = "no rollback happens by itself now: if this version fails, it goes on serving"
        yield Step("rollback limit", Answer.NOTE, f"{count} in the last hour", str(rules.max_per_hour), text)
    else:
        yield Step("rollback limit", Answer.PASS, f"{count} in the last hour", str(rules.max_per_hour))


def proof(seen: Observation, version: int) -> Iterator[Step]:
    """A pod of the candidate proves itself before it takes traffic."""
    verification, candidate = seen.spec.rollout.verification, seen.status.candidate
    bound = f"ready in {verification.timeout_seconds}s"
    if not verification.enabled:
        yield Step("candidate pod", Answer.SKIP, message="spec.rollout.verification.enabled is false")
    elif candidate is None or candidate.version != version or candidate.proving_since is None:
        yield Step("candidate pod", Answer.LATER, "", bound)
    else:
        age = f"for {int((seen.now - candidate.proving_since).total_seconds())}s"
        yield judged("candidate pod", verification_finding(seen, seen.status, candidate), age, bound)


def rollout(seen: Observation, version: int) -> Iterator[Step]:
    """The Deployment moves to the version; then it soaks."""
    spec, candidate = seen.spec.rollout, seen.status.candidate
    deadline = f"progress within {spec.progress_deadline_seconds}s"
    if is_meant(seen, version) and (candidate is None or candidate.version != version):
        yield from _moving(seen, deadline)
        return
    if candidate is None or candidate.version != version or candidate.stage is Stage.VERIFYING:
        yield Step(ROLL_OUT, Answer.LATER, "", deadline)
        yield Step("soak", Answer.LATER, "", spec.soak)
    elif candidate.stage is Stage.PROGRESSING:
        yield from _moving(seen, deadline)
        yield Step("soak", Answer.LATER, "", spec.soak)
    else:
        left = int((soak_end(seen, candidate) - seen.now).total_seconds())
        text = "it serves all traffic, and is watched before it becomes the way back"
        yield Step("soak", Answer.NOTE, f"{max(0, left)}s left", spec.soak, text)


def _moving(seen: Observation, deadline: str) -> Iterator[Step]:
    """How far the serving Deployment is with what it is to run; nothing once every replica runs it."""
    serving = seen.serving
    if serving is None or not serving.complete:
        counts = f"{serving.ready_replicas} of {serving.replicas} ready" if serving is not None else "no Deployment"
        yield Step(ROLL_OUT, Answer.WAIT, counts, deadline, serving.failure if serving is not None else "")


CHAIN: tuple[Rule, ...] = (
    suspension,
    choice,
    approval,
    rejection,
    newest,
    direction,
    calm,
    gates,
    proof,
    rollout,
)
"""Between a version and its service."""

SERVED: tuple[Rule, ...] = (suspension, choice, approval, rejection, gates, rollout)
"""What counts for a version that serves."""


def explained(seen: Observation) -> int | None:
    """The version that a person most likely means: what the policy would pick, else the candidate, else what serves."""
    row = policy_choice(seen, seen.status, ignore_rejections=True)
    if row is not None:
        return row.version
    status: ModelStatus = seen.status
    named = (
        seen.spec.version.pin,
        *(part.version if part else None for part in (status.desired, status.candidate, status.current)),
    )
    return next((version for version in named if version is not None), None)
