"""When `--wait` ends: the wish came true, or it cannot any more."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plugin_stories import model_after, model_in, moved_on, pending, rejected, serving, soaking, verifying
from scripted_server import Answer, scripted
from world import World

from psm_operator.adapters.memory_cluster import STARTING
from psm_operator.kubectl import wishes
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.session import Flags, Session
from psm_operator.kubectl.waiting import judge, wait, wait_for_version
from psm_operator.kubectl.wishes import Wish
from psm_operator.kubectl.writes import merged
from psm_operator.values import Approval, Manifest

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


async def asked(world: World, wish: Wish) -> Manifest:
    """The model with the wish written, before the operator looks."""
    after = merged(model_in(world), wish.patch)
    world.annotate(after["metadata"].get("annotations") or {})
    world.create(**{k: v for k, v in after["spec"].items() if k in ("version", "suspend")})
    return model_in(world)


async def followed(world: World, written: Manifest, wish: Wish) -> list[str]:
    """What `judge` says after each pass of the operator."""
    said = [judge(written, model_in(world), wish)]
    for _ in range(8):
        world.polls.poll()
        await world.once()
        said.append(judge(written, model_in(world), wish))
        world.cluster.settle()
    return said


async def world_of(story: Any) -> World:
    world = World()
    await story(world)
    return world


async def test_a_rollback_came_true_when_every_replica_serves_the_target() -> None:
    world = await world_of(moved_on)
    wish = wishes.rollback(model_in(world), None, NOW)
    said = await followed(world, await asked(world, wish), wish)
    assert said[0] == said[1] == "", "neither the write nor the intent is the end"
    assert said[-1] == "rolled back from version 3 to 2"


async def test_a_rollback_that_has_nowhere_to_go_fails_and_says_how_to_withdraw_it() -> None:
    """What serves goes on serving, and the wish would come true later."""
    world = await world_of(moved_on)
    for version in (1, 2):
        world.approve(version, Approval.REJECTED)
    wish = wishes.rollback(model_in(world), None, NOW)
    written = await asked(world, wish)
    with pytest.raises(
        PluginError, match=r"no earlier version may be served.*withdraw the request with `kubectl annotate"
    ):
        await followed(world, written, wish)
    assert world.serving == 3


async def test_a_rollback_is_void_when_another_version_serves_meanwhile() -> None:
    world = await world_of(soaking)
    wish = wishes.rollback(model_in(world), None, NOW)
    world.create(version={"pin": 1})
    world.polls.poll()
    await world.converge()
    world.create()
    world.annotate(wish.patch["metadata"]["annotations"])
    with pytest.raises(PluginError, match="the request is void: version 2 of uk-grocery was no longer served"):
        await followed(world, model_in(world), wish)


async def test_a_pin_came_true_when_its_version_serves() -> None:
    world = await world_of(moved_on)
    wish = wishes.pin(model_in(world), 1)
    written = await asked(world, wish)
    said = await followed(world, written, wish)
    assert said[0] == "", "the operator has not seen it yet"
    assert said[-1] == "serves version 1"
    assert said.index("serves version 1") > 2, "a candidate that is being verified does not serve"


async def test_a_pin_to_what_served_last_waits_until_the_roll_out_is_undone() -> None:
    """Traffic is half-way to the newer version."""
    world = await world_of(serving)
    world.create(rollout={"soak": "30s", "verification": {"enabled": False}})
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(15)
    wish = wishes.pin(model_in(world), 1)
    written = await asked(world, wish)
    world.cluster.outcomes[1] = STARTING
    assert set(await followed(world, written, wish)) == {""}, "the old pods are not there again"
    world.cluster.outcomes.clear()
    assert (await followed(world, written, wish))[-1] == "serves version 1"


async def test_a_pin_on_what_does_not_exist_fails() -> None:
    world = await world_of(serving)
    wish = wishes.pin(model_in(world), 9)
    with pytest.raises(PluginError, match=r"uk-grocery is stalled: spec.version.pin is 9, which is not in group"):
        await followed(world, await asked(world, wish), wish)


async def test_a_retry_came_true_when_the_version_serves_after_all() -> None:
    world = await world_of(rejected)
    world.measure(2)
    wish = wishes.retry(model_in(world), NOW)
    assert (await followed(world, await asked(world, wish), wish))[-1] == "serves version 2"


async def test_a_retry_that_is_rejected_again_fails_with_the_reason() -> None:
    world = await world_of(rejected)
    wish = wishes.retry(model_in(world), NOW)
    written = await asked(world, wish)
    world.clock.advance(30)
    with pytest.raises(PluginError, match=r"version 2 of uk-grocery was rejected: accuracy 0.71 < 0.75"):
        await followed(world, written, wish)


async def test_a_pin_that_somebody_moves_is_not_waited_for() -> None:
    world = await world_of(moved_on)
    wish = wishes.pin(model_in(world), 1)
    written = await asked(world, wish)
    world.create(version={"pin": 2})
    with pytest.raises(PluginError, match="uk-grocery was pinned to version 2 meanwhile; version 1 is not served"):
        judge(written, model_in(world), wish)


async def test_a_retry_that_a_newer_version_overtakes_is_not_waited_for() -> None:
    world = await world_of(rejected)
    world.measure(2)
    wish = wishes.retry(model_in(world), NOW)
    written = await asked(world, wish)
    world.register()
    with pytest.raises(PluginError, match="version 3 of uk-grocery was approved meanwhile; it goes before version 2"):
        await followed(world, written, wish)


async def test_nothing_comes_true_on_a_suspended_model() -> None:
    world = await world_of(moved_on)
    world.create(suspend=True)
    wish = wishes.pin(model_in(world), 1)
    with pytest.raises(
        PluginError, match="uk-grocery is suspended: nothing moves until `kubectl psm resume uk-grocery`"
    ):
        judge(model_in(world), model_in(world), wish)


async def test_what_still_runs_is_waited_for() -> None:
    model = await model_after(verifying)
    wish = Wish(patch={}, done="", target=2, version=2)
    assert judge(model, model, wish) == ""


async def test_a_status_from_before_the_write_decides_nothing() -> None:
    """Also when it says that the model is stalled."""
    model = await model_after(pending)
    written = copy.deepcopy(model)
    written["metadata"]["generation"] += 1
    assert judge(written, model, wishes.pin(model, 1)) == ""


def session(url: str, said: list[str]) -> Session:
    """A session with a scripted server."""
    home = Path("/nowhere")
    made = Session(Flags(), Environment({}, home, is_terminal=False), said.append, said.append)
    from psm_operator.kubectl.client import KubeClient  # noqa: PLC0415  # as the session does
    from psm_operator.kubectl.kubeconfig import Access  # noqa: PLC0415  # as above

    made.__dict__["client"] = KubeClient(Access(server=url), made.environment)
    return made


def listed(*models: Manifest) -> Answer:
    head = {"apiVersion": "retail.mlops/v1alpha1", "kind": "PriceSensitivityModelList"}
    return Answer({**head, "metadata": {"resourceVersion": "1"}, "items": list(models)})


async def test_waiting_ends_with_its_time_and_says_where_things_stand() -> None:
    model = await model_after(verifying)
    said: list[str] = []
    with (
        scripted(listed(model), Answer(lines=[])) as server,
        pytest.raises(PluginError, match=r"timed out after 1s waiting for uk-grocery \(Verifying: serving 1; 2 ver"),
    ):
        wait(session(server.url, said), model, Wish(patch={}, done="", target=2, version=2), 1.0)
    assert said == [
        "Waiting for uk-grocery: Verifying: serving 1; 2 verifying: waiting for the candidate pod of version 2"
    ]
    assert int(server.asked[1].query["timeoutSeconds"]) == 1, "the watch is not longer than the wait"


async def test_an_operator_that_does_not_look_is_suspected() -> None:
    model = copy.deepcopy(await model_after(verifying))
    model["metadata"]["generation"] += 1
    before = copy.deepcopy(model)
    before["status"]["observedGeneration"] -= 1
    with scripted(lambda asked: Answer(lines=[]) if "watch" in asked.query else listed(before)) as server:
        for wish in (Wish(patch={}, done="", target=2, version=2), Wish(patch={}, done="", rollback="1@x", version=1)):
            with pytest.raises(PluginError, match="the operator has not acted upon it: is it running"):
                wait(session(server.url, []), model, wish, 1.0)


async def test_a_model_that_is_deleted_ends_the_wait() -> None:
    model = await model_after(verifying)
    gone = Answer(lines=[{"type": "DELETED", "object": model}])
    with scripted(listed(model), gone) as server, pytest.raises(PluginError, match="uk-grocery was deleted meanwhile"):
        wait(session(server.url, []), model, Wish(patch={}, done="", target=2, version=2), 30.0)


async def test_what_came_true_already_is_not_waited_for() -> None:
    model = await model_after(moved_on)
    said: list[str] = []
    with scripted(listed(model), Answer(lines=[])) as server:
        wait(session(server.url, said), model, Wish(patch={}, done="", target=3, version=3), 0.0)
    assert said == ["pricesensitivitymodel.retail.mlops/uk-grocery serves version 3"]


async def test_a_pipeline_waits_for_a_version_that_an_approval_brings() -> None:
    """Nothing is written; what serves already is enough."""
    model = await model_after(moved_on)
    said: list[str] = []
    with scripted(Answer(model), listed(model), Answer(lines=[])) as server:
        wait_for_version(session(server.url, said), "uk-grocery", 3, 0.0)
    assert said == ["pricesensitivitymodel.retail.mlops/uk-grocery serves version 3"]
    assert {asked.method for asked in server.asked} == {"GET"}


async def test_a_pipeline_does_not_wait_for_a_version_that_was_rejected() -> None:
    model = await model_after(rejected)
    with (
        scripted(Answer(model)) as server,
        pytest.raises(PluginError, match="version 2 of uk-grocery was rejected: accuracy"),
    ):
        wait_for_version(session(server.url, []), "uk-grocery", 2, 30.0)


async def test_a_pipeline_waits_out_a_stall_from_before_the_approval() -> None:
    """Such as a group that did not exist until the first version was registered."""
    model = await model_after(pending)
    wish = Wish(patch={}, done="", target=1, version=1, is_from_registry=True)
    assert judge(model, model, wish) == ""
    with pytest.raises(PluginError, match="is stalled"):
        judge(model, model, replace(wish, is_from_registry=False))
