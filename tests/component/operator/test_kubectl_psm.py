"""`kubectl psm` as people call it, on a real API server; the story at the end with the real operator."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from plugin_stories import STORIES, told
from waiting import until

from psm_local.cluster import Cluster
from psm_operator.api.names import API_VERSION, KIND
from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import Gone
from psm_operator.kubectl.kubeconfig import Choice, load_access
from psm_operator.kubectl.models import path
from psm_operator.kubectl.watching import Follower
from psm_operator.report import as_json
from psm_operator.values import Manifest

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]

REGION = "ap-southeast-1"
BIN = Path(sys.executable).parent
OBJECT = "pricesensitivitymodel.retail.mlops"
CONTENT = b"model"
LIMIT_S = 60.0


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Its output, line by line."""
        return self.out.splitlines()


@dataclass(frozen=True)
class Terminal:
    """A person at a terminal, in a namespace of their own."""

    cluster: Cluster
    namespace: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment: kubectl and its plugin on PATH, the stand-ins for AWS."""
        inherited = dict(os.environ)  # noqa: TID251  # a child process inherits what the test run has
        place = {"PATH": f"{BIN}{os.pathsep}{inherited['PATH']}", "KUBECONFIG": str(self.cluster.kubeconfig)}
        return {**inherited, **self.cluster.aws.environment(), **place}

    def psm(self, *words: str) -> Said:
        """`kubectl psm …` in the namespace."""
        argv = ["kubectl", "psm", *words, "-n", self.namespace]
        done = subprocess.run(argv, env=self.variables, capture_output=True, text=True, check=False)
        return Said(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Plain kubectl in the namespace."""
        return self.cluster.kubectl(*words, "-n", self.namespace, stdin=stdin)

    def create(self, name: str, spec: Manifest, **metadata: Any) -> Manifest:
        """A model."""
        head = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, **metadata}}
        made: Manifest = json.loads(
            self.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps({**head, "spec": spec}))
        )
        return made

    def model(self, name: str) -> Manifest:
        """A model as it is."""
        found: Manifest = json.loads(self.kubectl("get", "psm", name, "-o", "json"))
        return found

    async def tell(self, story: str, name: str, **metadata: Any) -> Manifest:
        """A model with the status that the operator wrote in a story."""
        world = await told(STORIES[story])
        spec: Manifest = {"registry": {"modelPackageGroupName": "price-sensitivity", "region": REGION}}
        if story == "pinned":
            spec["version"] = {"pin": 1}
        self.create(name, spec, **metadata)
        patch = json.dumps({"status": as_json(world.status)})
        self.kubectl("patch", "psm", name, "--subresource=status", "--type=merge", "-p", patch)
        return self.model(name)


@pytest.fixture
def terminal(cluster: Cluster) -> Iterator[Terminal]:
    namespace = f"plugin-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    yield Terminal(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def client(terminal: Terminal) -> KubeClient:
    """The plugin's client, as administrator."""
    environment = Environment(terminal.variables, Path("/nowhere"), is_terminal=False)
    return KubeClient(load_access(Choice(), environment), environment)


async def test_models_are_listed_by_namespace_label_and_name(terminal: Terminal) -> None:
    await terminal.tell("serving", "de-grocery", labels={"team": "de"})
    await terminal.tell("rolled-back", "uk-grocery", labels={"team": "uk"})
    listed = terminal.psm("status")
    assert [line.split()[:5] for line in listed.lines] == [
        ["NAME", "READY", "VERSION", "LATEST", "PHASE"],
        ["de-grocery", "True", "1", "1", "Ready"],
        ["uk-grocery", "True", "1", "2", "Ready"],
    ]
    assert listed.lines[2].endswith("serving 1; 2 rejected: accuracy 0.71 < 0.75 in version 2")
    assert terminal.psm("status", "-l", "team=de", "-o", "name").lines == [f"{OBJECT}/de-grocery"]
    everywhere = terminal.psm("status", "-A", "-l", "team=uk")
    assert everywhere.lines[1].split()[:2] == [terminal.namespace, "uk-grocery"]
    assert terminal.psm("status", "uk-grocery").lines[0] == "Name:            uk-grocery"
    one = json.loads(terminal.psm("status", "uk-grocery", "-o", "json").out)
    assert one == json.loads(terminal.kubectl("get", "psm", "uk-grocery", "-o", "json"))


async def test_json_and_yaml_are_kubectls(terminal: Terminal) -> None:
    """A script may go from the one to the other."""
    for name in ("a", "b"):
        await terminal.tell("serving", name)
    ours, theirs = terminal.psm("status", "-o", "json"), terminal.kubectl("get", "psm", "-o", "json")
    assert json.loads(ours.out) == json.loads(theirs)
    one = yaml.safe_load(terminal.psm("status", "a", "-o", "yaml").out)
    assert one == yaml.safe_load(terminal.kubectl("get", "psm", "a", "-o", "yaml"))
    assert list(one) == ["apiVersion", "kind", "metadata", "spec", "status"]


@dataclass
class Following:
    """A command that goes on printing."""

    process: "subprocess.Popen[str]"
    lines: list[str]

    def until(self, is_so: Callable[[list[str]], bool], what: str) -> None:
        """Wait for its output."""
        until(lambda: is_so(self.lines), f"{what} in {self.lines}", LIMIT_S)


@contextmanager
def following(terminal: Terminal, *words: str) -> Iterator[Following]:
    """Run a command while the block does."""
    argv = ["kubectl", "psm", *words, "-n", terminal.namespace]
    process = subprocess.Popen(
        argv, env=terminal.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    lines: list[str] = []

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip("\n"))  # noqa: PERF401  # a line counts when it comes

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield Following(process, lines)
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)
        if process.stdout is not None:
            process.stdout.close()


async def test_a_watch_appends_a_line_for_every_change(terminal: Terminal) -> None:
    await terminal.tell("serving", "a")
    with following(terminal, "status", "-w") as watch:
        watch.until(lambda lines: len(lines) == 2, "the header and one model")
        await terminal.tell("rolled-back", "b")
        watch.until(
            lambda lines: any(line.startswith("b ") and "rejected" in line for line in lines), "the second model"
        )
        terminal.kubectl("delete", "psm", "a")
        watch.until(lambda lines: f"{terminal.namespace}/a is deleted" in lines, "the deletion")
        assert [line for line in watch.lines if line.startswith("NAME")] == [watch.lines[0]]
        column = watch.lines[0].index("PHASE")
        assert {line[column - 1] for line in watch.lines if " Ready " in line} == {" "}


async def test_a_version_that_the_api_server_forgot_is_410_and_followed_all_the_same(
    terminal: Terminal, client: KubeClient
) -> None:
    """A real 410: the watch cache begins later than version 1."""
    await terminal.tell("serving", "a")
    with pytest.raises(Gone, match="too old resource version"):
        list(client.watch(path(terminal.namespace), {"resourceVersion": "1"}, silence_s=10.0))

    class Forgetful(Follower):
        """Its first watch begins in the remote past."""

        is_first = True

        def _watch(self, version: str) -> Iterator[tuple[str, Manifest]]:
            was_first, self.is_first = self.is_first, False
            return super()._watch("1" if was_first else version)

    said: list[str] = []
    follower = Forgetful(client, terminal.namespace, pause=time.sleep, warn=said.append)
    changes = (change for batch in follower.changes() for change in batch)
    assert next(changes)[0] == "ADDED"
    terminal.kubectl("label", "psm", "a", "changed=yes")
    kind, model = next(changes)
    assert (kind, model["metadata"]["labels"]["changed"]) == ("MODIFIED", "yes")
    assert said == []


async def test_a_dry_run_is_checked_by_the_server_and_kept_by_nobody(terminal: Terminal) -> None:
    before = await terminal.tell("moved-on", "a")
    told_so = terminal.psm("pin", "a", "2", "--dry-run=server")
    assert (told_so.code, told_so.out) == (0, f"{OBJECT}/a pinned to version 2 (server dry run)\n")
    assert terminal.psm("pin", "a", "2", "--dry-run=client").out == f"{OBJECT}/a pinned to version 2 (dry run)\n"
    assert terminal.model("a") == before
    refused = terminal.psm("pin", "a", "2", "--dry-run=server", "--as", "nobody")
    assert refused.code == 1
    assert 'User "nobody" cannot get resource' in refused.err


async def test_writes_land_under_a_name_of_their_own(terminal: Terminal) -> None:
    """Who changed the spec is seen in its managed fields."""
    await terminal.tell("moved-on", "a")
    assert terminal.psm("pin", "a", "2").out == f"{OBJECT}/a pinned to version 2\n"
    assert terminal.model("a")["spec"]["version"] == {"pin": 2}
    fields = json.loads(terminal.kubectl("get", "psm", "a", "-o", "json", "--show-managed-fields"))["metadata"]
    assert "kubectl-psm" in {entry["manager"] for entry in fields["managedFields"]}
    assert terminal.psm("unpin", "a").out == f"{OBJECT}/a unpinned from version 2, follows policy LatestApproved\n"
    assert "version" not in terminal.model("a")["spec"], "as it was before the pin"
    assert terminal.psm("suspend", "a").code == 0
    assert terminal.model("a")["spec"]["suspend"] is True
    assert terminal.psm("resume", "a", "-o", "name").out == f"{OBJECT}/a\n"


async def test_what_the_api_server_refuses_is_one_line(terminal: Terminal) -> None:
    await terminal.tell("pinned", "a")
    refused = terminal.psm("unpin", "a", "--range", "newest")
    assert refused.code == 1
    assert refused.err.startswith('error: PriceSensitivityModel.retail.mlops "a" is invalid: spec.version.range')
    assert refused.err.count("\n") == 1


async def test_a_model_from_git_is_changed_with_a_warning(terminal: Terminal) -> None:
    head = "kustomize.toolkit.fluxcd.io"
    await terminal.tell("moved-on", "a", labels={f"{head}/name": "models", f"{head}/namespace": "flux-system"})
    said = terminal.psm("pin", "a", "2")
    assert said.code == 0
    assert said.err == (
        "warning: a is managed by Flux Kustomization flux-system/models: "
        "its next sync may undo this change; make it in Git too\n"
    )


async def test_rights_are_kubernetes_own(terminal: Terminal) -> None:
    """Who may only look, looks; who may not change, is told in the API server's words."""
    await terminal.tell("moved-on", "a")
    terminal.kubectl(
        "create", "role", "looks", "--verb=get,list,watch", "--resource=pricesensitivitymodels.retail.mlops"
    )
    terminal.kubectl("create", "rolebinding", "looks", "--role=looks", "--user=ann")
    assert terminal.psm("status", "--as=ann").code == 0
    explained = terminal.psm("explain", "a", "--as=ann", "--registry=never")
    assert explained.code == 0
    assert "warning: deployments could not be read" in explained.err
    for words in (("rollback", "a"), ("pin", "a", "1"), ("suspend", "a")):
        refused = terminal.psm(*words, "--as=ann")
        assert refused.code == 1
        assert 'User "ann" cannot patch resource "pricesensitivitymodels"' in refused.err


async def test_kubectl_completes_through_us(terminal: Terminal) -> None:
    """Kubectl asks kubectl_complete-psm, which it finds on PATH."""
    await terminal.tell("rolled-back", "uk-grocery")

    def complete(*words: str) -> list[str]:
        argv = ["kubectl", "__complete", "psm", *words]
        done = subprocess.run(argv, env=terminal.variables, capture_output=True, text=True, check=True)
        assert "ShellCompDirectiveNoFileComp" in done.stderr
        return done.stdout.splitlines()[:-1]

    assert complete("unr") == ["unreject\tForget that versions were rejected."]
    assert complete("status", "-n", terminal.namespace, "") == ["uk-grocery\tReady, serves 1"]
    assert complete("unreject", "-n", terminal.namespace, "uk-grocery", "") == ["2\tMetricBelowThreshold"]
    assert complete("status", "-n", terminal.namespace[:-2]) == [terminal.namespace]


@contextmanager
def operator(terminal: Terminal) -> Iterator[None]:
    """The operator as a process of its own, for this namespace alone."""
    variables = {
        **terminal.variables,
        "PSM_OPERATOR_NAMESPACES": terminal.namespace,
        "PSM_OPERATOR_LEASE_NAME": terminal.namespace,
        "PSM_OPERATOR_HEALTH_PORT": "0",
        "PSM_OPERATOR_METRICS_PORT": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "psm_operator"], env=variables)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def register(terminal: Terminal, group: str, accuracy: str) -> None:
    """An approved version with an artifact."""
    account = terminal.cluster.aws.environment()
    keys = {name.lower(): account[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    session = boto3.session.Session(region_name=REGION, **keys)
    s3 = session.client("s3", endpoint_url=terminal.cluster.aws.s3_host_url)
    sagemaker = session.client("sagemaker", endpoint_url=terminal.cluster.aws.host_url)
    if not sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        s3.create_bucket(Bucket=group, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=group, Key="model.tar.gz", Body=CONTENT, ChecksumAlgorithm="SHA256")
    sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "predictor", "ModelDataUrl": f"s3://{group}/model.tar.gz"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            "psm.sha256": hashlib.sha256(CONTENT).hexdigest(),
            "psm.accuracy": accuracy,
            "psm.macro_f1": "0.800000",
            "psm.precision_min_class": "0.790000",
            "psm.data_validation": "passed",
        },
    )


OPERATOR = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "psm-operator", "labels": {"app.kubernetes.io/name": "psm-operator"}},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "psm-operator"}},
        "template": {
            "metadata": {"labels": {"app": "psm-operator"}},
            "spec": {"containers": [{"name": "operator", "image": "psm-operator", "env": []}]},
        },
    },
}
"""Where `diff` reads the installation's settings; the operator of this test runs beside the cluster."""


def serves(terminal: Terminal, name: str, version: int) -> None:
    """Wait until a version is the way back."""

    def is_so() -> bool:
        status = terminal.model(name).get("status") or {}
        return (status.get("stable") or {}).get("version") == version and status.get("phase") == "Ready"

    until(is_so, f"{name} to serve {version}", LIMIT_S)


async def test_the_story_of_a_person_on_call(terminal: Terminal) -> None:
    """Two versions, a way back, an explanation, a second chance, a pin, and a look at what would be written."""
    name = terminal.namespace
    register(terminal, name, "0.810000")
    spec = {
        "interval": "15s",
        "registry": {"modelPackageGroupName": name, "region": REGION},
        "rollout": {"soak": "1s", "minReadySeconds": 0},
        "rollback": {"cooldown": "0s"},
    }
    with operator(terminal):
        terminal.create("m", spec)
        serves(terminal, "m", 1)
        refused = terminal.psm("rollback", "m")
        assert (refused.code, refused.out) == (1, "")
        assert "m has no way back from version 1: no other version has served" in refused.err

        register(terminal, name, "0.830000")
        serves(terminal, "m", 2)
        done = terminal.psm("rollback", "m", "--wait", "--timeout=60s")
        assert done.code == 0, done.err
        assert (
            done.lines[0] == f"{OBJECT}/m rollback requested from version 2 to version 1 or the next that may be served"
        )
        assert done.lines[-1] == f"{OBJECT}/m rolled back from version 2 to 1"
        assert terminal.psm("history", "m").lines[1].split()[1:] == ["2", "RolledBack", "RequestedByPerson", "2", "1"]

        why = terminal.psm("explain", "m", "--registry=always")
        assert why.lines[0].startswith(
            "version 2 of m is not served: rejection: a person asked to go back from version 2"
        )
        assert any(line.startswith("->    rejection") for line in why.lines)
        assert any(line.split()[:4] == ["metric", "accuracy", "pass", "0.830000"] for line in why.lines), why.out
        assert any(line.split()[:3] == ["artifact", "pass", "present"] for line in why.lines), why.out

        tried = terminal.psm("retry", "m", "--wait", "--timeout=60s")
        assert tried.code == 0, tried.err
        assert tried.lines[-1] == f"{OBJECT}/m serves version 2"
        serves(terminal, "m", 2)

        assert terminal.psm("rollback", "m", "--to=1", "--wait").code == 0
        assert terminal.psm("unreject", "m", "2").out == f"{OBJECT}/m rejection of version 2 cleared\n"
        serves(terminal, "m", 2)

        held = terminal.psm("pin", "m", "1", "--wait", "--timeout=60s")
        assert held.lines[-1] == f"{OBJECT}/m serves version 1", held.err
        assert "m is pinned to version 1; `kubectl psm unpin m` first" in terminal.psm("rollback", "m").err
        absent = terminal.psm("pin", "m", "7", "--wait", "--timeout=60s")
        assert absent.code == 1
        assert "error: m is stalled: spec.version.pin is 7, which is not in group" in absent.err
        assert terminal.psm("unpin", "m").code == 0
        serves(terminal, "m", 2)
        _diff(terminal)
        hopeless = terminal.psm("explain", "m", "9", "--registry=always")
        assert f"version 9 of m is not served: approval: group {name} has no version 9" in hopeless.out


def _diff(terminal: Terminal) -> None:
    """Nothing to write; then, suspended, what a person changed."""
    place = ("--operator-namespace", terminal.namespace)
    unknown = terminal.psm("diff", "m", *place)
    assert unknown.code == 2
    assert "error: no Deployment with label app.kubernetes.io/name=psm-operator" in unknown.err
    terminal.kubectl("create", "-f", "-", stdin=json.dumps(OPERATOR))
    settled = terminal.psm("diff", "m", *place)
    assert (settled.code, settled.out, settled.err) == (0, "", "")
    assert terminal.psm("suspend", "m").code == 0
    until(lambda: terminal.model("m")["status"]["phase"] == "Suspended", "the operator to stand still", LIMIT_S)
    terminal.kubectl("set", "image", "deployment/m", "predictor=other:1")
    terminal.kubectl("delete", "poddisruptionbudget", "m")
    for extra in ((), ("--registry=never",)):
        changed = terminal.psm("diff", "m", *place, *extra)
        assert changed.code == 1
        assert "-        image: other:1" in changed.lines
        assert "# PodDisruptionBudget/m: absent" in changed.lines
        assert not [line for line in changed.lines if line.startswith(("+", "-")) and "replicas:" in line]
        assert "is suspended: this is what the operator would write once it is resumed" in changed.err
    assert terminal.psm("resume", "m").code == 0
    until(lambda: terminal.psm("diff", "m", *place).code == 0, "the operator to put it right", LIMIT_S)
