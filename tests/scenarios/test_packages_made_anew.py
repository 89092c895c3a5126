"""Another package under the number of a served one: a group made anew, a digest that was edited. It is another version."""

from typing import Any

from world import GOOD, GROUP, REF, World

from psm_operator.adapters.memory_cluster import KIND, STARTING
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.api.status import Stage
from psm_operator.values import Approval, Manifest

NEW = "f" * 64


async def served(*, versions: int = 1) -> World:
    made = World()
    for _ in range(versions):
        made.register()
    await made.serve()
    assert made.stable == versions
    return made


def make_anew(world: World, *, count: int = 1, **changes: Any) -> None:
    """Somebody deletes the group and registers other models in one of the same name."""
    world.registry.remove_group(GROUP)
    for number in range(count):
        world.register(sha256=f"{NEW[:-1]}{number:x}", **changes)


def digest_that_serves(world: World) -> str:
    """What the pods of the serving Deployment were told to fetch."""
    deployment = world.cluster.get("Deployment", REF)
    assert deployment is not None
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(str(it["value"]) for it in env if it["name"] == "PSM_MODEL_SHA256")


async def test_a_group_made_anew_is_verified_and_served_though_the_number_is_the_same() -> None:
    world = await served()
    make_anew(world, metrics={**GOOD, "accuracy": "0.9"})
    world.cluster.outcomes[1] = STARTING
    await world.pass_time(45)
    status = world.status
    assert (world.phase, digest_that_serves(world)) == ("Verifying", f"{1:064x}")
    assert status.candidate is not None
    assert (status.candidate.stage, status.candidate.sha256) == (Stage.VERIFYING, f"{NEW[:-1]}0")
    assert status.current is not None
    assert "0.9" not in {metric.value for metric in status.current.metrics}, "the new package's metrics are not its own"
    world.cluster.outcomes.clear()
    await world.pass_time(120)
    status = world.status
    assert (world.phase, digest_that_serves(world)) == ("Ready", f"{NEW[:-1]}0")
    assert status.current is not None
    assert status.stable is not None
    assert status.current.sha256 == status.stable.sha256 == f"{NEW[:-1]}0"
    assert "0.9" in {metric.value for metric in status.current.metrics}


async def test_until_the_new_one_serves_the_status_says_that_the_number_is_anothers() -> None:
    world = await served()
    make_anew(world, approval=Approval.PENDING)
    await world.pass_time(60)
    said = f"version 1 of group {GROUP.name} is another package now"
    up_to_date = world.condition(ConditionType.UP_TO_DATE)
    healthy = world.condition(ConditionType.METRICS_HEALTHY)
    assert up_to_date is not None
    assert healthy is not None
    assert (up_to_date.status, up_to_date.message) == (ConditionStatus.FALSE, said)
    assert (healthy.status, healthy.reason) == (ConditionStatus.UNKNOWN, Reason.METRICS_UNREADABLE)
    assert world.status.message.startswith(f"serving 1; {said}; ")


async def test_lower_numbers_of_a_group_made_anew_are_no_way_back_but_news() -> None:
    world = await served(versions=3)
    make_anew(world)
    await world.pass_time(900)
    assert (world.phase, world.serving, digest_that_serves(world)) == ("Ready", 1, f"{NEW[:-1]}0")
    make_anew(world, count=3)
    await world.pass_time(900)
    assert (world.phase, world.serving, digest_that_serves(world)) == ("Ready", 3, f"{NEW[:-1]}2")


async def test_an_edited_digest_is_another_version_and_what_was_approved_before_serves_meanwhile() -> None:
    world = await served(versions=2)
    world.registry.update(GROUP, 2, sha256=NEW)
    package = world.registry.package(GROUP, 2)
    world.artifacts.put(package.model_data_url, NEW)
    await world.pass_time(300)
    assert (world.phase, digest_that_serves(world)) == ("Ready", NEW)
    assert [entry.version for entry in world.status.rejected] == []


async def test_a_rejection_is_of_one_package_only() -> None:
    world = await served()
    world.register(metrics={**GOOD, "accuracy": "0.1"})
    await world.pass_time(60)
    assert [entry.version for entry in world.status.rejected] == [2]
    old = world.status.rejected[0]
    world.registry.delete(GROUP, 2)
    world.clock.advance(60)
    world.register(sha256=old.sha256, metrics=GOOD)
    await world.pass_time(120)
    assert (world.serving, world.status.rejected) == (2, ())


async def test_failures_counted_of_the_old_package_do_not_condemn_the_new_one() -> None:
    world = await served()
    world.create(rollback={"cooldown": "60s"}, rollout={"soak": "0s", "verification": {"enabled": False}})
    make_anew(world)
    for _ in range(4):
        world.clock.advance(2)
        world.polls.poll()
        await world.converge()
    assert (world.serving, digest_that_serves(world), world.status.rejected) == (1, f"{NEW[:-1]}0", ())


async def test_a_missing_digest_is_not_another_one() -> None:
    """Somebody rewrites the metadata and leaves the digest out: that says nothing about what serves."""
    world = await served(versions=2)
    world.registry.update(GROUP, 2, sha256="")
    await world.pass_time(300)
    assert (world.phase, world.serving, world.status.rejected) == ("Ready", 2, ())


async def test_a_status_of_an_operator_before_is_completed_and_nothing_is_restarted() -> None:
    world = await served(versions=2)
    template = world.cluster.get("Deployment", REF)

    def forget_creation(live: Manifest) -> None:
        for name in ("current", "stable"):
            live["status"][name].pop("createdAt")

    world.cluster.edit(KIND, REF, forget_creation)
    world.restart()
    await world.pass_time(60)
    status = world.status
    assert status.current is not None
    assert status.current.created_at == world.registry.package(GROUP, 2).created_at
    assert (world.phase, world.serving, world.cluster.get("Deployment", REF)) == ("Ready", 2, template)


async def test_history_tells_which_package_it_is_about() -> None:
    world = await served()
    world.register()
    await world.pass_time(60)
    world.approve(2, Approval.REJECTED)
    await world.pass_time(45)
    entry = next(entry for entry in world.status.history if entry.to == 1)
    package = world.registry.package(GROUP, 2)
    assert (entry.arn, entry.sha256, entry.created_at) == (package.arn, package.sha256, package.created_at)
