"""What a command writes, and every refusal: each says what is so and what to do."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from plugin_stories import (
    model_after,
    model_in,
    moved_on,
    pending,
    pinned,
    rejected,
    rolled_back,
    serving,
    soaking,
    suspended,
    told,
    unseen,
    verifying,
)
from world import World

from psm_operator.decide.scene import is_rejected
from psm_operator.kubectl import wishes
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.models import git_owner, parsed
from psm_operator.kubectl.wishes import Wish
from psm_operator.kubectl.writes import merged
from psm_operator.values import Manifest

NOW = datetime(2025, 6, 1, 12, 30, 15, 999, tzinfo=UTC)


async def rolling_back(world: World) -> None:
    """On the way back from the second version."""
    await soaking(world)
    world.annotate({"retail.mlops/rollback": "2@2025-01-01T00:00:00Z"})
    world.polls.poll()
    await world.once()


async def out_of_range(world: World) -> None:
    """The stable version was left out of the range meanwhile."""
    await moved_on(world)
    world.create(version={"range": ">=3"})
    await world.converge()


def rollback(to: int | None = None) -> Callable[[Manifest], Wish]:
    return lambda model: wishes.rollback(model, to, NOW)


def retry(model: Manifest) -> Wish:
    return wishes.retry(model, NOW)


def unreject(*versions: int) -> Callable[[Manifest], Wish]:
    return lambda model: wishes.unreject(model, versions)


REFUSALS: dict[str, tuple[Any, Callable[[Manifest], Wish], str]] = {
    "rollback while pinned": (pinned, rollback(), "is pinned to version 1; `kubectl psm unpin uk-grocery` first"),
    "rollback while suspended": (
        suspended,
        rollback(),
        "is suspended: a rollback would wait unseen; `kubectl psm resume",
    ),
    "rollback of nothing": (pending, rollback(), "serves nothing yet; there is nothing to go back from"),
    "rollback of a model never seen": (unseen, rollback(), "serves nothing yet"),
    "rollback without a way back": (
        serving,
        rollback(),
        "no way back from version 1: no other version has served; pin a version instead",
    ),
    "rollback with every way back rejected": (
        rolled_back,
        rollback(),
        "no way back from version 1: version 2 is rejected; pin a version instead",
    ),
    "rollback during a rollback": (rolling_back, rollback(), "is rolling back from 2 to 1 already; follow it with"),
    "rollback to what serves": (
        moved_on,
        rollback(3),
        r"version 3 serves already; leave --to out.*\(ways back of uk-grocery: 2, 1\)",
    ),
    "rollback to a version that never served": (moved_on, rollback(9), r"version 9 is not in the history; pin it"),
    "rollback to a candidate": (verifying, rollback(2), "version 2 is not in the history; pin it"),
    "rollback to a rejected version": (rolled_back, rollback(2), "version 2 is rejected; unreject it first, or pin it"),
    "rollback out of the range": (out_of_range, rollback(1), "version 1 is outside spec.version.range; pin it instead"),
    "unreject of a version not rejected": (
        rejected,
        unreject(2, 1),
        r"version 1 of uk-grocery is not rejected \(rejected are: 2\); name one of those",
    ),
    "unreject where nothing is rejected": (serving, unreject(1), r"is not rejected \(rejected are: none\)"),
    "retry of what serves": (serving, retry, "serves version 1, the newest approved; there is nothing to retry"),
    "retry of nothing": (pending, retry, "has no version to try: serving nothing yet; none of the 1 versions"),
    "retry of a model never seen": (unseen, retry, "has no version to try: not seen by the operator yet"),
    "retry of what is under way": (
        verifying,
        retry,
        "version 2 of uk-grocery is not rejected; ask `kubectl psm explain",
    ),
    "pin of the version already pinned": (pinned, lambda m: wishes.pin(m, 1), "is pinned to version 1 already"),
    "unpin of what is not pinned": (serving, lambda m: wishes.unpin(m, None), "is not pinned; nothing to do"),
    "suspend again": (suspended, lambda m: wishes.suspend(m, is_wanted=True), "is suspended already; nothing to do"),
    "resume of what runs": (serving, lambda m: wishes.suspend(m, is_wanted=False), "is not suspended; nothing to do"),
}


@pytest.mark.parametrize(("story", "make", "message"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_what_makes_no_sense_is_refused(story: Any, make: Callable[[Manifest], Wish], message: str) -> None:
    model = await model_after(story)
    with pytest.raises(PluginError, match=message):
        make(model)


async def carried_out(story: Any, make: Callable[[Manifest], Wish]) -> tuple[World, Wish]:
    """A story with a wish written at its end, and what the operator makes of it."""
    world = World()
    await story(world)
    model = model_in(world)
    wish = make(model)
    after = merged(model, wish.patch)
    world.annotate(after["metadata"].get("annotations") or {})
    world.create(**{k: v for k, v in after["spec"].items() if k in ("version", "suspend")})
    world.polls.poll()
    await world.converge()
    return world, wish


async def test_a_rollback_goes_to_the_best_way_back() -> None:
    world, wish = await carried_out(moved_on, rollback())
    assert world.serving == 2
    assert wish.done == "rollback requested from version 3 to version 2 or the next that may be served"
    assert world.status.last_handled_rollback == wish.rollback
    assert is_rejected(world.status, 3)


async def test_a_rollback_goes_where_it_is_told() -> None:
    world, wish = await carried_out(moved_on, rollback(1))
    assert world.serving == 1
    assert wish.rollback == "3->1@2025-06-01T12:30:15+00:00"


async def test_a_soaking_version_can_be_left() -> None:
    world, _ = await carried_out(soaking, rollback())
    assert world.serving == 1


async def test_an_unrejected_version_is_free_again() -> None:
    world, wish = await carried_out(rolled_back, unreject(2, 2))
    assert not is_rejected(world.status, 2)
    assert wish.done == "rejection of version 2 cleared"


async def test_unrejecting_one_after_the_other_forgets_neither() -> None:
    """The operator may not have looked between the two."""
    world = World()
    await moved_on(world)
    for _ in range(2):
        world.annotate({"retail.mlops/rollback": f"{world.serving}@{world.clock.now().isoformat()}"})
        world.polls.poll()
        await world.converge()
        await world.pass_time(15)
    model = model_in(world)
    assert [entry["version"] for entry in model["status"]["rejected"]] == [2, 3]
    first = merged(model, wishes.unreject(model, [3]).patch)
    both = wishes.unreject(first, [2]).patch["metadata"]["annotations"]["retail.mlops/unreject"]
    assert [part.split("@")[0] for part in both.split(",")] == ["2", "3"]


async def test_a_retry_also_asks_for_a_look_at_the_registry() -> None:
    world, wish = await carried_out(rolled_back, retry)
    assert wish.target == 2
    assert not is_rejected(world.status, 2)
    assert world.status.last_handled_reconcile_at == "2025-06-01T12:30:15+00:00"


@pytest.mark.parametrize(
    "choice", [None, {"policy": "LatestApproved"}, {"range": ">=1 <9"}], ids=["nothing", "a policy", "a range"]
)
async def test_a_pin_and_its_end_touch_nothing_else(choice: dict[str, str] | None) -> None:
    """What Git wrote beside it stays Git's."""
    model = copy.deepcopy(await model_after(moved_on))
    model["spec"].pop("version")
    if choice is not None:
        model["spec"]["version"] = choice
    wish = wishes.pin(model, 1)
    assert wish.patch == {"spec": {"version": {"pin": 1}}}
    elsewhere = merged(merged(model, wish.patch), wishes.pin(merged(model, wish.patch), 2).patch)
    assert elsewhere["spec"]["version"] == {**(choice or {}), "pin": 2}
    free = wishes.unpin(elsewhere, None)
    assert free.patch == {"spec": {"version": {"pin": None}}}
    assert free.done.endswith("range >=1 <9" if choice == {"range": ">=1 <9"} else "policy LatestApproved")
    assert merged(elsewhere, free.patch)["spec"]["version"] == (choice or {})


async def test_unpin_may_say_what_to_follow() -> None:
    model = await model_after(pinned)
    wish = wishes.unpin(model, {"range": ">=2"})
    assert merged(model, wish.patch)["spec"]["version"] == {"range": ">=2"}
    assert wish.done == "unpinned from version 1, follows range >=2"


async def test_a_pin_of_a_doubtful_version_warns() -> None:
    """It is a person's right, and the operator's answer comes later."""
    assert "version 2 was rejected (accuracy 0.71 < 0.75)" in wishes.pin(await model_after(rejected), 2).warnings[0]
    assert "version 9 is not in the status" in wishes.pin(await model_after(serving), 9).warnings[0]
    assert wishes.pin(await model_after(moved_on), 2).warnings == ()
    assert "nothing changes until `kubectl psm resume" in wishes.pin(await model_after(suspended), 1).warnings[0]


OWNERS: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"labels": {"app.kubernetes.io/instance": "x"}}, ""),
    "a Flux Kustomization": (
        {
            "labels": {
                "kustomize.toolkit.fluxcd.io/name": "apps",
                "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
            }
        },
        "Flux Kustomization flux-system/apps",
    ),
    "a Flux HelmRelease": (
        {"labels": {"helm.toolkit.fluxcd.io/name": "m", "helm.toolkit.fluxcd.io/namespace": "n"}},
        "Flux HelmRelease n/m",
    ),
    "Argo CD by annotation": (
        {
            "annotations": {
                "argocd.argoproj.io/tracking-id": "models:retail.mlops/PriceSensitivityModel:mlops/uk-grocery"
            }
        },
        "Argo CD Application models",
    ),
    "Argo CD by label": ({"labels": {"argocd.argoproj.io/instance": "models"}}, "Argo CD Application models"),
    "Argo CD by its fields": ({"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD"),
}


@pytest.mark.parametrize(("metadata", "owner"), OWNERS.values(), ids=OWNERS.keys())
async def test_an_edit_of_the_spec_warns_of_git(metadata: dict[str, Any], owner: str) -> None:
    """Its next sync would undo it; annotations that Git does not know are left alone."""
    model = model_in(await told(moved_on), **metadata)
    assert git_owner(model) == owner
    edits = [wishes.pin(model, 2), wishes.suspend(model, is_wanted=True)]
    assert [any("make it in Git too" in text for text in wish.warnings) for wish in edits] == [bool(owner)] * 2
    assert wishes.rollback(model, None, NOW).warnings == ()


async def test_a_status_of_a_newer_operator_is_read_as_far_as_it_is_known() -> None:
    """Fields that this plugin does not know are no reason to refuse a rollback."""
    model = copy.deepcopy(await model_after(moved_on))
    model["status"]["mood"] = "good"
    model["status"]["stable"]["colour"] = {"deep": 1}
    model["status"]["history"][1]["weight"] = 3
    assert wishes.rollback(model, None, NOW).target is None
    spec, status = parsed(model)
    assert status.stable is not None
    assert (status.stable.version, spec.suspend, len(status.history)) == (3, False, 3)
    model["status"]["stable"]["version"] = "three"
    assert parsed(model)[1].stable is None
    model["spec"]["interval"] = "1s"
    with pytest.raises(PluginError, match=r"cannot be understood: .*interval must be at least 15s"):
        parsed(model)


def test_a_merge_patch_is_rfc_7386() -> None:
    value = {"a": {"b": 1, "c": 2}, "l": [1]}
    assert merged(value, {"a": {"b": None, "d": {"e": 3}}, "l": [2], "n": None}) == {
        "a": {"c": 2, "d": {"e": 3}},
        "l": [2],
    }
    assert json.dumps(value) == '{"a": {"b": 1, "c": 2}, "l": [1]}'
