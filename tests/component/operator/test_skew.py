"""CRD and operator of neighbouring versions on a real API server, which prunes, defaults and validates as it will."""

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from crds import install_crd
from timers_by_hand import HandTimer
from world import REF, World, spec

from psm_local.cluster import Cluster
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.event_recorder import EventRecorder
from psm_operator.adapters.kube_api import KubeApi
from psm_operator.adapters.kubernetes import KubernetesCluster
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.api.crd import crd
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.api.status import ModelStatus
from psm_operator.api.stored import read_status
from psm_operator.errors import Retryable
from psm_operator.reconcile import reconcile
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import ObjectRef

pytestmark = pytest.mark.component

Json = dict[str, Any]
NEW: Json = {"type": "string", "default": "new", "description": "A field of the next version."}
PASSES = 400
"""Simulated nodes need a second or two per roll-out; a pass needs a hundredth."""


def newer() -> Json:
    """The next version's CRD: one more field, with a default, in every object that has named fields."""
    made = crd()
    root = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]

    def grow(node: Json) -> None:
        for child in list(node.get("properties", {}).values()):
            grow(child)
        if "items" in node:
            grow(node["items"])
        if "properties" in node:
            node["properties"]["fieldOfTheNextVersion"] = copy.deepcopy(NEW)

    grow(root["spec"])
    grow(root["status"])
    return made


def older() -> Json:
    """The version before's CRD: without fields that a version could have added."""
    made = crd()
    root = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for name in ("suspend", "schedule", "monitoring", "revisionHistoryLimit"):
        del root["spec"]["properties"][name]
    rollout = root["spec"]["properties"]["rollout"]
    del rollout["properties"]["verification"], rollout["default"]["verification"]
    for name in ("url", "selector", "history", "stable", "offHours"):
        del root["status"]["properties"][name]
    del root["status"]["properties"]["current"]["properties"]["deployedAt"]
    return made


CRDS = {"one field more": newer, "some fields fewer": older}


class Skewed(World):
    """An operator of this version over a real API server whose CRD is another version's; the registry is in memory."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        super().__init__()
        telemetry = PrometheusTelemetry(version="test")
        recorder = EventRecorder(api, identity="test", clock=SystemClock(), timer=HandTimer(), metrics=telemetry)
        self.real = KubernetesCluster(api, WatchCache(), recorder)
        self.deps = replace(self.deps, cluster=self.real)
        self.ref = ObjectRef(namespace, REF.name)

    async def look(self) -> Json:
        """The model as the API server has it."""
        found = await self.real.lookup(API_VERSION, KIND, self.ref)
        assert found is not None
        return found

    async def run_until_stable(self, version: int) -> None:
        """Passes, with the watches' news and time in between, until the version finished its soak."""
        for _ in range(PASSES):
            self.clock.advance(1)
            self.polls.poll()
            await self.real.sweep(self.ref.namespace)
            try:
                await reconcile(self.ref, self.deps)
            except Retryable:
                continue
            status = read_status((await self.look()).get("status") or {})
            if status.current is not None and status.current.version == version and is_at_rest(status):
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"version {version} is not served: {(await self.look()).get('status')}")


def is_at_rest(status: ModelStatus) -> bool:
    """Whether nothing is under way."""
    return status.candidate is None and status.phase is not None and status.phase.value == "Ready"


@pytest.fixture(params=list(CRDS.values()), ids=list(CRDS))
def skewed(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    """A namespace under another version's CRD; afterwards this version's is there again."""
    namespace = f"skew-{request.param.__name__}"
    cluster.kubectl("create", "namespace", namespace)
    argv = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    cluster.kubectl(*argv, stdin=json.dumps(request.param()))
    yield namespace
    cluster.kubectl("delete", "namespace", namespace)
    cluster.kubectl("replace", "-f", "-", stdin=json.dumps(with_version(cluster)))
    install_crd(cluster)


def with_version(cluster: Cluster) -> Json:
    """This version's CRD as a replacement of the one that is there."""
    there = json.loads(cluster.kubectl("get", "crd", crd()["metadata"]["name"], "-o", "json"))
    made = crd()
    made["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
    return made


@pytest.fixture
async def world(api: KubeApi, skewed: str) -> Skewed:
    """An operator that has a version to serve."""
    made = Skewed(api, skewed)
    made.register()
    return made


async def test_a_model_is_served_moved_on_and_left_in_peace(world: Skewed, cluster: Cluster) -> None:
    """Under a CRD of one version more or fewer: no stop, no loss, and no write without a reason."""
    head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": REF.name, "namespace": world.ref.namespace}}
    changes = {"rollout": {"soak": "3s", "minReadySeconds": 0}, "replicas": 1}
    manifest = json.dumps({**head, "spec": spec(**changes)})
    await asyncio.to_thread(cluster.kubectl, "create", "-f", "-", stdin=manifest)
    await world.run_until_stable(1)
    world.register()
    await world.run_until_stable(2)
    before = await world.look()
    is_newer = "fieldOfTheNextVersion" in before["spec"]
    assert is_newer == ("fieldOfTheNextVersion" in before["spec"]["rollout"])
    if is_newer:
        assert (
            before["status"]["fieldOfTheNextVersion"] == before["status"]["current"]["fieldOfTheNextVersion"] == "new"
        )
        patch = json.dumps({"status": {"fieldOfTheNextVersion": "told", "message": "x"}})
        argv = (
            "patch",
            "psm",
            REF.name,
            "-n",
            world.ref.namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            patch,
        )
        await asyncio.to_thread(cluster.kubectl, *argv)
        await world.run_until_stable(2)
        before = await world.look()
        assert (before["status"]["fieldOfTheNextVersion"], before["status"]["message"]) == ("told", "serving 2")
    for _ in range(3):
        await world.run_until_stable(2)
    after = await world.look()
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"], "nothing new, nothing written"
