"""The chart's RBAC on a real API server: with the operator's own token all it does is allowed, and little else."""

import asyncio
import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import REGISTRY, desired_model
from chart_roles import Installed

from psm_local.cluster import Cluster
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.event_recorder import EventRecorder
from psm_operator.adapters.kinds import CHILD_SELECTOR, CHILDREN, LEASE
from psm_operator.adapters.kube_api import KubeApi, Resource
from psm_operator.adapters.kubernetes import KubernetesCluster
from psm_operator.adapters.watch_cache import WatchCache
from psm_operator.api.conditions import Reason
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.apply import REPLICAS_MANAGER
from psm_operator.decide.desired import children
from psm_operator.election import Election, LeaseTimes
from psm_operator.handlers import WATCHED
from psm_operator.telemetry import PrometheusTelemetry
from psm_operator.values import Event, ObjectRef

pytestmark = pytest.mark.component

MODELS = {"rbac-all": "rbac-all-models", "rbac-one": "rbac-one-models"}
"""Release (and namespace of the operator) -> namespace of its models."""
OPTIONS = {"rbac-all": (), "rbac-one": ("--set=watchNamespaces={rbac-one-models}",)}


@pytest.fixture(scope="module", params=list(MODELS), ids=["cluster-wide", "in one namespace"])
def installed(cluster: Cluster, request: pytest.FixtureRequest) -> Installed:
    """The chart's roles, cluster-wide and for one namespace."""
    return Installed(cluster, request.param, MODELS[request.param], *OPTIONS[request.param])


def make_model(installed: Installed) -> tuple[ObjectRef, dict[str, Any]]:
    """A model, made by its user."""
    metadata = {"generateName": "model-", "namespace": installed.models}
    head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"registry": REGISTRY}}
    made = json.loads(installed.cluster.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(head)))
    return ObjectRef(installed.models, made["metadata"]["name"]), made


async def test_everything_the_operator_does_is_allowed(installed: Installed, tmp_path: Path) -> None:
    """Reads, server-side apply of every kind, status, Events and deletion, with the operator's own token."""
    api = await KubeApi.connect(str(installed.kubeconfig(tmp_path)))
    timer, metrics = asyncio.get_running_loop(), PrometheusTelemetry(version="0")
    recorder = EventRecorder(api, identity="test", clock=SystemClock(), timer=timer, metrics=metrics)
    cluster = KubernetesCluster(api, WatchCache(), recorder)
    ref, made = make_model(installed)
    try:
        found = await cluster.sweep(None if not OPTIONS[installed.release] else installed.models)
        assert ref in found
        model = await cluster.model(ref)
        assert model is not None
        networking = {"ingress": {"host": "a.example"}}
        desired = replace(desired_model(ref=ref, candidate=18, networking=networking), uid=made["metadata"]["uid"])
        applied = [await cluster.apply(manifest) for manifest in children(desired)]
        assert {live["kind"] for live in applied} == {child.kind for child in CHILDREN}
        (serving,) = [live for live in applied if live["kind"] == "Deployment" and live["metadata"]["name"] == ref.name]
        size = {**{key: serving[key] for key in ("apiVersion", "kind")}, "spec": {"replicas": 2}}
        size["metadata"] = {"name": ref.name, "namespace": ref.namespace}
        await cluster.apply(size, field_manager=REPLICAS_MANAGER)
        for live in applied:
            there = ObjectRef(ref.namespace, live["metadata"]["name"])
            assert await cluster.lookup(live["apiVersion"], live["kind"], there) is not None
        await cluster.pods(ref, role="candidate", version=18)
        written = await cluster.write_status(ref, {"message": "written"}, model["metadata"]["resourceVersion"])
        assert written is not None
        await cluster.record(ref, made["metadata"]["uid"], Event("Normal", Reason.SERVING, "recorded", "key"))
        for live in applied:
            if live["kind"] == "ServiceAccount":
                continue  # every model has one for as long as it lives
            there = ObjectRef(ref.namespace, live["metadata"]["name"])
            await cluster.delete(live["apiVersion"], live["kind"], there, live["metadata"]["uid"])
    finally:
        await api.close()
    events = installed.cluster.kubectl("get", "events.v1.events.k8s.io", "-n", ref.namespace, "-o", "name")
    assert ref.name in events


async def test_the_lease_can_be_held_renewed_and_released(installed: Installed, tmp_path: Path) -> None:
    """In the operator's own namespace, under the chart's name."""
    api = await KubeApi.connect(str(installed.kubeconfig(tmp_path)))
    acquired, renewed = asyncio.Event(), asyncio.Event()
    election = Election(
        api,
        namespace=installed.release,
        name=installed.release,
        identity="test",
        times=LeaseTimes(duration_s=1, renew_deadline_s=0.6, retry_s=0.05),
        clock=SystemClock(),
        timer=asyncio.get_running_loop(),
        draw=random.random,
        on_renewal=lambda _: renewed.set() if acquired.is_set() else None,
    )
    try:
        async with asyncio.timeout(20):
            await election.acquire()
            acquired.set()
            keeping = asyncio.create_task(election.keep())
            await renewed.wait()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await election.release()
    finally:
        await api.close()
    assert not lease(installed)["holderIdentity"]


def lease(installed: Installed) -> dict[str, Any]:
    """The lease's spec."""
    out = installed.cluster.kubectl("get", "lease", installed.release, "-n", installed.release, "-o", "json")
    found: dict[str, Any] = json.loads(out)["spec"]
    return found


def test_every_watch_is_allowed(installed: Installed, tmp_path: Path) -> None:
    """As kopf opens them: by label, the Lease by name, everywhere or in each of its namespaces."""
    kubeconfig = installed.kubeconfig(tmp_path)

    def watch(resource: Resource, namespace: str | None) -> None:
        named = f"fieldSelector=metadata.name%3D{installed.release}"
        selected = f"labelSelector={CHILD_SELECTOR.replace('=', '%3D')}" if resource in CHILDREN else ""
        query = f"watch=1&timeoutSeconds=1&{named if resource == LEASE else selected}"
        path = f"{resource.path(namespace)}?{query}"
        installed.cluster.kubectl("get", "--raw", path, f"--kubeconfig={kubeconfig}")

    namespaces = (None,) if not OPTIONS[installed.release] else (installed.models, installed.release)
    with ThreadPoolExecutor() as pool:
        for opened in [pool.submit(watch, resource, namespace) for resource in WATCHED for namespace in namespaces]:
            opened.result()


FORBIDDEN = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("create", "pods"),
    ("get", "pods"),
    ("create", "pods/exec"),
    ("delete", "pods"),
    ("delete", "serviceaccounts"),
    ("update", "deployments.apps"),
    ("patch", "pricesensitivitymodels.retail.mlops"),
    ("update", "pricesensitivitymodels.retail.mlops"),
    ("delete", "pricesensitivitymodels.retail.mlops"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("create", "serviceaccounts/token"),
    ("get", "configmaps"),
    ("get", "nodes"),
    ("list", "namespaces"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io"),
    ("update", "leases.coordination.k8s.io"),
]


def test_what_the_operator_never_does_is_forbidden(installed: Installed) -> None:
    """The spec and labels of a model are its user's; Secrets are nobody's here."""
    allowed = installed.may(*FORBIDDEN, namespace=installed.models)
    assert [asked for asked, is_allowed in zip(FORBIDDEN, allowed, strict=True) if is_allowed] == []


def test_an_operator_of_one_namespace_sees_no_other(installed: Installed) -> None:
    """The rights asked for by watchNamespaces, and none in the namespace next door."""
    asked = (("list", "deployments.apps"), ("create", "services"), ("list", "pods"))
    assert installed.may(*asked, namespace=installed.models) == [True] * 3
    assert installed.may(*asked, namespace="default") == [not OPTIONS[installed.release]] * 3
