"""The operator and a predictor as they really run on a node: identity, rights, probes, metrics."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from e2e_lab import Json, Lab, Model

from psm_local.cluster import Cluster
from psm_local.demo.stage import OPERATOR_NAMESPACE

pytestmark = pytest.mark.e2e

NAMESPACE = "installed"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:psm-operator"

LOOK_INSIDE = """
import json, os, pathlib
def refusal(path):
    try:
        pathlib.Path(path, "probe").write_text("x")
    except OSError as err:
        return os.strerror(err.errno)
    return "written"
status = dict(line.split(":\\t", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines() if ":\\t" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "root": refusal("/"), "app": refusal("/app"), "tmp": refusal("/tmp"),
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount"),
    "seccomp": status["Seccomp"], "no_new_privs": status["NoNewPrivs"], "capabilities": int(status["CapEff"], 16),
}))
"""
AS_IT_SHOULD_BE = {
    "uid": 10001,
    "gid": 10001,
    "root": "Read-only file system",
    "app": "Read-only file system",
    "tmp": "written",
    "seccomp": "2",  # a filter is in force (proc_pid_status(5))
    "no_new_privs": "1",
    "capabilities": 0,
}


@pytest.fixture(scope="module")
def serving(lab: Lab) -> Iterator[Model]:
    """A model that serves version 1."""
    lab.namespace(NAMESPACE)
    model = lab.model(NAMESPACE, "plain")
    lab.offer(model)
    model.create(rollout={"minReadySeconds": 0, "soak": "5s", "verification": {"enabled": False}})
    model.wait_serving(1)
    yield model
    model.kubectl("delete", "psm", model.name)


def look_inside(cluster: Cluster, namespace: str, pod: str) -> Json:
    """What a process in a pod's container is and may do."""
    found: Json = json.loads(cluster.kubectl("exec", "-n", namespace, pod, "--", "python3", "-c", LOOK_INSIDE))
    return found


def fetch(cluster: Cluster, url: str) -> str:
    """The body of a good answer to a GET from inside the cluster."""
    code = f"import urllib.request as u; print(u.urlopen({url!r}, timeout=5).read().decode())"
    return cluster.exec_in_node(["python3", "-c", code])


def operator_pod(cluster: Cluster) -> Json:
    """The operator's one pod."""
    [pod] = json.loads(cluster.kubectl("get", "pods", "-n", OPERATOR_NAMESPACE, "-o=json"))["items"]
    found: Json = pod
    return found


def test_a_predictor_runs_with_no_more_than_it_needs(serving: Model) -> None:
    """Not root, nothing writable but /tmp, no token, system calls filtered: seen from inside the container."""
    [pod] = serving.pods()
    assert look_inside(serving.cluster, NAMESPACE, pod["metadata"]["name"]) == AS_IT_SHOULD_BE | {"token": False}
    assert pod["spec"]["serviceAccountName"] == serving.name
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["tmp"]


def test_the_operator_runs_with_no_more_than_it_needs(lab: Lab) -> None:
    """The same, but for the token by which it talks to the API server."""
    pod = operator_pod(lab.cluster)["metadata"]["name"]
    assert look_inside(lab.cluster, OPERATOR_NAMESPACE, pod) == AS_IT_SHOULD_BE | {"token": True}


def test_the_operators_probes_answer_inside_the_cluster(lab: Lab) -> None:
    """Alive and ready, without a complaint."""
    address = operator_pod(lab.cluster)["status"]["podIP"]
    for path in ("/healthz", "/readyz"):
        assert fetch(lab.cluster, f"http://{address}:8080{path}").strip() == "ok"


def test_prometheus_finds_the_operators_metrics_behind_their_service(serving: Model) -> None:
    """It leads, no group is unknown without reason, and every model has its series."""
    service = json.loads(
        serving.cluster.kubectl("get", "service", "psm-operator-metrics", "-n", OPERATOR_NAMESPACE, "-o=json")
    )
    samples = metrics(fetch(serving.cluster, f"http://{service['spec']['clusterIP']}:9090/metrics"))
    labels = f'{{name="{serving.name}",namespace="{NAMESPACE}"}}'
    assert samples["psm_leader"] == 1
    assert samples[f"psm_model_ready{labels}"] == 1
    assert samples[f"psm_model_version{labels}"] == 1
    assert samples[f"psm_model_stalled{labels}"] == 0
    assert samples['psm_aws_calls_total{operation="ListModelPackages",outcome="ok",service="sagemaker"}'] >= 1


def test_prometheus_finds_a_predictors_metrics_on_its_pod(serving: Model) -> None:
    """At the port and path of the pod's annotations."""
    [pod] = serving.pods()
    annotations = pod["metadata"]["annotations"]
    port, path = annotations["prometheus.io/port"], annotations["prometheus.io/path"]
    assert "psm_" in fetch(serving.cluster, f"http://{pod['status']['podIP']}:{port}{path}")


def metrics(text: str) -> dict[str, float]:
    """Samples by name and labels (sorted by name), as Prometheus reads them."""
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            bare, brace, labels = name.rstrip("}").partition("{")
            ordered = ",".join(sorted(labels.split(",")))
            samples[f"{bare}{{{ordered}}}" if brace else bare] = float(value)
    return samples


def test_nobody_asked_for_what_they_may_not_have(serving: Model) -> None:
    """The API server's audit log: the chart's rights were enough for all that was done, and predictors ask nothing."""
    requests = list(audit(serving.cluster))
    ours = [entry for entry in requests if entry["user"]["username"] == OPERATOR]
    refused = Counter(
        (entry["verb"], entry["requestURI"]) for entry in ours if entry["responseStatus"]["code"] in (401, 403)
    )
    assert len(ours) > 0
    assert refused == Counter()
    predictors = [entry for entry in requests if entry["user"]["username"].endswith(f":{serving.name}")]
    assert predictors == []


def audit(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Every request that the API server has answered."""
    assert cluster.audit_log is not None
    *whole, _ = cluster.audit_log.read_text().split("\n")  # what follows the last line's end is being written
    for line in whole:
        yield json.loads(line)
