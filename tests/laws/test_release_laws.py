"""Laws of release and rollback, checked after every step of random registries, clocks, faults, crashes and spec edits."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from quiet import quiet_hour
from world import GOOD, GROUP, REF, World

from psm_operator.adapters.memory_cluster import KIND, READY, STARTING, UNSERVABLE, PodOutcome
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import Phase, Stage
from psm_operator.decide import decide
from psm_operator.decide.monitoring import FINALIZER
from psm_operator.decide.rollback import Blocked, rollback_decision
from psm_operator.decide.scene import policy_choice, serving_target
from psm_operator.decide.wishes import ROLLBACK, UNREJECT, rollback_text, unreject_text
from psm_operator.errors import Retryable
from psm_operator.observe import Gone, Unreadable, observe
from psm_operator.values import (
    Approval,
    ArtifactState,
    MetricQuery,
    MetricReading,
    Observation,
    RegistryUnknown,
    Snapshot,
)


class ProcessKilledError(Exception):
    """The process was killed at this call."""


VALUES = st.sampled_from(["0.90", "0.80", "0.76", "0.74", "0.10", "NaN", "", "good"])
OUTCOMES = st.sampled_from(
    [READY, STARTING, UNSERVABLE, PodOutcome(ready=False, message="OOMKilled", deadline_exceeded=True)]
)
HOURS = st.fixed_dictionaries(
    {"start": st.sampled_from(["00:30", "20:00"]), "end": st.sampled_from(["01:00", "07:00"])},
    optional={"replicas": st.integers(0, 2)},
)
ACCURACY = {"name": "accuracy", "threshold": {"min": "0.75"}, "maxRegression": {"absolute": "0.02"}}
LIVE = {
    "name": "live_accuracy",
    "source": "CloudWatch",
    "cloudWatch": {"namespace": "PSM", "metricName": "LiveAccuracy", "statistic": "Average", "period": 300},
    "threshold": {"min": "0.75"},
}
WATCHED = {"cloudWatch": {"enabled": True}}
QUERY = MetricQuery("PSM", "LiveAccuracy", "Average", 300)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "suspend": st.booleans(),
        "monitoring": st.just(WATCHED),
        "version": st.one_of(
            st.just({"policy": "LatestApproved"}),
            st.integers(1, 6).map(lambda pin: {"pin": pin}),
            st.sampled_from([">=2", "<3", ">1 <=4 !=3"]).map(lambda versions: {"range": versions}),
        ),
        "schedule": st.fixed_dictionaries(
            {
                "timezone": st.sampled_from(["UTC", "Asia/Singapore", "America/New_York"]),
                "offHours": st.lists(HOURS, min_size=1, max_size=2),
            }
        ),
        "rollout": st.fixed_dictionaries(
            {
                "soak": st.sampled_from(["0s", "30s", "5m"]),
                "verification": st.fixed_dictionaries({"enabled": st.booleans()}),
            }
        ),
        "rollback": st.fixed_dictionaries(
            {
                "mode": st.sampled_from(["Automatic", "Manual", "Disabled"]),
                "onApprovalRevoked": st.sampled_from(["Rollback", "Hold", "ScaleToZero"]),
                "onNoTarget": st.sampled_from(["Hold", "ScaleToZero"]),
                "cooldown": st.sampled_from(["0s", "60s", "10m"]),
                "maxPerHour": st.integers(1, 4),
            },
            optional={"rejectionTTL": st.sampled_from(["30s", "20m"])},
        ),
        "analysis": st.fixed_dictionaries(
            {"failureLimit": st.integers(1, 4), "requireDataValidation": st.booleans(), "dryRun": st.booleans()},
            optional={"metrics": st.just([ACCURACY, LIVE])},
        ),
    },
)


class Release(RuleBasedStateMachine):
    """Random people, jobs and faults around one model."""

    loop: ClassVar[asyncio.AbstractEventLoop] = asyncio.new_event_loop()

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.count = 0
        self.listed: set[int] = set()
        self.served_once = False
        self.has_asked = False

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(step)

    @initialize(changes=SPECS)
    def create(self, changes: dict[str, Any]) -> None:
        self.world.create(**changes)
        self.run(self.world.converge())

    @rule(changes=SPECS)
    def edit(self, changes: dict[str, Any]) -> None:
        self.world.create(**changes)
        self.run(self.world.converge())

    @precondition(lambda self: self.count < 6)
    @rule(approval=st.sampled_from(list(Approval)), value=VALUES, outcome=OUTCOMES, is_stored=st.booleans())
    def register(self, approval: Approval, value: str, outcome: PodOutcome, *, is_stored: bool) -> None:
        package = self.world.register(approval=approval, metrics={**GOOD, "accuracy": value})
        self.world.cluster.outcomes[package.version] = outcome
        if not is_stored:
            self.world.artifacts.remove(package.model_data_url)
        self.count += 1
        self.listed.add(package.version)

    @precondition(lambda self: self.listed)
    @rule(data=st.data())
    def delete_package(self, data: st.DataObject) -> None:
        """Somebody tidies the registry, whatever serves."""
        version = data.draw(st.sampled_from(sorted(self.listed)))
        self.world.registry.delete(GROUP, version)
        self.listed.remove(version)

    @rule(approvals=st.lists(st.sampled_from(list(Approval)), max_size=3), digest=st.sampled_from("abc"))
    def make_group_anew(self, approvals: list[Approval], digest: str) -> None:
        """Somebody deletes the group and begins one of the same name: numbers start again, digests may come back."""
        self.world.registry.remove_group(GROUP)
        self.world.registry.add_group(GROUP)
        for approval in approvals:
            self.world.register(approval=approval, sha256=digest * 64)
        self.listed = set(range(1, len(approvals) + 1))
        self.count = max(self.count, len(approvals))

    @precondition(lambda self: self.listed)
    @rule(data=st.data(), digest=st.sampled_from("abc"), is_stored=st.booleans())
    def edit_digest(self, data: st.DataObject, digest: str, *, is_stored: bool) -> None:
        """Somebody registers another archive under a number that exists."""
        version = data.draw(st.sampled_from(sorted(self.listed)))
        package = self.world.registry.update(GROUP, version, sha256=digest * 64)
        if is_stored:
            self.world.artifacts.put(package.model_data_url, package.sha256)

    @precondition(lambda self: self.listed)
    @rule(data=st.data(), approval=st.sampled_from(list(Approval)))
    def approve(self, data: st.DataObject, approval: Approval) -> None:
        self.world.approve(data.draw(st.sampled_from(sorted(self.listed))), approval)

    @precondition(lambda self: self.listed)
    @rule(data=st.data(), value=VALUES)
    def measure(self, data: st.DataObject, value: str) -> None:
        self.world.measure(data.draw(st.sampled_from(sorted(self.listed))), accuracy=value)

    @precondition(lambda self: self.count)
    @rule(data=st.data(), outcome=OUTCOMES)
    def change_fortune(self, data: st.DataObject, outcome: PodOutcome) -> None:
        self.world.cluster.outcomes[data.draw(st.integers(1, self.count))] = outcome
        self.world.cluster.settle()

    @rule(seconds=st.sampled_from([6, 15, 60, 300, 3700]))
    def pass_time(self, seconds: int) -> None:
        self.run(self.world.pass_time(seconds, step_s=min(seconds, 300)))

    @rule(is_away=st.booleans())
    def registry_away(self, *, is_away: bool) -> None:
        self.world.registry.fault = Retryable("away", reason=Reason.REGISTRY_UNAVAILABLE) if is_away else None

    @rule(value=st.sampled_from([None, Decimal("0.90"), Decimal("0.10")]), error=st.sampled_from(["", "AccessDenied"]))
    def read_live(self, value: Decimal | None, error: str) -> None:
        """CloudWatch has a new datapoint, none, or cannot be asked."""
        at = self.world.clock.now()
        self.world.live_metrics.put(QUERY, MetricReading(None if error else value, at, error))

    @rule(is_unreadable=st.booleans(), version=st.integers(1, 6))
    def evaluation_away(self, version: int, *, is_unreadable: bool) -> None:
        if version in self.listed:
            error = "evaluation.json: AccessDenied" if is_unreadable else ""
            self.world.registry.update(GROUP, version, evaluation_error=error)

    @rule(from_=st.integers(1, 6), to=st.one_of(st.none(), st.integers(1, 6)))
    def ask_back(self, from_: int, to: int | None) -> None:
        """A person asks for a rollback, sensible or not."""
        self.world.annotate({ROLLBACK: rollback_text(from_, to, self.world.clock.now())})
        self.run(self.world.converge())

    @rule()
    def forgive(self) -> None:
        """A person clears every rejection."""
        self.world.annotate({UNREJECT: unreject_text(self.world.status.rejected)})

    @rule(is_away=st.booleans())
    def store_away(self, *, is_away: bool) -> None:
        self.world.artifacts.fault = "away" if is_away else ""

    @rule(is_away=st.booleans())
    def cloudwatch_away(self, *, is_away: bool) -> None:
        def away(_: str) -> None:
            raise Retryable("CloudWatch is away", reason=Reason.MONITORING_UNAVAILABLE)

        self.world.cloudwatch.before_call = away if is_away else lambda _: None

    @rule(calls=st.integers(0, 12))
    def crash(self, calls: int) -> None:
        """The process is killed at its n-th call of the cluster and starts again knowing nothing."""
        left = [calls]

        def count_down(_: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise ProcessKilledError

        before = self.world.cloudwatch.before_call
        self.world.cluster.before_call = self.world.cloudwatch.before_call = count_down
        with suppress(ProcessKilledError):
            self.run(self.world.once())
        self.world.cluster.before_call = lambda _: None
        self.world.cloudwatch.before_call = before
        self.world.restart()

    def observe(self) -> Observation | None:
        seen = self.run(observe(REF, self.world.deps))
        assert not isinstance(seen, Unreadable)
        return None if isinstance(seen, Gone) else seen

    @invariant()
    def deciding_twice_changes_nothing(self) -> None:
        seen = self.observe()
        if seen is None:
            return
        plan = decide(seen, self.world.deps.defaults)
        again = decide(replace(seen, status=plan.release), self.world.deps.defaults)
        assert again.release == plan.release
        assert again.actions == plan.actions

    @invariant()
    def unknown_moves_nothing(self) -> None:
        """With the registry unknown, only what pods say of themselves may change: nothing is chosen, rejected or rolled back."""
        seen = self.observe()
        if seen is None:
            return
        dark = replace(seen, registry=RegistryUnknown(Reason.REGISTRY_UNAVAILABLE, "dark"))
        after = decide(dark, self.world.deps.defaults).release
        assert after.rejected == seen.status.rejected
        assert after.stable == seen.status.stable or after.rollback != seen.status.rollback
        assert (after.rollback and after.rollback.id) == (seen.status.rollback and seen.status.rollback.id)
        if seen.status.candidate is None:
            assert after.candidate is None

    @invariant()
    def a_serving_version_is_never_dropped(self) -> None:
        self.served_once = self.served_once or self.world.status.current is not None
        if self.served_once:
            assert self.world.status.current is not None
            assert self.world.serving is not None

    @invariant()
    def a_rejected_version_is_never_chosen(self) -> None:
        status = self.world.status
        rejected = {entry.version for entry in status.rejected}
        if status.candidate is not None:
            assert status.candidate.version not in rejected
        if status.rollback is not None and status.rollback.finished_at is None:
            assert status.rollback.from_ != status.rollback.to.version

    @invariant()
    def a_window_never_holds_a_moving_version(self) -> None:
        """While a version is on its way the Deployment has the size that it needs to prove it."""
        status, spec = self.world.status, self.world.spec
        candidate = status.candidate
        is_moving = self.world.phase == "RollingBack" or (
            candidate is not None and candidate.stage is Stage.PROGRESSING
        )
        if is_moving and spec.replicas is None and not spec.suspend:
            self.run(self.world.once())
            is_silent = any(c.reason is Reason.SCALED_TO_ZERO for c in self.world.status.conditions)
            assert is_silent or self.world.replicas != 0

    @invariant()
    def traffic_moves_only_to_what_exists(self) -> None:
        """A version takes traffic only after its artifact was seen with its digest."""
        seen = self.observe()
        if seen is None or seen.status.candidate is not None:
            return
        plan = decide(seen, self.world.deps.defaults)
        candidate = plan.release.candidate
        if candidate is not None and candidate.stage is Stage.PROGRESSING:
            assert seen.artifacts[candidate.version].state is ArtifactState.PRESENT

    @invariant()
    def what_is_shown_is_of_the_package_that_serves(self) -> None:
        """No metric of another package under the same number is shown, counted or gone back for."""
        seen = self.observe()
        if seen is None or not isinstance(seen.registry, Snapshot):
            return
        serving = serving_target(seen.status)
        package = seen.registry.packages.get(serving.version) if serving is not None else None
        if serving is None or package is None or package.created_at == serving.created_at:
            return
        after = decide(seen, self.world.deps.defaults).release
        assert seen.evidence.metric_failures == {}
        assert seen.evidence.revoked_since is not None
        if after.current is not None and after.current.created_at == serving.created_at:
            assert after.current.metrics == (seen.status.current.metrics if seen.status.current else ())

    @invariant()
    def every_event_happens_once(self) -> None:
        rollbacks = [e.key for e in self.world.events if e.reason is Reason.ROLLING_BACK]
        assert len(rollbacks) == len(set(rollbacks))

    @invariant()
    def what_is_in_aws_is_guarded(self) -> None:
        """Nothing is there without the finalizer, and a model that never asked never has it."""
        is_guarded = FINALIZER in (self.world.cluster.get(KIND, REF) or {})["metadata"].get("finalizers", ())
        assert is_guarded or self.world.cloudwatch.is_empty
        self.has_asked = self.has_asked or self.world.spec.monitoring.cloud_watch.enabled
        assert self.has_asked or not is_guarded

    def delete(self) -> None:
        """With the faults over, nothing of the model is left in AWS, and then nothing of it here."""
        self.world.cluster.remove(KIND, REF)
        self.run(self.world.converge())
        assert self.world.cluster.get(KIND, REF) is None
        assert self.world.cloudwatch.is_empty

    def teardown(self) -> None:
        """Once the faults end, every path comes to rest within bounded time, and rest is silent."""
        self.world.registry.fault = None
        self.world.cloudwatch.before_call = lambda _: None
        self.world.artifacts.fault = ""
        self.world.cluster.outcomes = dict.fromkeys(range(1, 7), READY)
        self.run(quiet_hour(self.world))
        status = self.world.status
        resting = {Phase.READY, Phase.BLOCKED, Phase.SUSPENDED, Phase.PENDING, Phase.DEGRADED}
        is_doubted = any(c.reason is Reason.APPROVAL_REVOKED for c in status.conditions)
        is_asleep = status.off_hours is not None
        is_held = status.candidate is not None and (
            status.candidate.stage is Stage.VERIFYING or is_doubted or is_asleep
        )
        assert status.phase in resting or is_held, status.model_dump_json(exclude_none=True, indent=1)
        assert isinstance(self.world.polls.view(GROUP), Snapshot)
        self.nothing_is_asked_for_early()
        self.what_may_not_serve_is_told()
        self.nothing_withdrawn_serves_while_another_may()
        self.delete()

    def nothing_is_asked_for_early(self) -> None:
        """At rest the registry is read once every interval, whatever it lists no more."""
        self.world.clock.advance(15)
        self.world.polls.poll()
        self.run(self.world.once())
        assert self.world.polls.hastened == {}

    def nothing_withdrawn_serves_while_another_may(self) -> None:
        """Blocked for want of a way back, by a withdrawal, means that nothing at all is approved that could be tried."""
        seen = self.observe()
        stalled = self.world.condition(ConditionType.STALLED)
        if seen is None or stalled is None or stalled.reason is not Reason.NO_ROLLBACK_TARGET or seen.status.off_hours:
            return
        decision = rollback_decision(seen, seen.status)
        if isinstance(decision, Blocked) and decision.trigger.reason is Reason.APPROVAL_REVOKED:
            assert policy_choice(seen, seen.status) is None

    def what_may_not_serve_is_told(self) -> None:
        """What serves is approved in the registry, or the status says that it should not serve."""
        serving, view = serving_target(self.world.status), self.world.polls.view(GROUP)
        assert isinstance(view, Snapshot)
        if serving is None or self.world.spec.version.pin is not None:
            return
        approved = {(row.version, row.created_at) for row in view.summaries if row.approval is Approval.APPROVED}
        package = view.packages.get(serving.version)
        is_same = package is not None and serving.sha256 == package.sha256
        may_serve = (serving.version, serving.created_at) in approved and is_same
        up_to_date = self.world.condition(ConditionType.UP_TO_DATE)
        assert may_serve or (up_to_date is not None and up_to_date.status is ConditionStatus.FALSE)


TestRelease = Release.TestCase
TestRelease.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
