"""The whole operator against a real API server, the registry emulator and S3."""

import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import boto3
import exposed
import pytest

from psm_local.cluster import Cluster
from psm_local.emulator.control import EmulatorControl
from psm_operator.__main__ import compose
from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.kinds import LEASE, MODEL
from psm_operator.adapters.kube_api import JSON_PATCH, KubeApi
from psm_operator.api.conditions import Reason
from psm_operator.handlers import watcher_name
from psm_operator.runtime import Runtime
from psm_operator.settings import RegistryEventsSettings, ServerSettings, Settings
from psm_operator.values import GroupRef, Manifest, RegistryUnknown
from psm_operator.watchdog import Patience

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
WAIT_S = 120.0
GRACE_S = 25.0
"""Within a pod's."""
CONTENT = b"model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


async def until(is_so: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait until it is so, or fail naming what was waited for."""
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                answer = is_so()
                if answer if isinstance(answer, bool) else await answer:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"waited {WAIT_S:g} s for {what}")


@dataclass(frozen=True)
class Shop:
    """The cluster and its AWS stand-ins, as the people around the operator use them."""

    cluster: Cluster

    async def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl in namespace mlops without holding up the operator in this process."""
        return await asyncio.to_thread(self.cluster.kubectl, *args, "-n", "mlops", stdin=stdin)

    async def create(self, name: str, group: str, **changes: Any) -> None:
        """Apply a model."""
        spec = {
            "interval": "15s",
            "registry": {"modelPackageGroupName": group, "region": REGION},
            "version": {"policy": "LatestApproved"},
            "rollout": {"soak": "1s"},
            **changes,
        }
        body = {"apiVersion": MODEL.api_version, "kind": MODEL.kind, "metadata": {"name": name}, "spec": spec}
        await self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    async def conditions(self, name: str) -> list[Mapping[str, str]]:
        """Every condition."""
        found: list[Mapping[str, str]]
        found = json.loads(await self.kubectl("get", "psm", name, "-o=json")).get("status", {}).get("conditions", [])
        return found

    async def condition(self, name: str, kind: str) -> Mapping[str, str]:
        """One condition; empty if absent."""
        return next((c for c in await self.conditions(name) if c["type"] == kind), {})

    async def is_ready(self, name: str) -> bool:
        """Whether the model serves what it should."""
        return (await self.condition(name, "Ready")).get("status") == "True"

    async def serves(self, name: str, version: int) -> bool:
        """Whether a version serves."""
        shown = await self.kubectl("get", "psm", name, "-o=jsonpath={.status.current.version}")
        return shown == str(version)

    async def has(self, what: str) -> bool:
        """Whether an object exists."""
        return bool(await self.kubectl("get", what, "--ignore-not-found", "-o=name"))

    async def lacks(self, what: str) -> bool:
        """Whether it does not."""
        return not await self.has(what)

    async def holder(self, lease: str) -> str:
        """Who leads."""
        return await asyncio.to_thread(
            self.cluster.kubectl, "get", "lease", lease, "-n", "psm-system", "-o=jsonpath={.spec.holderIdentity}"
        )


@pytest.fixture
def shop(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """With boto3 pointed at the stand-ins."""
    for name, value in cluster.aws.environment().items():
        monkeypatch.setenv(name, value)
    return Shop(cluster)


@pytest.fixture
def faulty(cluster: Cluster) -> Iterator[EmulatorControl]:
    """The emulator's faults; healthy again afterwards."""
    control = EmulatorControl(cluster.aws.host_url)
    yield control
    control.set_faults()


@pytest.fixture
def group() -> str:
    """A name that no other test uses, also of a bucket."""
    return f"group-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def settings() -> Settings:
    """The defaults, on ports and with a lease of its own."""
    defaults = Settings.read({})
    return replace(
        defaults,
        lease=replace(defaults.lease, name=f"runtime-{uuid.uuid4().hex[:8]}"),
        server=ServerSettings(host="127.0.0.1", health_port=0, metrics_port=0),
    )


def register(group: str, *, approval: str = "Approved", body: bytes | None = CONTENT) -> None:
    """Add a version to a group, making the group if need be; `body` is what lies where the artifact should be."""
    s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        s3.create_bucket(Bucket=group, CreateBucketConfiguration={"LocationConstraint": REGION})
    if body is not None:
        s3.put_object(Bucket=group, Key="model.tar.gz", Body=body, ChecksumAlgorithm="SHA256")
    container = {"Image": "predictor", "ModelDataUrl": f"s3://{group}/model.tar.gz"}
    sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=approval,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            "psm.protocol": "1",
            "psm.sha256": DIGEST,
            "psm.accuracy": "0.810000",
            "psm.macro_f1": "0.800000",
            "psm.precision_min_class": "0.790000",
            "psm.data_validation": "passed",
        },
    )


@asynccontextmanager
async def running(settings: Settings, cluster: Cluster) -> AsyncIterator[Runtime]:
    """An operator in this process that runs while the block does, and must then end gracefully."""
    api = await KubeApi.connect(str(cluster.kubeconfig))
    clients = AwsClients(settings.aws)
    runtime = compose(settings, api, clients)
    task = asyncio.create_task(runtime.run(handle_signals=False))
    try:
        yield runtime
    finally:
        runtime.stop.set()
        code = await asyncio.wait_for(task, settings.shutdown.total_s)
        clients.close()
        await api.close()
    assert code == 0


def is_forgotten(runtime: Runtime, group: str) -> bool:
    """Whether nobody follows the group any more; other tests' models are none of our business."""
    view = runtime.parts.polls.view(GroupRef(group, REGION))
    return isinstance(view, RegistryUnknown) and view.reason is Reason.NOT_CHECKED


async def test_a_model_is_served_repaired_and_forgotten(shop: Shop, settings: Settings, group: str) -> None:
    """From an approved package to Ready; a deleted child comes back; nothing is left when the model goes."""
    register(group)
    async with running(settings, shop.cluster) as runtime:
        await shop.create(group, group)
        await until(lambda: shop.is_ready(group), "Ready")
        model = json.loads(await shop.kubectl("get", "psm", group, "-o=json"))
        assert model["status"]["current"]["version"] == 1
        assert "finalizers" not in model["metadata"]
        assert set(model["metadata"]["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
        await shop.kubectl("delete", f"service/{group}")
        await until(lambda: shop.has(f"service/{group}"), "the service to come back")
        assert f'name="{group}"' in runtime.parts.telemetry.exposition().decode()
        await shop.kubectl("delete", f"psm/{group}")
        await until(lambda: is_forgotten(runtime, group), "the model to be forgotten")
        assert f'name="{group}"' not in runtime.parts.telemetry.exposition().decode()
        await until(lambda: shop.lacks(f"deployment/{group}"), "the children to go")
        assert runtime.parts.watchdog.complaints() == ()


async def test_what_is_wrong_outside_is_said_in_a_condition(shop: Shop, settings: Settings, group: str) -> None:
    """A missing group, nothing approved, a missing artifact, a wrong digest: four models, one operator."""
    names = {what: f"{group}-{what}" for what in ("nogroup", "noapproved", "noartifact", "wrong")}
    register(names["noapproved"], approval="PendingManualApproval")
    register(names["noartifact"], body=None)
    register(names["wrong"], body=b"something else")
    expected = {
        "nogroup": ("ModelPackageGroupNotFound", "create it or correct spec.registry"),
        "noapproved": ("NoApprovedVersion", ""),
        "noartifact": ("ArtifactMissing", "has no object model.tar.gz"),
        "wrong": ("Rejected", "register it again"),
    }
    async with running(settings, shop.cluster):
        for name in names.values():
            await shop.create(name, name)
        for what, (reason, words) in expected.items():

            async def says_so(name: str = names[what], reason: str = reason, words: str = words) -> bool:
                found = await shop.conditions(name)
                return any(c["reason"] == reason and words in c["message"] for c in found)

            await until(says_so, f"{what}: a condition with reason {reason}")
        await shop.kubectl("delete", "psm", *names.values())


async def test_an_outage_is_shown_within_one_poll_and_harms_nobody(
    shop: Shop, settings: Settings, group: str, faulty: EmulatorControl
) -> None:
    """VersionResolved turns Unknown, what runs goes on, and the first good read ends it."""
    register(group)
    async with running(settings, shop.cluster) as runtime:
        await shop.create(group, group)
        await until(lambda: shop.is_ready(group), "Ready")
        for faults, reason in (({"throttle_rps": 0}, "RegistryThrottled"), ({"outage": True}, "RegistryUnavailable")):
            faulty.set_faults(**faults)
            poll_now(runtime, group)

            async def says_so(reason: str = reason) -> bool:
                condition = await shop.condition(group, "VersionResolved")
                return (condition.get("status"), condition.get("reason")) == ("Unknown", reason)

            await until(says_so, reason)
            assert await shop.has(f"deployment/{group}")
            faulty.set_faults()
            poll_now(runtime, group)

            async def is_over() -> bool:
                return (await shop.condition(group, "VersionResolved")).get("status") == "True"

            await until(is_over, f"{reason} to be over")
        await shop.kubectl("delete", f"psm/{group}")


def poll_now(runtime: Runtime, group: str) -> None:
    """The group's next poll comes at once: what is tested is what it says, not the time between two."""
    runtime.parts.polls.hasten(GroupRef(group, REGION), 0)


async def test_probes_and_metrics_answer_and_a_dead_watch_is_told(shop: Shop, settings: Settings) -> None:
    """Kopf itself would go on saying 200."""
    impatient = replace(settings, patience=Patience(start_s=0.0))
    async with running(impatient, shop.cluster) as runtime, aiohttp.ClientSession() as http:
        await until(runtime.warm.is_set, "warm caches")
        health = f"http://127.0.0.1:{runtime.ports.health}"
        await until(lambda: answers(http, f"{health}/healthz", 200), "healthy")
        assert await answers(http, f"{health}/readyz", 200)
        async with http.get(f"http://127.0.0.1:{runtime.ports.metrics}/metrics") as metrics:
            text = await metrics.text()
        assert re.search(r"^psm_queue_depth \d", text, re.MULTILINE)
        assert set(re.findall(r"^# TYPE (psm_\w+)", text, re.MULTILINE)) == exposed.families()
        name = watcher_name(MODEL, None)
        (watcher,) = (task for task in asyncio.all_tasks() if task.get_name() == name)
        watcher.cancel()
        await until(lambda: answers(http, f"{health}/healthz", 500), "the dead watch to be told")
        async with http.get(f"{health}/healthz") as probe:
            assert name in await probe.text()


async def answers(http: aiohttp.ClientSession, url: str, status: int) -> bool:
    """Whether a probe answers with `status`."""
    async with http.get(url) as response:
        return response.status == status


async def test_the_canary_sees_the_lease_through_the_watch(shop: Shop, settings: Settings) -> None:
    """What the election writes arrives at the watchdog, and nothing stays owed."""
    async with running(settings, shop.cluster) as runtime:
        dog = runtime.parts.watchdog
        await until(lambda: dog._watched_version > 0, "the lease to be seen")
        first = dog._watched_version
        await until(lambda: dog._watched_version > first, "a renewal to be seen")


async def test_only_models_of_the_named_namespaces_are_looked_after(shop: Shop, settings: Settings, group: str) -> None:
    """The lease's namespace is watched for the canary, not for models."""
    confined = replace(settings, cluster=replace(settings.cluster, namespaces=("elsewhere",)))
    async with running(confined, shop.cluster) as runtime:
        await until(runtime.warm.is_set, "warm caches")
        await shop.create(group, group)
        await until(lambda: runtime.parts.watchdog._watched_version > 0, "the lease to be seen")
        assert runtime.parts.polls.groups == 0
        assert await shop.condition(group, "Ready") == {}
    await shop.kubectl("delete", f"psm/{group}")


@asynccontextmanager
async def process(shop: Shop, lease: str, number: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The operator as a process of its own; killed at the end if it still runs."""
    environment = {
        **os.environ,  # noqa: TID251  # a child process inherits PATH and the AWS stand-ins
        "KUBECONFIG": str(shop.cluster.kubeconfig),
        "PSM_OPERATOR_LEASE_NAME": lease,
        "PSM_OPERATOR_POD_NAME": f"operator-{number}",
        "PSM_OPERATOR_HEALTH_PORT": "0",
        "PSM_OPERATOR_METRICS_PORT": "0",
    }
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "psm_operator", env=environment)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_sigterm_ends_the_process_in_time_and_hands_the_lease_over(shop: Shop) -> None:
    """Exit code 0 well within a pod's grace; the standby leads at once."""
    lease = f"processes-{uuid.uuid4().hex[:8]}"
    async with process(shop, lease, 1) as first:
        await until(lambda: leads(shop, lease, "operator-1_"), "the first to lead")
        async with process(shop, lease, 2) as second:
            await asyncio.sleep(3)
            first.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(first.wait(), GRACE_S) == 0
            await until(lambda: leads(shop, lease, "operator-2_"), "the second to lead")
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), GRACE_S) == 0
    assert await shop.holder(lease) == ""


async def test_after_kill_9_another_process_goes_on(shop: Shop, group: str) -> None:
    """The lease expires, the standby repairs what broke meanwhile."""
    register(group)
    lease = f"processes-{uuid.uuid4().hex[:8]}"
    async with process(shop, lease, 1) as first:
        await shop.create(group, group)
        await until(lambda: shop.is_ready(group), "Ready")
        async with process(shop, lease, 2):
            first.kill()
            await first.wait()
            await shop.kubectl("delete", f"service/{group}")
            await until(lambda: leads(shop, lease, "operator-2_"), "the second to lead")
            await until(lambda: shop.has(f"service/{group}"), "the service to come back")
    await shop.kubectl("delete", f"psm/{group}")


async def test_a_process_that_loses_its_lease_ends_with_an_error(shop: Shop, api: KubeApi) -> None:
    """It must not write while another leads."""
    lease = f"processes-{uuid.uuid4().hex[:8]}"
    async with process(shop, lease, 1) as child:
        await until(lambda: leads(shop, lease, "operator-1_"), "the process to lead")
        taken: list[Manifest] = [{"op": "replace", "path": "/spec/holderIdentity", "value": "somebody-else"}]
        await api.send("PATCH", LEASE.path("psm-system", lease), body=taken, content_type=JSON_PATCH)
        assert await asyncio.wait_for(child.wait(), WAIT_S) == 1


async def leads(shop: Shop, lease: str, who: str) -> bool:
    """Whether the lease is held by a process of that pod."""
    text = await asyncio.to_thread(
        shop.cluster.kubectl, "get", "lease", "-n", "psm-system", "--ignore-not-found", lease, "-o=json"
    )
    return bool(text) and json.loads(text)["spec"].get("holderIdentity", "").startswith(who)


def events_queue() -> str:
    """A queue of its own that is fed with every registry event, as docs/aws-access.md sets it up; its URL."""
    sqs, events, name = boto3.client("sqs"), boto3.client("events"), f"events-{uuid.uuid4().hex[:8]}"
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


async def test_with_events_a_version_is_served_long_before_the_next_poll_and_a_standby_eats_none(
    shop: Shop, settings: Settings, group: str
) -> None:
    """Half an hour between polls, and the approval counts at once; the standby never asks the queue."""
    register(group)
    settings = replace(settings, registry_events=RegistryEventsSettings(await asyncio.to_thread(events_queue)))
    standby = replace(settings, lease=replace(settings.lease, identity="the-standby"))
    async with running(settings, shop.cluster) as leader:
        await shop.create(group, group, interval="30m")
        await until(lambda: shop.is_ready(group), "Ready")
        async with running(standby, shop.cluster) as waiting:
            await until(waiting.warm.is_set, "the standby to be warm")
            await asyncio.to_thread(register, group)
            await until(lambda: shop.serves(group, 2), "version 2 to be served")
            metrics = [runtime.parts.telemetry.exposition().decode() for runtime in (leader, waiting)]
        assert ['operation="ReceiveMessage"' in text for text in metrics] == [True, False]
        assert 'psm_registry_events_total{outcome="followed"} 0.0' not in metrics[0]
        await shop.kubectl("delete", f"psm/{group}")
        await until(lambda: is_forgotten(leader, group), "the model to be forgotten")
