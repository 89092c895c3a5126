"""Moving the version depends on the Deployment alone: what another child meets hinders nobody, and is told by its name."""

from collections.abc import Callable

import pytest
from world import REF, World

from psm_operator.adapters.memory_cluster import KIND
from psm_operator.api.conditions import ConditionType, Reason
from psm_operator.api.names import STAMP
from psm_operator.errors import Retryable, Stalled
from psm_operator.values import Approval, Manifest

SIDE = ("ServiceAccount", "NetworkPolicy", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress")
EVERYTHING = {
    "autoscaling": {"minReplicas": 2, "maxReplicas": 6},
    "networking": {"ingress": {"host": "a.example"}},
}


@pytest.fixture
async def world() -> World:
    """Version 2 serves, version 1 is the way back, and there is every kind of child."""
    world = World()
    world.register()
    await world.serve(**EVERYTHING)
    world.register()
    await world.pass_time(90)
    assert world.status.current is not None
    assert world.status.current.version == 2
    return world


def is_invalid(world: World, kind: str) -> None:
    """As validation answers."""
    world.cluster.refusals[kind, REF.name] = f"{kind} is invalid: spec: Invalid value"


def exceeds_a_quota(world: World, kind: str) -> None:
    """As the quota's admission answers: 403, which may pass."""
    message = f"{kind} mlops/{REF.name} is refused by the API server (403 Forbidden): exceeded quota: none"
    world.cluster.refusals[kind, REF.name] = Retryable(message, reason=Reason.CHILD_REJECTED)


def is_denied(world: World, kind: str) -> None:
    """As an admission policy answers: 422, which no spec of ours mends."""
    message = f"{kind} mlops/{REF.name} is refused by the API server (422 Invalid): denied by ValidatingAdmissionPolicy"
    world.cluster.refusals[kind, REF.name] = Stalled(Reason.CHILD_REJECTED, message)


def has_a_webhook_that_is_away(world: World, kind: str) -> None:
    """As an API server answers whose webhook does not."""
    world.cluster.refusals[kind, REF.name] = Retryable(f"the API server answered PATCH {kind} with 500: failed calling")


def is_written_all_the_time(world: World, kind: str) -> None:
    """Somebody writes between every read and write of ours."""

    def interfere(method: str) -> None:
        if method == "apply" and world.cluster.get(kind, REF) is not None:
            number = len(world.cluster.writes)
            world.cluster.edit(
                kind, REF, lambda live: live["metadata"]["labels"].update(n=f"{method}{number}{next(COUNT)}")
            )

    world.cluster.before_call = interfere


COUNT = iter(range(10**6))


def is_taken(world: World, kind: str) -> None:
    """Somebody else controls it now."""
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": REF.namespace, "name": "them"}}
    uid = world.cluster.put(head)["metadata"]["uid"]
    theirs = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "them", "uid": uid, "controller": True}]
    world.cluster.edit(kind, REF, lambda live: live["metadata"].update(ownerReferences=theirs))


def is_theirs_without_an_owner(world: World, kind: str) -> None:
    """Somebody's own object of that name: no owner, no stamp."""
    world.cluster.edit(kind, REF, lambda live: live.update(metadata=_bare(live["metadata"])))


def _bare(metadata: Manifest) -> Manifest:
    bare = {**metadata, "annotations": {}}
    del bare["ownerReferences"]
    return bare


WAYS: tuple[Callable[[World, str], None], ...] = (
    is_invalid,
    exceeds_a_quota,
    is_denied,
    has_a_webhook_that_is_away,
    is_written_all_the_time,
    is_taken,
    is_theirs_without_an_owner,
)


def drift(live: Manifest) -> None:
    """Something for a pass to put right."""
    live["metadata"]["labels"].pop("app.kubernetes.io/name")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.replace("_", " "))
@pytest.mark.parametrize("kind", SIDE)
async def test_a_rollback_waits_for_no_other_child(world: World, kind: str, way: Callable[[World, str], None]) -> None:
    """The revoked version goes, all others are put right, and a condition names the one that is not."""
    for each in SIDE:
        world.cluster.edit(each, REF, drift)
    way(world, kind)
    world.approve(2, Approval.REJECTED)
    for _ in range(8):
        world.clock.advance(15)
        world.polls.poll()
        await world.once()
        world.cluster.settle()
    assert world.serving == 1
    assert world.status.current is not None
    assert world.status.current.version == 1
    for each in set(SIDE) - {kind}:
        live = world.cluster.get(each, REF)
        assert live is not None
        assert "app.kubernetes.io/name" in live["metadata"]["labels"], each
    told = [c.message for c in world.status.conditions if c.type in {ConditionType.STALLED, ConditionType.RECONCILING}]
    assert any((kind in message and REF.name in message) or f"PATCH {kind}" in message for message in told), told
    assert world.last_error is not None, "the queue is to try again"


async def test_the_deployment_goes_first_when_traffic_must_leave(world: World) -> None:
    """Whatever else there is to write in the same pass."""
    for each in SIDE:
        world.cluster.edit(each, REF, drift)
    world.approve(2, Approval.REJECTED)
    before = len(world.cluster.writes)
    await world.pass_time(60)
    children = [line for line in world.cluster.writes[before:] if line.startswith(("apply", "create", "delete"))]
    moved = [line for line in children if "Deployment" in line]
    assert moved
    assert world.serving == 1


@pytest.mark.parametrize("kind", [*SIDE, "Deployment"])
async def test_an_orphan_is_taken_back_as_it_is(world: World, kind: str) -> None:
    """After `--cascade=orphan`, or when somebody takes the owner reference away: no pod is restarted, no size is sent."""
    before = world.cluster.get("Deployment", REF)
    assert before is not None
    world.cluster.edit(kind, REF, lambda live: live["metadata"].pop("ownerReferences"))
    await world.pass_time(30)
    live, after = world.cluster.get(kind, REF), world.cluster.get("Deployment", REF)
    model = world.cluster.get(KIND, REF)
    assert live is not None
    assert after is not None
    assert model is not None
    assert live["metadata"]["ownerReferences"][0]["uid"] == model["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert world.condition(ConditionType.STALLED) is None


async def test_a_model_made_anew_takes_back_what_it_left(world: World) -> None:
    """`kubectl delete --cascade=orphan`, then `kubectl apply`: what serves goes on serving."""
    children = await world.cluster.children(REF, str((world.cluster.get(KIND, REF) or {})["metadata"]["uid"]))
    for kind, _ in children:
        world.cluster.edit(kind, REF, lambda live: live["metadata"].pop("ownerReferences"))
    world.cluster.remove(KIND, REF)
    await world.once()
    world.cluster.settle()
    version, template = world.serving, (world.cluster.get("Deployment", REF) or {})["spec"]["template"]
    await world.serve(**EVERYTHING)
    assert (world.cluster.get("Deployment", REF) or {})["spec"]["template"] == template
    assert world.serving == version
    assert world.condition(ConditionType.STALLED) is None


@pytest.mark.parametrize("way", [is_taken, is_theirs_without_an_owner])
async def test_nobody_is_advised_to_delete_what_serves(world: World, way: Callable[[World, str], None]) -> None:
    """Another name for the model, or the word by which the object is handed over; and that word works."""
    way(world, "Deployment")
    await world.once()
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert stalled.reason is Reason.ADOPTION_CONFLICT
    assert "another name for this model" in stalled.message
    assert "delete" not in stalled.message
    if way is is_theirs_without_an_owner:
        assert f"annotate deployment {REF.name} {STAMP}=handed-over" in stalled.message
        world.cluster.edit("Deployment", REF, lambda live: live["metadata"].update(annotations={STAMP: "handed-over"}))
        await world.pass_time(30)
        assert world.condition(ConditionType.STALLED) is None


STOPPERS: dict[str, tuple[str, Callable[[Manifest], None]]] = {
    "a pause": ("spec.paused is True", lambda live: live["spec"].update(paused=True)),
    "a node selector": (
        "spec.template.spec.nodeSelector is present",
        lambda live: live["spec"]["template"]["spec"].update(nodeSelector={"never": "there"}),
    ),
    "an affinity": (
        "spec.template.spec.affinity is present",
        lambda live: live["spec"]["template"]["spec"].update(affinity={"nodeAffinity": {}, "podAffinity": {"x": 1}}),
    ),
    "a scheduler": (
        "spec.template.spec.schedulerName is theirs",
        lambda live: live["spec"]["template"]["spec"].update(schedulerName="theirs"),
    ),
    "a command": (
        "spec.template.spec.containers[predictor].command is present",
        lambda live: live["spec"]["template"]["spec"]["containers"][0].update(command=["sleep"]),
    ),
    "an init container": (
        "spec.template.spec.initContainers[wait] is present",
        lambda live: live["spec"]["template"]["spec"].update(
            initContainers=[{"name": "side", "restartPolicy": "Always"}, {"name": "wait"}]
        ),
    ),
    "a strategy": (
        "spec.strategy.rollingUpdate.maxUnavailable is 1",
        lambda live: live["spec"]["strategy"]["rollingUpdate"].update(maxSurge=0, maxUnavailable=1),
    ),
    "a long wait": ("spec.minReadySeconds is 500", lambda live: live["spec"].update(minReadySeconds=500)),
    "a short patience": (
        "spec.progressDeadlineSeconds is 1",
        lambda live: live["spec"].update(progressDeadlineSeconds=1),
    ),
}


@pytest.mark.parametrize(("said", "edit"), STOPPERS.values(), ids=STOPPERS.keys())
async def test_what_could_stop_a_rollout_is_put_right_and_named(
    world: World, said: str, edit: Callable[[Manifest], None]
) -> None:
    """The Deployment is again as it was; sidecars of others stay."""
    before = world.cluster.get("Deployment", REF)
    assert before is not None
    world.cluster.edit("Deployment", REF, edit)
    await world.pass_time(30)
    after = world.cluster.get("Deployment", REF)
    assert after is not None
    side = after["spec"]["template"]["spec"].pop("initContainers", [])
    assert [it["name"] for it in side] in ([], ["side"])
    assert after["spec"] == before["spec"]
    repairs = [event.message for event in world.events if event.reason is Reason.REPAIRED]
    assert any(said in message for message in repairs), repairs


async def test_a_budget_with_min_available_is_healed(world: World) -> None:
    """The API server refuses both bounds in one budget, so theirs has to go first."""

    def theirs(live: Manifest) -> None:
        del live["spec"]["maxUnavailable"]
        live["spec"]["minAvailable"] = "100%"

    world.cluster.edit("PodDisruptionBudget", REF, theirs)
    await world.pass_time(30)
    live = world.cluster.get("PodDisruptionBudget", REF)
    assert live is not None
    assert "minAvailable" not in live["spec"]
    assert live["spec"]["maxUnavailable"] == 1
    repairs = [event.message for event in world.events if event.reason is Reason.REPAIRED]
    assert any("spec.minAvailable is 100%, want absent" in message for message in repairs), repairs


async def test_a_write_that_changes_nothing_is_no_repair_and_is_told(world: World) -> None:
    """A webhook puts it back within our own request: no Event each time, and a condition says so."""
    ours = world.cluster.remove_fields

    async def undone(manifest: Manifest, pointers: object) -> Manifest:  # noqa: ARG001  # the port's signature
        return world.cluster.get(manifest["kind"], REF) or {}

    world.cluster.remove_fields = undone  # type: ignore[method-assign]  # the cluster with that webhook
    world.cluster.edit("Deployment", REF, lambda live: live["spec"]["template"]["spec"].update(nodeName="n1"))
    for _ in range(3):
        await world.once()
    stalled = world.condition(ConditionType.STALLED)
    assert stalled is not None
    assert "a write changes nothing" in stalled.message
    assert [event for event in world.events if event.reason is Reason.REPAIRED] == []
    world.cluster.remove_fields = ours  # type: ignore[method-assign]  # gone
    await world.pass_time(15)
    assert world.condition(ConditionType.STALLED) is None
