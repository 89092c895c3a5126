"""The node level runs pods as a cluster does: probes, identities, services, ingress, metrics; and leaves nothing."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from waiting import until

from psm_local import gobuild
from psm_local.archive import write_image
from psm_local.cluster import Cluster
from psm_local.errors import LocalError
from psm_local.node.up import start_node, unsupported_reason
from psm_local.settings import read_settings

pytestmark = pytest.mark.e2e

IMAGE = "localhost/etcd:1"
MANIFESTS = Path(__file__).parent / "node_level.yaml"


@pytest.fixture(scope="module")
def web(node: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A node on which two replicas of a small HTTP server (etcd, a static program) run behind Service and Ingress."""
    etcd = gobuild.programs(gobuild.CONTROL_PLANE, read_settings(), print) / "etcd"
    archive = tmp_path_factory.mktemp("image") / "etcd.tar"
    arch = node.kubectl("get", "node", "local", "-o=jsonpath={.status.nodeInfo.architecture}")
    node.load_image(write_image(archive, IMAGE, {"/etcd": etcd.read_bytes()}, ["/etcd"], arch))
    node.kubectl("create", "namespace", "node-level")
    node.kubectl("apply", "-n", "node-level", "-f", str(MANIFESTS))
    node.kubectl("rollout", "status", "deployment/web", "-n", "node-level", "--timeout=90s")
    yield node
    node.kubectl("delete", "namespace", "node-level", "--wait=false")


def test_a_restricted_pod_becomes_ready(web: Cluster) -> None:
    """Not root, read-only root file system, no capabilities, the default seccomp profile; HTTP probes pass."""
    pods = json.loads(web.kubectl("get", "pods", "-n", "node-level", "-o=json"))["items"]
    assert len(pods) == 2
    assert all(status["ready"] for pod in pods for status in pod["status"]["containerStatuses"])


def test_the_ingress_answers_on_this_machine(web: Cluster) -> None:
    """A request to a forwarded port of 127.0.0.1 with the host of the Ingress reaches a pod."""

    def answer() -> str:
        response = httpx.get(f"{web.ingress_url}/version", headers={"Host": "web.example"}, timeout=5)
        return str(response.json()["etcdserver"]) if response.is_success else ""

    until(answer, "the ingress controller to route to the pods")
    assert answer().startswith("3.")


def test_pods_reach_the_stand_ins_of_aws(web: Cluster) -> None:
    """The node's address of the S3 server answers inside the node's network, the forwarded one outside."""
    client = boto3.client(
        "s3",
        endpoint_url=web.aws.s3_host_url,
        region_name=web.aws.region,
        aws_access_key_id=web.aws.access_key,
        aws_secret_access_key=web.aws.secret_key,
    )
    client.create_bucket(Bucket="node-level", CreateBucketConfiguration={"LocationConstraint": "ap-southeast-1"})
    client.put_object(Bucket="node-level", Key="k", Body=b"v")
    assert client.get_object(Bucket="node-level", Key="k")["Body"].read() == b"v"
    code = f"import urllib.request as u; print(u.urlopen('{web.aws.in_cluster_url}/__health').status)"
    assert web.exec_in_node(["python3", "-c", code]).strip() == "204"


def test_metrics_arrive(web: Cluster) -> None:
    """The resource metrics API knows the pods, so that an HPA can act."""

    def metrics() -> list[object]:
        try:
            raw = web.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/node-level/pods")
        except LocalError:
            return []
        items: list[object] = json.loads(raw)["items"]
        return items

    until(lambda: len(metrics()) == 2, "metrics of both pods", limit_s=60)


def test_logs_are_served(web: Cluster) -> None:
    """The API server reaches the kubelet with its client certificate."""
    assert "etcd" in web.kubectl("logs", "deployment/web", "-n", "node-level", "--tail=5")


def test_a_name_lookup_in_a_pod_fails_at_once(web: Cluster) -> None:
    """There is no DNS server; the DNS address refuses instead of letting a client wait."""
    code = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); s.connect(('10.96.0.10', 53))\n"
        "try:\n  s.send(b'x' * 20); s.recv(10); print('answered')\n"
        "except (ConnectionRefusedError, PermissionError): print('refused')"
    )
    assert web.exec_in_node(["python3", "-c", code]).strip() == "refused"


def test_a_node_leaves_nothing_behind() -> None:
    """Kernel settings, control groups, mounts and files are as they were before."""
    if (reason := unsupported_reason()) is not None:
        pytest.skip(reason)
    name = f"test-{os.getpid()}-traceless"
    before = _machine(name)
    with start_node(name, say=lambda _: None) as cluster:
        assert any(name in path for path in _machine(name))
        run_dir = cluster.run_dir
    assert not run_dir.exists()
    assert _machine(name) == before


def _machine(name: str) -> set[str]:
    """Return what a node of that name could leave: kernel settings, control groups, mounts, system folders."""
    settings = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
    values = {f"{one}={Path('/proc/sys', one).read_text().strip()}" for one in settings}
    groups = {
        str(path) for pattern in (f"psm-{name}", f"*/psm-{name}") for path in Path("/sys/fs/cgroup").glob(pattern)
    }
    mounts = {line for line in Path("/proc/self/mounts").read_text().splitlines() if name in line}
    folders = {f for f in ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd") if Path(f).exists()}
    return values | groups | mounts | folders
