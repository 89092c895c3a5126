"""The release state machine, driven through the whole reconcile against a cluster and a registry in memory."""

from dataclasses import replace
from typing import Any

import pytest
from world import GOOD, GROUP, REF, World, spec

from psm_operator.adapters.memory import MemoryPolls
from psm_operator.adapters.memory_cluster import KIND, STARTING, UNSERVABLE, PodOutcome
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import HistoryResult, Phase, Stage
from psm_operator.errors import Retryable, Stalled
from psm_operator.values import Approval, DataValidation, ObjectRef

CANDIDATE = ObjectRef(REF.namespace, f"{REF.name}.candidate")
CANDIDATE_MADE = f"create Deployment/{CANDIDATE.name}"


@pytest.fixture
def world() -> World:
    return World()


async def test_a_first_version_is_verified_then_served_then_becomes_the_way_back(world: World) -> None:
    world.register()
    world.cluster.outcomes[1] = STARTING
    world.create()
    await world.converge()
    assert world.phase == "Verifying"
    assert world.status.current is None

    world.cluster.outcomes.clear()
    await world.converge()
    assert world.serving == 1
    assert CANDIDATE_MADE not in world.cluster.writes, "nothing serves that a candidate could harm"
    assert world.status.candidate is not None
    assert world.status.candidate.stage is Stage.SOAKING
    assert world.stable is None

    await world.pass_time(45)
    assert world.phase == "Ready"
    assert world.stable == 1


async def test_a_first_version_that_does_not_become_ready_is_rejected_and_makes_room_for_another(world: World) -> None:
    world.register()
    world.register()
    world.cluster.outcomes[2] = STARTING
    world.create()
    await world.converge()
    assert (world.phase, world.serving) == ("Verifying", 2)
    await world.pass_time(130)
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(2, Reason.VERIFICATION_FAILED)]
    assert (world.phase, world.serving) == ("Soaking", 1)


async def test_a_first_version_that_can_never_serve_is_rejected_and_taken_down(world: World) -> None:
    world.register()
    world.cluster.outcomes[1] = UNSERVABLE
    world.create()
    await world.converge()
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(1, Reason.VERIFICATION_FAILED)]
    assert world.cluster.get("Deployment", REF) is None


async def test_a_later_version_is_verified_apart_from_what_serves(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    assert (world.phase, world.serving) == ("Verifying", 1)
    assert world.cluster.get("Deployment", CANDIDATE) is not None

    world.cluster.outcomes.clear()
    await world.converge()
    assert world.serving == 2
    assert world.cluster.get("Deployment", CANDIDATE) is None


async def test_a_newer_approved_version_is_rolled_out_and_the_old_stays_the_way_back_until_it_soaked(
    world: World,
) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(15)
    status = world.status
    assert world.serving == 2
    assert status.current is not None
    assert status.stable is not None
    assert (status.current.version, status.stable.version) == (2, 1)
    await world.pass_time(45)
    assert world.status.stable is not None
    assert world.status.stable.version == 2


async def test_a_metric_that_regresses_after_deployment_rolls_back_and_rejects_with_the_values(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.71")
    await world.pass_time(30)
    assert world.serving == 2, "two failures of three are not enough"
    await world.pass_time(15)
    assert world.serving == 1
    rejection = world.status.rejected[0]
    assert (rejection.version, rejection.reason) == (2, Reason.METRIC_BELOW_THRESHOLD)
    assert "0.71" in rejection.message
    assert "0.75" in rejection.message
    assert world.status.rollback is not None
    assert world.status.rollback.finished_at is not None
    assert [e.reason for e in world.events].count(Reason.ROLLING_BACK) == 1
    up_to_date = world.condition(ConditionType.UP_TO_DATE)
    assert up_to_date is not None
    assert (up_to_date.status, up_to_date.reason) == (ConditionStatus.FALSE, Reason.REJECTED)


async def test_a_rejected_version_is_not_taken_again_by_itself(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.71")
    await world.pass_time(60)
    world.measure(2, accuracy="0.90")
    world.restart()
    await world.pass_time(600)
    assert world.serving == 1


async def test_a_pass_between_failures_starts_the_count_again(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    for value in ("0.71", "0.71", "0.80", "0.71", "0.71"):
        world.measure(2, accuracy=value)
        await world.pass_time(15)
    assert world.serving == 2


async def test_an_unreadable_metric_is_neither_pass_nor_fail(world: World) -> None:
    world.register()
    await world.serve()
    world.measure(1, accuracy="NaN")
    await world.pass_time(300)
    assert world.serving == 1
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert healthy is not None
    assert (healthy.status, healthy.reason) == (ConditionStatus.UNKNOWN, Reason.METRICS_UNREADABLE)


async def test_a_metric_name_that_does_not_exist_holds_the_candidate_and_names_what_exists(world: World) -> None:
    world.register()
    world.create(analysis={"metrics": [{"name": "acuracy", "threshold": {"min": "0.75"}}]})
    await world.converge()
    await world.pass_time(60)
    assert world.serving is None
    assert "'acuracy'" in world.status.message
    assert "accuracy" in world.status.message


async def test_a_revoked_approval_goes_back_after_a_second_read(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    world.polls.poll()
    await world.converge()
    assert world.serving == 2, "one read confirms nothing"
    assert world.polls.hastened[GROUP] == pytest.approx(1.1)
    await world.pass_time(6, step_s=6)
    assert world.serving == 1
    assert world.status.rejected[0].reason is Reason.APPROVAL_REVOKED


async def test_one_stale_read_of_a_revoked_approval_changes_nothing(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.PENDING)
    world.polls.poll()
    await world.converge()
    world.approve(2)
    await world.pass_time(60)
    assert world.serving == 2
    assert world.status.rejected == ()


async def test_approving_again_after_a_withdrawal_clears_the_rejection(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(45)
    assert world.serving == 1
    world.approve(2)
    await world.pass_time(90)
    assert world.status.rejected == ()
    assert world.serving == 2


async def test_v3_rolls_back_to_v2_and_a_revoked_v2_to_v1(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.register()
    await world.pass_time(60)
    world.measure(3, accuracy="0.70")
    await world.pass_time(60)
    assert world.serving == 2
    world.approve(2, Approval.REJECTED)
    await world.pass_time(45)
    assert world.serving == 1
    assert {entry.version for entry in world.status.rejected} == {2, 3}


async def test_revocation_with_nothing_to_go_back_to_keeps_serving_and_says_so(world: World) -> None:
    world.register()
    await world.serve()
    world.approve(1, Approval.REJECTED)
    await world.pass_time(60)
    assert world.serving == 1
    assert world.status.phase is Phase.BLOCKED
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.NO_ROLLBACK_TARGET
    assert [e.reason for e in world.events].count(Reason.NO_ROLLBACK_TARGET) == 1


SILENCING = pytest.mark.parametrize(
    "rollback",
    [{"onApprovalRevoked": "ScaleToZero"}, {"onNoTarget": "ScaleToZero"}],
    ids=["on a revoked approval", "with no way back"],
)
"""The policies that prefer no answer."""


@SILENCING
async def test_policy_may_prefer_no_answer(world: World, rollback: dict[str, str]) -> None:
    world.register()
    await world.serve(rollback=rollback)
    world.approve(1, Approval.REJECTED)
    await world.pass_time(60)
    assert world.replicas == 0
    world.approve(1)
    await world.pass_time(60)
    assert world.replicas is not None
    assert world.replicas >= 2


@SILENCING
async def test_what_is_unknown_does_not_wake_a_silenced_model(world: World, rollback: dict[str, str]) -> None:
    world.register()
    await world.serve(rollback=rollback)
    world.approve(1, Approval.REJECTED)
    await world.pass_time(60)
    world.registry.fault = Retryable("SageMaker is away", reason=Reason.REGISTRY_UNAVAILABLE)
    before = len(world.cluster.writes)
    await world.pass_time(60)
    world.restart()
    await world.pass_time(60)
    world.registry.fault = None
    await world.pass_time(60)
    resized = [line for line in world.cluster.writes[before:] if "Deployment" in line or "Autoscaler" in line]
    assert (world.replicas, resized) == (0, [])


async def test_a_spec_edit_ends_what_it_was_blocked_by(world: World) -> None:
    world.register()
    await world.serve(rollback={"mode": "Manual"})
    world.register()
    await world.pass_time(90)
    world.measure(2, accuracy="0.60")
    await world.pass_time(60)
    assert world.phase == "Blocked"
    world.restart()
    await world.pass_time(15)
    assert world.phase == "Blocked", "a restart ends nothing"
    world.create(rollback={"mode": "Disabled"})
    await world.pass_time(15)
    assert world.phase == "Ready"


async def test_hold_keeps_a_revoked_version_serving(world: World) -> None:
    world.register()
    await world.serve(rollback={"onApprovalRevoked": "Hold"})
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(120)
    assert world.serving == 2
    up_to_date = world.condition(ConditionType.UP_TO_DATE)
    assert up_to_date is not None
    assert up_to_date.reason is Reason.APPROVAL_REVOKED


async def test_a_registry_outage_moves_nothing(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.registry.fault = Retryable("SageMaker is away", reason=Reason.REGISTRY_UNAVAILABLE)
    await world.pass_time(600)
    assert world.serving == 1
    resolved = world.condition(ConditionType.VERSION_RESOLVED)
    assert resolved is not None
    assert resolved.status is ConditionStatus.UNKNOWN
    assert "SageMaker is away" in world.status.message
    world.registry.fault = None
    await world.pass_time(30)
    assert world.serving == 2


async def test_a_throttled_registry_is_named_and_nothing_moves(world: World) -> None:
    world.register()
    await world.serve()
    world.registry.fault = Retryable("Rate exceeded", reason=Reason.REGISTRY_THROTTLED)
    await world.pass_time(60)
    resolved = world.condition(ConditionType.VERSION_RESOLVED)
    assert resolved is not None
    assert resolved.reason is Reason.REGISTRY_THROTTLED
    assert world.serving == 1


async def test_a_missing_group_stalls_and_says_what_to_correct(world: World) -> None:
    world.registry.remove_group(GROUP)
    world.create()
    await world.converge()
    await world.pass_time(15)
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.MODEL_PACKAGE_GROUP_NOT_FOUND
    assert GROUP.name in stalled.message


async def test_a_group_with_nothing_approved_stalls_until_something_is(world: World) -> None:
    world.register(approval=Approval.PENDING)
    world.create()
    await world.converge()
    await world.pass_time(15)
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.NO_APPROVED_VERSION
    world.approve(1)
    await world.pass_time(15)
    assert world.serving == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metrics": {**GOOD, "accuracy": "0.74"}}, Reason.METRIC_BELOW_THRESHOLD),
        ({"metrics": {**GOOD, "accuracy": "0.751"}}, Reason.METRIC_REGRESSION),
        ({"data_validation": DataValidation.FAILED}, Reason.DATA_VALIDATION_FAILED),
    ],
    ids=["below its threshold", "worse than stable by more than allowed", "data validation failed"],
)
async def test_a_candidate_that_fails_a_gate_is_rejected_before_any_pod_starts(
    world: World, changes: dict[str, Any], reason: Reason
) -> None:
    world.register()
    await world.serve()
    world.register(**changes)
    await world.pass_time(60)
    assert world.serving == 1
    assert [(entry.version, entry.reason) for entry in world.status.rejected] == [(2, reason)]
    assert CANDIDATE_MADE not in world.cluster.writes
    assert world.status.rollback is None


async def test_a_package_without_a_digest_waits_and_says_what_to_add(world: World) -> None:
    package = world.register(sha256="")
    world.create()
    await world.converge()
    await world.pass_time(30)
    assert world.serving is None
    assert "psm.sha256" in world.status.message
    world.registry.update(GROUP, 1, sha256="1" * 64)
    world.artifacts.put(package.model_data_url, "1" * 64)
    await world.pass_time(30)
    assert world.serving == 1


async def test_a_person_may_ask_for_a_look_now(world: World) -> None:
    world.register()
    await world.serve()
    world.cluster.put_model(REF, spec(), {"retail.mlops/requestedAt": "now"})
    await world.once()
    assert world.polls.hastened[GROUP] == 0
    assert world.status.last_handled_reconcile_at == "now"
    world.polls.poll()
    await world.converge()
    assert GROUP not in world.polls.hastened, "one wish is one read"


async def test_a_missing_artifact_waits_and_goes_on_when_it_appears(world: World) -> None:
    package = world.register()
    world.artifacts.remove(package.model_data_url)
    world.create()
    await world.converge()
    await world.pass_time(60)
    assert world.serving is None
    assert package.model_data_url in world.status.message
    world.artifacts.put(package.model_data_url, package.sha256)
    await world.pass_time(30)
    assert world.serving == 1


async def test_an_artifact_with_another_digest_is_rejected(world: World) -> None:
    world.register()
    await world.serve()
    package = world.register()
    world.artifacts.put(package.model_data_url, "f" * 64)
    await world.pass_time(30)
    assert world.serving == 1
    assert world.status.rejected[0].reason is Reason.ARTIFACT_MISMATCH


async def test_a_candidate_whose_pod_says_it_can_never_serve_is_rejected_at_once(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = UNSERVABLE
    await world.pass_time(30)
    assert world.serving == 1
    rejection = world.status.rejected[0]
    assert rejection.reason is Reason.VERIFICATION_FAILED
    assert "golden row 3 differs" in rejection.message
    assert world.cluster.get("Deployment", CANDIDATE) is None


async def test_a_candidate_that_does_not_become_ready_is_rejected_after_the_timeout(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(105)
    assert not world.status.rejected
    await world.pass_time(30)
    assert world.status.rejected[0].reason is Reason.VERIFICATION_FAILED
    assert world.serving == 1


async def test_a_rollout_past_its_deadline_goes_back(world: World) -> None:
    world.register()
    await world.serve(rollout={"soak": "30s", "verification": {"enabled": False}})
    world.register()
    world.cluster.outcomes[2] = PodOutcome(ready=False, message="CrashLoopBackOff", deadline_exceeded=True)
    await world.pass_time(30)
    assert world.serving == 1
    assert world.status.rejected[0].reason is Reason.PROGRESS_DEADLINE_EXCEEDED
    assert "CrashLoopBackOff" in world.status.rejected[0].message


async def test_a_newer_approval_replaces_a_candidate_on_its_way(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    world.register()
    await world.pass_time(30)
    assert world.serving == 3
    assert world.status.rejected == ()
    assert world.status.stable is not None
    assert world.status.stable.version == 1


async def test_a_version_that_made_way_while_soaking_is_still_a_way_back(world: World) -> None:
    world.register()
    world.create()
    await world.converge()
    assert world.stable is None, "version 1 serves and soaks"
    world.register()
    await world.pass_time(15)
    assert world.serving == 2
    world.approve(2, Approval.REJECTED)
    await world.pass_time(30)
    assert world.serving == 1


async def test_a_version_whose_approval_goes_while_verifying_is_dropped_without_rejection(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    world.approve(2, Approval.PENDING)
    await world.pass_time(30)
    assert world.status.candidate is None
    assert world.status.rejected == ()


async def test_a_pin_serves_exactly_that_version_and_never_moves_by_itself(world: World) -> None:
    world.register()
    world.register(metrics={**GOOD, "accuracy": "0.79"})
    await world.serve()
    assert world.serving == 2
    world.create(version={"pin": 1})
    await world.pass_time(60)
    assert world.serving == 1
    world.measure(1, accuracy="0.10")
    world.approve(1, Approval.REJECTED)
    world.register()
    await world.pass_time(300)
    assert world.serving == 1
    assert world.status.rejected == ()


async def test_a_pin_of_a_version_that_does_not_exist_stalls_and_keeps_serving(world: World) -> None:
    world.register()
    await world.serve()
    world.create(version={"pin": 17})
    await world.pass_time(30)
    assert world.serving == 1
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.VERSION_NOT_FOUND


async def test_a_pin_clears_the_rejection_of_its_version(world: World) -> None:
    world.register()
    await world.serve()
    world.register(metrics={**GOOD, "accuracy": "0.60"})
    await world.pass_time(30)
    assert world.status.rejected[0].version == 2
    world.create(version={"pin": 2})
    await world.pass_time(60)
    assert world.serving == 2
    assert world.status.rejected == ()


async def test_a_pinned_version_that_cannot_start_keeps_the_old_one_serving(world: World) -> None:
    world.register()
    await world.serve()
    world.register(approval=Approval.PENDING)
    world.cluster.outcomes[2] = UNSERVABLE
    world.create(version={"pin": 2})
    await world.pass_time(300)
    assert world.serving == 1
    assert "golden row 3 differs" in world.status.message
    assert not world.status.rejected
    assert {entry.result for entry in world.status.history} == {HistoryResult.PROMOTED}, (
        "a person's choice is not rejected"
    )


async def test_suspend_writes_nothing_to_children_and_keeps_the_status_current(world: World) -> None:
    world.register()
    await world.serve()
    world.create(suspend=True)
    world.register()
    world.cluster.remove("Service", REF)
    await world.pass_time(60)
    assert world.cluster.get("Service", REF) is None
    assert world.status.phase is Phase.SUSPENDED
    assert world.status.desired is not None
    assert world.status.desired.version == 2
    assert world.status.candidate is None
    world.create()
    await world.pass_time(30)
    assert world.serving == 2
    assert world.cluster.get("Service", REF) is not None


async def test_nothing_new_starts_within_the_cooldown(world: World) -> None:
    world.register()
    await world.serve(rollback={"cooldown": "10m"})
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.5")
    await world.pass_time(60)
    assert world.serving == 1
    world.register()
    await world.pass_time(300)
    assert world.serving == 1
    await world.pass_time(360)
    assert world.serving == 3


async def test_more_rollbacks_than_the_limit_stop_and_ask_for_a_person(world: World) -> None:
    world.register()
    await world.serve(rollback={"cooldown": "0s", "maxPerHour": 1})
    for version in (2, 3):
        world.register()
        await world.pass_time(60)
        world.measure(version, accuracy="0.5")
        await world.pass_time(60)
    assert world.serving == 3
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.ROLLBACK_LIMIT_EXCEEDED


async def test_the_limit_counts_rollbacks_that_the_history_would_have_forgotten(world: World) -> None:
    world.register()
    await world.serve(rollback={"cooldown": "0s", "maxPerHour": 2}, revisionHistoryLimit=1)
    for version in (2, 3, 4):
        world.register()
        await world.pass_time(60)
        world.measure(version, accuracy="0.5")
        await world.pass_time(60)
    assert world.serving == 4
    assert world.phase == "Blocked"


async def test_a_rollback_that_is_not_automatic_is_reported_and_not_done(world: World) -> None:
    world.register()
    await world.serve(rollback={"mode": "Manual"})
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(60)
    assert world.serving == 2
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.ROLLBACK_NOT_AUTOMATIC


async def test_a_target_that_is_worse_on_the_failing_metric_is_not_gone_back_to(world: World) -> None:
    world.register()
    await world.serve(rollback={"cooldown": "0s"})
    world.register()
    await world.pass_time(60)
    world.measure(1, accuracy="0.60")
    world.measure(2, accuracy="0.70")
    await world.pass_time(120)
    assert world.serving == 2
    assert world.status.phase is Phase.BLOCKED


async def test_a_target_whose_artifact_is_gone_is_not_gone_back_to(world: World) -> None:
    first = world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.artifacts.remove(first.model_data_url)
    world.measure(2, accuracy="0.5")
    await world.pass_time(120)
    assert world.serving == 2
    assert world.phase == "Blocked"
    world.artifacts.put(first.model_data_url, first.sha256)
    await world.pass_time(30)
    assert world.serving == 1


async def test_a_target_that_is_no_longer_approved_is_not_gone_back_to(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.approve(1, Approval.REJECTED)
    world.measure(2, accuracy="0.5")
    await world.pass_time(120)
    assert world.serving == 2
    assert world.phase == "Blocked"


async def test_a_version_under_suspicion_does_not_become_the_way_back(world: World) -> None:
    world.register()
    await world.serve(analysis={"failureLimit": 20})
    world.register()
    await world.pass_time(15)
    world.measure(2, accuracy="0.5")
    await world.pass_time(120)
    assert world.serving == 2
    assert world.stable == 1


async def test_a_first_version_that_is_starting_is_left_to_arrive(world: World) -> None:
    world.register()
    world.cluster.outcomes[1] = STARTING
    world.create(rollout={"soak": "30s", "verification": {"enabled": False}})
    await world.converge()
    assert world.serving == 1
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(30)
    assert world.serving == 1, "taking it down would serve nothing"
    world.cluster.outcomes.clear()
    await world.pass_time(30)
    assert world.serving == 2


async def test_the_intent_is_in_the_status_before_a_child_is_touched(world: World) -> None:
    """A crash between the two finds what was meant and goes on."""
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    world.polls.poll()
    await world.once()
    world.clock.advance(6)
    world.polls.poll()
    before = len(world.cluster.writes)
    await world.once()
    writes = world.cluster.writes[before:]
    assert writes.index("status PriceSensitivityModel/uk-grocery") < writes.index("apply Deployment/uk-grocery")


async def test_a_spec_edit_during_a_rollback_is_applied(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.cluster.outcomes[1] = STARTING
    world.approve(2, Approval.REJECTED)
    await world.pass_time(30)
    assert world.status.phase is Phase.ROLLING_BACK
    world.create(networking={"service": {"port": 8000}})
    await world.pass_time(15)
    service = world.cluster.get("Service", REF)
    assert service is not None
    assert service["spec"]["ports"][0]["port"] == 8000
    assert world.status.phase is Phase.ROLLING_BACK


async def test_a_deleted_and_an_edited_child_are_put_right_with_an_event(world: World) -> None:
    world.register()
    await world.serve()
    world.cluster.remove("Deployment", REF)
    world.cluster.edit("HorizontalPodAutoscaler", REF, lambda hpa: hpa["spec"].update(maxReplicas=99))
    await world.converge()
    hpa = world.cluster.get("HorizontalPodAutoscaler", REF)
    assert world.serving == 1
    assert world.replicas == 2
    assert hpa is not None
    assert hpa["spec"]["maxReplicas"] == 10
    repaired = [event.message for event in world.events if event.reason is Reason.REPAIRED]
    assert any("HorizontalPodAutoscaler" in message and "maxReplicas" in message for message in repaired)
    assert any(message.startswith("Deployment") for message in repaired)


async def test_a_rollout_that_was_asked_for_is_no_repair(world: World) -> None:
    """Writes of the pass that moves the release are its own; only what somebody else changed is repaired."""
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    world.create(networking={"service": {"port": 8000}})
    await world.converge()
    assert world.stable == 2
    assert [event.message for event in world.events if event.reason is Reason.REPAIRED] == []


async def test_an_object_that_is_not_ours_is_refused_and_left_alone(world: World) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": REF.name, "namespace": REF.namespace},
        "spec": {},
    }
    world.cluster.put(theirs)
    world.register()
    world.create()
    for _ in range(3):
        await world.once()
        world.polls.poll()
    assert isinstance(world.last_error, Stalled)
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.ADOPTION_CONFLICT
    assert "Service/uk-grocery" in stalled.message
    service = world.cluster.get("Service", REF)
    assert service is not None
    assert "ownerReferences" not in service["metadata"]
    before = len(world.cluster.writes)
    await world.once()
    assert len(world.cluster.writes) == before, "the second refusal writes nothing"


async def test_nothing_is_said_before_the_registry_was_read_once(world: World) -> None:
    """A restart writes nothing: the first read, good or bad, comes within seconds and says more."""
    world.register()
    world.create()
    await world.converge()
    writes = len(world.cluster.writes)
    world.restart()
    world.polls = MemoryPolls(world.registry)
    world.deps = replace(world.deps, polls=world.polls)
    await world.once()
    assert world.cluster.writes[writes:] == []
    world.polls.poll()
    await world.once()
    assert world.cluster.writes[writes:] == []


async def test_a_child_that_the_api_server_refuses_is_told_in_the_status(world: World) -> None:
    world.cluster.refusals["Service", REF.name] = "exceeded quota"
    world.register()
    world.create()
    await world.once()
    world.polls.poll()
    await world.once()
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.CHILD_REJECTED
    assert "exceeded quota" in stalled.message


async def test_a_quiet_model_causes_no_write(world: World) -> None:
    world.register()
    await world.serve()
    await world.pass_time(30)
    before = len(world.cluster.writes)
    await world.pass_time(600)
    assert world.cluster.writes[before:] == []


async def test_a_model_that_is_gone_is_forgotten(world: World) -> None:
    world.register()
    await world.serve()
    world.cluster.remove(KIND, REF)
    world.cluster.settle()
    await world.once()
    assert world.cluster.get("Deployment", REF) is None
    assert world.polls.interests == {}
    assert world.deps.evidence == {}
    assert world.telemetry.forgotten == [REF]


async def test_nobody_but_the_status_is_written_on_the_resource(world: World) -> None:
    world.register()
    world.create()
    before = world.cluster.get(KIND, REF)
    await world.serve()
    after = world.cluster.get(KIND, REF)
    assert before is not None
    assert after is not None
    assert before["spec"] == after["spec"]
    assert "annotations" not in after["metadata"]
    assert "finalizers" not in after["metadata"]


async def test_a_status_that_somebody_else_wrote_meanwhile_is_retried_not_overwritten(world: World) -> None:
    world.register()
    await world.serve()
    world.register()
    world.polls.poll()

    def interfere(method: str) -> None:
        if method == "children":
            world.cluster.edit(KIND, REF, lambda model: model["metadata"].update(labels={"touched": "yes"}))

    world.cluster.before_call = interfere
    await world.once()
    assert isinstance(world.last_error, Retryable)
    world.cluster.before_call = lambda _: None
    await world.pass_time(30)
    assert world.serving == 2
