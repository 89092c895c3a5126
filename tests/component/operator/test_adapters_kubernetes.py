"""The Cluster port: one suite, on the in-memory cluster and on a real API server."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from kubernetes.aio.client import Configuration
from timers_by_hand import HandTimer

from psm_local.cluster import Cluster as LocalCluster
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.event_recorder import EventRecorder
from psm_operator.adapters.kinds import BY_KIND, MODEL
from psm_operator.adapters.kube_api import JSON_PATCH, KubeApi
from psm_operator.adapters.kubernetes import KubernetesCluster
from psm_operator.adapters.memory_cluster import MemoryCluster
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.api.conditions import Reason
from psm_operator.api.names import STAMP
from psm_operator.errors import Conflict, Retryable, Stalled
from psm_operator.handlers import take_in
from psm_operator.ports import Cluster
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Event, Manifest, ObjectRef

pytestmark = pytest.mark.component

SPEC = {
    "registry": {"modelPackageGroupName": "price-sensitivity", "region": "ap-southeast-1"},
    "version": {"policy": "LatestApproved"},
}


class Bench(Protocol):
    """A Cluster under test, and what people do to it."""

    port: Cluster

    async def create_model(self, ref: ObjectRef) -> Manifest:
        """Create a model and return it."""

    async def edit_spec(self, ref: ObjectRef) -> Manifest:
        """Change the model's spec."""

    async def delete_model(self, ref: ObjectRef) -> None:
        """Delete the model."""

    async def count_events(self, ref: ObjectRef) -> int:
        """How many Events are about the model."""


class InMemory:
    """The in-memory cluster."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.port: Cluster = self.cluster

    async def create_model(self, ref: ObjectRef) -> Manifest:
        """Create a model and return it."""
        return self.cluster.put_model(ref, SPEC)

    async def edit_spec(self, ref: ObjectRef) -> Manifest:
        """Change the model's spec."""
        return self.cluster.put_model(ref, {**SPEC, "suspend": True})

    async def delete_model(self, ref: ObjectRef) -> None:
        """Delete the model."""
        self.cluster.remove(MODEL.kind, ref)

    async def count_events(self, ref: ObjectRef) -> int:  # noqa: ARG002  # one model per test
        """How many Events are about the model."""
        return len(self.cluster.events)


class OnServer:
    """A real API server."""

    def __init__(self, api: KubeApi) -> None:
        self.api = api
        telemetry = PrometheusTelemetry(version="test")
        self.cache = WatchCache()
        recorder = EventRecorder(api, identity="test", clock=SystemClock(), timer=HandTimer(), metrics=telemetry)
        self.cluster = KubernetesCluster(api, self.cache, recorder)
        self.port: Cluster = self.cluster

    async def create_model(self, ref: ObjectRef) -> Manifest:
        """Create a model and return it."""
        body = {
            "apiVersion": MODEL.api_version,
            "kind": MODEL.kind,
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "spec": SPEC,
        }
        return await self.api.send("POST", MODEL.path(ref.namespace), body=body)

    async def edit_spec(self, ref: ObjectRef) -> Manifest:
        """Change the model's spec."""
        patch: list[Manifest] = [{"op": "add", "path": "/spec/suspend", "value": True}]
        path = MODEL.path(ref.namespace, ref.name)
        return await self.api.send("PATCH", path, body=patch, content_type=JSON_PATCH)

    async def delete_model(self, ref: ObjectRef) -> None:
        """Delete the model."""
        await self.api.send("DELETE", MODEL.path(ref.namespace, ref.name))

    async def count_events(self, ref: ObjectRef) -> int:
        """How many Events are about the model."""
        query = {"fieldSelector": f"regarding.name={ref.name}"}
        found = await self.api.send("GET", f"/apis/events.k8s.io/v1/namespaces/{ref.namespace}/events", query=query)
        return len(found["items"])


@pytest.fixture(params=["memory", "API server"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Each implementation in turn."""
    if request.param == "memory":
        yield InMemory()
        return
    local: LocalCluster = request.getfixturevalue("cluster")
    api = await KubeApi.connect(str(local.kubeconfig))
    yield OnServer(api)
    await api.close()


@pytest.fixture
def ref() -> ObjectRef:
    """A name that no other test uses."""
    return ObjectRef("mlops", f"m-{uuid.uuid4().hex[:8]}")


def service(ref: ObjectRef, model: Manifest | None, **spec: Any) -> Manifest:
    """A child as the operator would apply it; without a model somebody else's."""
    metadata: Manifest = {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": {"app.kubernetes.io/managed-by": "psm-operator"},
    }
    if model is not None:
        owner = {"apiVersion": MODEL.api_version, "kind": MODEL.kind, "name": ref.name, "uid": model["metadata"]["uid"]}
        metadata["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": False}]
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": ref.name}, "ports": ports, **spec},
    }


def deployment(ref: ObjectRef, model: Manifest, version: int, replicas: int | None = 1) -> Manifest:
    """A Deployment of one version."""
    labels = {
        "retail.mlops/model": ref.name,
        "retail.mlops/role": "serving",
        "retail.mlops/version": str(version),
    }
    spec: Manifest = {
        "selector": {"matchLabels": {"retail.mlops/model": ref.name}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "predictor", "image": "none"}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    child = service(ref, model)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": child["metadata"], "spec": spec}


async def test_a_model_is_read_when_nothing_was_told_of_it_and_none_when_gone(bench: Bench, ref: ObjectRef) -> None:
    """What is known comes from the watch; a fresh read that finds nothing is believed at once."""
    assert await bench.port.model(ref) is None
    created = await bench.create_model(ref)
    seen = await bench.port.model(ref)
    assert seen is not None
    assert seen["metadata"]["uid"] == created["metadata"]["uid"]
    await bench.delete_model(ref)
    assert await bench.port.lookup(MODEL.api_version, MODEL.kind, ref) is None
    assert await bench.port.model(ref) is None


async def test_a_conflict_is_learned_from(bench: Bench, ref: ObjectRef) -> None:
    """The next pass decides on what is there, whether or not the watch has told meanwhile."""
    await bench.create_model(ref)
    old = await bench.port.model(ref)
    assert old is not None
    edited = await bench.edit_spec(ref)
    with pytest.raises(Retryable):
        await bench.port.write_status(ref, {"message": "x"}, old["metadata"]["resourceVersion"])
    new = await bench.port.model(ref)
    assert new is not None
    assert new["metadata"]["resourceVersion"] == edited["metadata"]["resourceVersion"]


async def test_a_write_to_a_model_that_went_is_learned_from(bench: Bench, ref: ObjectRef) -> None:
    """Nobody reconciles a ghost until the next sweep."""
    model = await bench.create_model(ref)
    await bench.port.model(ref)
    await bench.delete_model(ref)
    assert await bench.port.write_status(ref, {"message": "x"}, model["metadata"]["resourceVersion"]) is None
    assert await bench.port.model(ref) is None


async def test_what_a_pass_wrote_to_the_status_the_next_pass_sees(bench: Bench, ref: ObjectRef) -> None:
    """Our own writes need no watch event to be seen."""
    model = await bench.create_model(ref)
    await bench.port.model(ref)
    await bench.port.write_status(ref, {"message": "x"}, model["metadata"]["resourceVersion"])
    seen = await bench.port.model(ref)
    assert seen is not None
    assert seen["status"]["message"] == "x"


async def test_what_a_pass_applied_the_next_pass_sees(bench: Bench, ref: ObjectRef) -> None:
    """Our own writes need no watch event to be seen."""
    model = await bench.create_model(ref)
    uid = model["metadata"]["uid"]
    await bench.port.apply(service(ref, model))
    children = await bench.port.children(ref, uid)
    assert set(children) == {("Service", ref.name)}
    child = children["Service", ref.name]
    assert (child["apiVersion"], child["kind"]) == ("v1", "Service")
    await bench.port.delete("v1", "Service", ref, child["metadata"]["uid"])
    assert await bench.port.children(ref, uid) == {}
    assert await bench.port.lookup("v1", "Service", ref) is None


async def test_applying_the_same_twice_changes_nothing(bench: Bench, ref: ObjectRef) -> None:
    """Level-triggered passes must be free of effects when there is nothing to do."""
    model = await bench.create_model(ref)
    first = await bench.port.apply(service(ref, model))
    again = await bench.port.apply(service(ref, model))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_field_left_out_goes(bench: Bench, ref: ObjectRef) -> None:
    """Server-side apply takes away what we no longer ask for."""
    model = await bench.create_model(ref)
    await bench.port.apply(service(ref, model, sessionAffinity="ClientIP", publishNotReadyAddresses=True))
    live = await bench.port.apply(service(ref, model, sessionAffinity="ClientIP"))
    assert "publishNotReadyAddresses" not in live["spec"]


async def test_replicas_survive_when_a_second_manager_holds_them(bench: Bench, ref: ObjectRef) -> None:
    """The hand-over to an autoscaler, and managedFields that say who owns replicas."""
    model = await bench.create_model(ref)
    await bench.port.apply(deployment(ref, model, 1, replicas=3))
    owners = await replica_owners(bench, ref, model)
    assert owners == {"psm-operator"}
    only: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"replicas": 3},
    }
    await bench.port.apply(only, field_manager="keeper")
    live = await bench.port.apply(deployment(ref, model, 1, replicas=None))
    assert live["spec"]["replicas"] == 3
    assert await replica_owners(bench, ref, model) == {"keeper"}


async def replica_owners(bench: Bench, ref: ObjectRef, model: Manifest) -> set[str]:
    """Who owns spec.replicas, from the cached child."""
    children = await bench.port.children(ref, model["metadata"]["uid"])
    fields = children["Deployment", ref.name]["metadata"]["managedFields"]
    return {f["manager"] for f in fields if "f:replicas" in f.get("fieldsV1", {}).get("f:spec", {})}


async def test_objects_of_others_are_found_and_are_no_children(bench: Bench, ref: ObjectRef) -> None:
    """An adoption conflict can be seen before anything is written."""
    model = await bench.create_model(ref)
    await bench.port.apply(service(ref, None))
    found = await bench.port.lookup("v1", "Service", ref)
    assert found is not None
    assert "ownerReferences" not in found["metadata"]
    assert await bench.port.children(ref, model["metadata"]["uid"]) == {}


async def test_what_exists_is_not_created_over(bench: Bench, ref: ObjectRef) -> None:
    """Seen or not: it is handed back as it is, and one that is the model's own is known from then on."""
    model = await bench.create_model(ref)
    assert await bench.port.create(service(ref, model, sessionAffinity="ClientIP")) is None
    again = await bench.port.create(service(ref, model, sessionAffinity="None"))
    assert again is not None
    assert again["spec"]["sessionAffinity"] == "ClientIP"
    assert set(await bench.port.children(ref, model["metadata"]["uid"])) == {("Service", ref.name)}
    theirs = ObjectRef(ref.namespace, f"{ref.name}-theirs")
    await bench.port.apply(service(theirs, None))
    assert await bench.port.create(service(theirs, model)) is not None
    assert set(await bench.port.children(ref, model["metadata"]["uid"])) == {("Service", ref.name)}


async def test_what_was_created_is_applied_by_us(bench: Bench, ref: ObjectRef) -> None:
    """A field left out later goes, as after any apply."""
    model = await bench.create_model(ref)
    await bench.port.create(service(ref, model, publishNotReadyAddresses=True))
    live = await bench.port.apply(service(ref, model))
    assert "publishNotReadyAddresses" not in live["spec"]


async def test_fields_of_others_are_removed_by_name_and_fenced(bench: Bench, ref: ObjectRef) -> None:
    """Server-side apply leaves what another manager owns; a stale look removes nothing."""
    model = await bench.create_model(ref)
    made = await bench.port.apply(service(ref, model))
    both = service(ref, model, publishNotReadyAddresses=True, sessionAffinity="ClientIP")
    theirs = await bench.port.apply(both, field_manager="somebody")
    stale, fresh = (
        {**made, "apiVersion": "v1", "kind": "Service", "metadata": it["metadata"]} for it in (made, theirs)
    )
    with pytest.raises(Conflict):
        await bench.port.remove_fields(stale, ["/spec/publishNotReadyAddresses"])
    live = await bench.port.remove_fields(fresh, ["/spec/publishNotReadyAddresses"])
    assert "publishNotReadyAddresses" not in live["spec"]
    assert live["spec"]["sessionAffinity"] == "ClientIP"


async def test_an_orphan_with_our_marks_is_a_child(bench: Bench, ref: ObjectRef) -> None:
    """Found by a read, however it came to be one."""
    model = await bench.create_model(ref)
    orphan = service(ref, None)
    orphan["metadata"]["annotations"] = {STAMP: "abc"}
    await bench.port.apply(orphan)
    assert await bench.port.lookup("v1", "Service", ref) is not None
    assert set(await bench.port.children(ref, model["metadata"]["uid"])) == {("Service", ref.name)}


async def test_a_successor_under_the_same_name_is_not_deleted(bench: Bench, ref: ObjectRef) -> None:
    """The uid guards."""
    model = await bench.create_model(ref)
    await bench.port.apply(service(ref, model))
    await bench.port.delete("v1", "Service", ref, "11111111-2222-3333-4444-555555555555")
    assert await bench.port.lookup("v1", "Service", ref) is not None


async def test_deleting_what_is_gone_is_success(bench: Bench, ref: ObjectRef) -> None:
    """A second attempt after a crash must not fail."""
    await bench.port.delete("v1", "Service", ref, "11111111-2222-3333-4444-555555555555")


async def test_status_is_replaced_and_fenced(bench: Bench, ref: ObjectRef) -> None:
    """Absent fields go, an old resourceVersion is refused, generation stays, a gone model is None."""
    model = await bench.create_model(ref)
    version = model["metadata"]["resourceVersion"]
    first = await bench.port.write_status(ref, {"phase": "Pending", "message": "one"}, version)
    assert first is not None
    assert first["metadata"]["generation"] == model["metadata"]["generation"]
    with pytest.raises(Retryable, match="somebody else"):
        await bench.port.write_status(ref, {"phase": "Ready"}, version)
    second = await bench.port.write_status(ref, {"phase": "Ready"}, first["metadata"]["resourceVersion"])
    assert second is not None
    assert second["status"] == {"phase": "Ready"}
    await bench.edit_spec(ref)
    with pytest.raises(Retryable):
        await bench.port.write_status(ref, {"phase": "Blocked"}, second["metadata"]["resourceVersion"])
    await bench.delete_model(ref)
    assert await bench.port.write_status(ref, {"phase": "Ready"}, version) is None


GUARD = "retail.mlops/cloudwatch"


async def test_a_finalizer_is_put_on_and_taken_off_and_fenced(bench: Bench, ref: ObjectRef) -> None:
    """By resourceVersion, beside those of others, without a new generation; the next pass sees it."""
    model = await bench.create_model(ref)
    version, generation = model["metadata"]["resourceVersion"], model["metadata"]["generation"]
    await bench.port.model(ref)
    await bench.port.guard(ref, ("example.com/theirs", GUARD), version)
    seen = await bench.port.model(ref)
    assert seen is not None
    assert (seen["metadata"]["finalizers"], seen["metadata"]["generation"]) == (
        ["example.com/theirs", GUARD],
        generation,
    )
    with pytest.raises(Retryable, match="somebody else"):
        await bench.port.guard(ref, (), version)
    await bench.port.guard(ref, (), seen["metadata"]["resourceVersion"])
    seen = await bench.port.model(ref)
    assert seen is not None
    assert not seen["metadata"].get("finalizers")
    await bench.delete_model(ref)
    await bench.port.guard(ref, (GUARD,), version)  # gone already


async def test_a_deleted_model_stays_until_its_last_finalizer_goes(bench: Bench, ref: ObjectRef) -> None:
    """And takes no new one."""
    model = await bench.create_model(ref)
    await bench.port.guard(ref, (GUARD,), model["metadata"]["resourceVersion"])
    await bench.delete_model(ref)
    going = await bench.port.lookup(MODEL.api_version, MODEL.kind, ref)
    assert going is not None
    assert "deletionTimestamp" in going["metadata"]
    version = going["metadata"]["resourceVersion"]
    with pytest.raises(Stalled):
        await bench.port.guard(ref, (GUARD, "retail.mlops/another"), version)
    written = await bench.port.write_status(ref, {"message": "waiting for AWS"}, version)
    assert written is not None
    await bench.port.guard(ref, (), written["metadata"]["resourceVersion"])
    assert await bench.port.model(ref) is None


async def test_one_event_per_key(bench: Bench, ref: ObjectRef) -> None:
    """Recording again after a crash makes no second Event."""
    model = await bench.create_model(ref)
    uid = model["metadata"]["uid"]
    for key in ("rollback/1", "rollback/1", "rollback/2"):
        event = Event("Warning", Reason.ROLLING_BACK, "rolling back from version 3 to 2", key)
        await bench.port.record(ref, uid, event)
    assert await bench.count_events(ref) == 2


async def test_a_refused_child_says_why(api: KubeApi, ref: ObjectRef) -> None:
    """What the API server finds wrong is for a person, with the server's own words."""
    bench = OnServer(api)
    model = await bench.create_model(ref)
    with pytest.raises(Stalled, match=r"Service mlops/.* is refused .*sessionAffinity") as refused:
        await bench.port.apply(service(ref, model, sessionAffinity="Nonsense"))
    assert refused.value.reason is Reason.CHILD_REJECTED
    with pytest.raises(Retryable, match=r"500.*unknownField"):  # the API server's own answer to a field it lacks
        await bench.port.apply(service(ref, model, unknownField=True))
    with pytest.raises(Retryable, match="not found"):
        await bench.port.apply(service(ObjectRef("no-such-namespace", "x"), None))


async def test_an_event_lost_to_a_restart_is_not_made_twice(
    cluster: LocalCluster, api: KubeApi, ref: ObjectRef
) -> None:
    """A new process, which remembers nothing, is refused by the API server and takes that for success."""
    before, after = OnServer(api), OnServer(api)
    uid = (await before.create_model(ref))["metadata"]["uid"]
    event = Event("Normal", Reason.PROMOTED, "version 2 finished its soak", "Promoted/2")
    await before.port.record(ref, uid, event)
    await after.port.record(ref, uid, event)
    assert await before.count_events(ref) == 1
    described = cluster.kubectl("describe", "psm", ref.name, "-n", "mlops")
    assert "version 2 finished its soak" in described


async def test_a_sweep_finds_what_the_watches_missed(cluster: LocalCluster, api: KubeApi, ref: ObjectRef) -> None:
    """Children made and deleted while nobody watched; every model there is."""
    bench, other = OnServer(api), OnServer(api)
    model = await bench.create_model(ref)
    uid = model["metadata"]["uid"]
    await other.port.apply(service(ref, model))
    assert await bench.port.children(ref, uid) == {}
    assert ref in await bench.cluster.sweep(None)
    assert set(await bench.port.children(ref, uid)) == {("Service", ref.name)}
    cluster.kubectl("delete", "service", ref.name, "-n", ref.namespace)
    await bench.cluster.sweep("mlops")
    assert await bench.port.children(ref, uid) == {}


async def test_a_child_that_lost_the_label_is_found_again(cluster: LocalCluster, api: KubeApi, ref: ObjectRef) -> None:
    """The watch says DELETED of it, at the resourceVersion of the edit; a read shows that it lives."""
    bench = OnServer(api)
    model = await bench.create_model(ref)
    uid = model["metadata"]["uid"]
    await bench.port.apply(service(ref, model))
    cluster.kubectl("label", "service", ref.name, "-n", ref.namespace, "app.kubernetes.io/managed-by-")
    edited = await OnServer(api).port.lookup("v1", "Service", ref)
    assert edited is not None
    take_in(bench.cache, BY_KIND["v1", "Service"], "DELETED", edited)
    assert await bench.port.children(ref, uid) == {}
    assert await bench.port.lookup("v1", "Service", ref) is not None
    assert set(await bench.port.children(ref, uid)) == {("Service", ref.name)}
    await bench.cluster.sweep(None)
    assert await bench.port.children(ref, uid) == {}, "the list replaces the cache"
    assert await bench.port.create(service(ref, model)) is not None
    assert set(await bench.port.children(ref, uid)) == {("Service", ref.name)}, "and who creates finds it"


async def test_pods_complain_through_their_labels(cluster: LocalCluster, api: KubeApi, ref: ObjectRef) -> None:
    """Only pods of the asked role and version are heard; those being deleted are not."""
    bench = OnServer(api)
    metadata = {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": {
            "retail.mlops/model": ref.name,
            "retail.mlops/role": "candidate",
            "retail.mlops/version": "7",
        },
    }
    containers = [{"name": "predictor", "image": "none"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers, "nodeSelector": {"never": "there"}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    ended = {"exitCode": 65, "reason": "Error", "message": "sha256 is 3f2a, the package says 9c11"}
    container = {
        "name": "predictor",
        "image": "none",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    patch = json.dumps({"status": {"containerStatuses": [container]}})
    cluster.kubectl("patch", "pod", ref.name, "-n", "mlops", "--subresource=status", "--type=merge", "-p", patch)
    pods = await bench.port.pods(ref, role="candidate", version=7)
    assert pods.failure is not None
    assert pods.failure.is_final
    assert pods.failure.message.endswith("exit code 65 (Error): sha256 is 3f2a, the package says 9c11")
    assert (pods.is_tried, pods.answering) == (True, ())
    assert (await bench.port.pods(ref, role="candidate", version=8)).failure is None
    assert (await bench.port.pods(ref, role="serving", version=7)).failure is None


async def test_an_api_server_that_is_away_is_retryable() -> None:
    """The message names the server and the request."""
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:1"
    api = KubeApi(configuration)
    try:
        with pytest.raises(Retryable, match=r"http://127\.0\.0\.1:1 could not be reached for GET"):
            await OnServer(api).port.model(ObjectRef("mlops", "x"))
    finally:
        await api.close()


@pytest.mark.parametrize(("no_proxy", "proxy"), [("", "http://proxy:3128"), ("api.example.com", None), ("*", None)])
async def test_the_environments_proxy_is_used_unless_it_excepts_the_server(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, proxy: str | None
) -> None:
    """HTTPS_PROXY and NO_PROXY as every client knows them; what the kubeconfig says comes first."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("no_proxy", no_proxy)
    for given, expected in ((None, proxy), ("http://mine:1", "http://mine:1")):
        configuration = Configuration()
        configuration.host = "https://api.example.com:6443"
        configuration.proxy = given
        api = KubeApi(configuration)
        assert api._options.get("proxy") == expected
        await api.close()
