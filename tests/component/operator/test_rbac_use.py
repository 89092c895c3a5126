"""The chart's rules, one by one: exactly these, none with a wildcard, none of Secrets, and none that is never used.

Two operators, one standing by, live through releases, rollbacks, drift and deletions with the chart's own identity; the
API server's audit log then says which rights they used. cert-manager#8763: rights that nobody needs are a complaint.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from chart_roles import Installed
from helm import manifests
from waiting import until

from psm_local.cluster import Cluster
from psm_local.errors import LocalError
from psm_operator.api.names import API_VERSION, KIND

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
RELEASE, MODELS = "rbac-used", "rbac-used-models"
OPTIONS = (f"--set=watchNamespaces={{{MODELS}}}", "--set=cloudWatch.enabled=true")
LIMIT_S = 120.0

CHILDREN = {
    ("apps", "deployments"): "get list watch create patch delete",
    ("", "services"): "get list watch create patch delete",
    ("", "serviceaccounts"): "get list watch create patch",
    ("autoscaling", "horizontalpodautoscalers"): "get list watch create patch delete",
    ("policy", "poddisruptionbudgets"): "get list watch create patch delete",
    ("networking.k8s.io", "ingresses"): "get list watch create patch delete",
    ("networking.k8s.io", "networkpolicies"): "get list watch create patch delete",
}
WATCHED = {("retail.mlops", "pricesensitivitymodels"): "list watch", **dict.fromkeys(CHILDREN, "list watch")}
CANARY = {("coordination.k8s.io", "leases"): "list watch"}
WHERE_MODELS_ARE = {
    **CHILDREN,
    **CANARY,
    ("retail.mlops", "pricesensitivitymodels"): "get list watch",
    ("retail.mlops", "pricesensitivitymodels/status"): "patch",
    ("retail.mlops", "pricesensitivitymodels/finalizers"): "update",
    ("", "pods"): "list",
    ("events.k8s.io", "events"): "create",
}
GUARDED = {("retail.mlops", "pricesensitivitymodels"): "patch"}
"""With cloudWatch.enabled alone: for the one finalizer."""
LEASE = {("coordination.k8s.io", "leases"): "get create update"}

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""

NOT_AUDITED: frozenset[Right] = frozenset({("retail.mlops", "pricesensitivitymodels/finalizers", "update")})
"""Asked for by an admission plugin, not by a request; a test of its own shows that it is needed."""


def rights(*tables: dict[tuple[str, str], str]) -> frozenset[Right]:
    """A table spelt out."""
    return frozenset(
        (group, resource, verb)
        for table in tables
        for (group, resource), verbs in table.items()
        for verb in verbs.split()
    )


def granted(rules: list[dict[str, Any]]) -> frozenset[Right]:
    """What rules of a role allow."""
    return frozenset(
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def rules(*options: str) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The operator's own rules as rendered, by kind of role and namespace; roles for users are not its."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for role in manifests("psm-operator", *options, "--set=rbac.aggregate=false", release=RELEASE, namespace=RELEASE):
        if role["kind"] in ("Role", "ClusterRole"):
            found.setdefault((role["kind"], role["metadata"].get("namespace", "")), []).extend(role["rules"])
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {("ClusterRole", ""): rights(WHERE_MODELS_ARE), ("Role", RELEASE): rights(LEASE)}),
        (
            OPTIONS,
            {("Role", MODELS): rights(WHERE_MODELS_ARE, GUARDED), ("Role", RELEASE): rights(WATCHED, CANARY, LEASE)},
        ),
        ((f"--set=watchNamespaces={{{RELEASE}}}",), {("Role", RELEASE): rights(WHERE_MODELS_ARE, LEASE)}),
    ],
    ids=["cluster-wide", "in one namespace", "in its own namespace"],
)
def test_the_operator_may_do_exactly_this(options: tuple[str, ...], expected: dict[Any, frozenset[Right]]) -> None:
    """A right that is added or lost shows here."""
    assert {where: granted(found) for where, found in rules(*options).items()} == expected


@pytest.mark.parametrize("options", [(), OPTIONS], ids=["cluster-wide", "in one namespace"])
def test_no_wildcard_and_no_secret(options: tuple[str, ...]) -> None:
    """cert-manager#8763: cluster-wide Secret verbs. Leases of others are none of ours either, but to create one."""
    for found in rules(*options).values():
        for group, resource, verb in granted(found):
            assert "*" not in group + resource + verb
            assert not resource.startswith("secrets")
        for rule in found:
            is_limited = rule.get("resourceNames") == [RELEASE]
            assert is_limited == (rule["resources"] == ["leases"] and rule["verbs"] != ["create"])


# --- what is used -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shop:
    """People who register versions and make models, past the operator's rights."""

    cluster: Cluster

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """In the models' namespace."""
        return self.cluster.kubectl(*args, "-n", MODELS, stdin=stdin)

    def aws(self, service: str) -> Any:
        """A client of the stand-ins."""
        aws = self.cluster.aws
        url = aws.s3_host_url if service == "s3" else aws.host_url
        keys = {"aws_access_key_id": aws.access_key, "aws_secret_access_key": aws.secret_key}
        return boto3.client(service, region_name=REGION, endpoint_url=url, **keys)

    def offer(self, group: str, versions: int) -> None:
        """A group with versions that wait for approval, all of one archive."""
        s3, sagemaker = self.aws("s3"), self.aws("sagemaker")
        s3.create_bucket(Bucket=group, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=group, Key="model.tar.gz", Body=b"model", ChecksumAlgorithm="SHA256")
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        for _ in range(versions):
            sagemaker.create_model_package(
                ModelPackageGroupName=group,
                ModelApprovalStatus="PendingManualApproval",
                InferenceSpecification={
                    "Containers": [{"Image": "predictor", "ModelDataUrl": f"s3://{group}/model.tar.gz"}],
                    "SupportedContentTypes": ["application/json"],
                    "SupportedResponseMIMETypes": ["application/json"],
                },
                CustomerMetadataProperties={
                    "psm.protocol": "1",
                    "psm.sha256": hashlib.sha256(b"model").hexdigest(),
                    "psm.accuracy": "0.8",
                    "psm.data_validation": "passed",
                },
            )

    def approve(self, group: str, version: int, approval: str = "Approved") -> None:
        """Change an approval, and let the registry be read."""
        sagemaker = self.aws("sagemaker")
        found = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        (arn,) = (row["ModelPackageArn"] for row in found if row["ModelPackageVersion"] == version)
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)
        self.kubectl("annotate", "psm", group, f"retail.mlops/requestedAt={approval}-{version}", "--overwrite")

    def create(self, name: str, **spec: Any) -> None:
        """A model with short clocks."""
        whole = {
            "interval": "15s",
            "registry": {"modelPackageGroupName": name, "region": REGION},
            "version": {"policy": "LatestApproved"},
            "rollout": {"soak": "1s", "minReadySeconds": 0},
            "rollback": {"cooldown": "0s"},
            "analysis": {"metrics": [{"name": "accuracy", "threshold": {"min": "0.75"}}]},
            **spec,
        }
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": whole}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def change(self, what: str, **patch: Any) -> None:
        """Merge into an object."""
        self.kubectl("patch", what, "--type=merge", "-p", json.dumps(patch))

    def serves(self, name: str, version: int) -> bool:
        """Whether a version serves and is the way back."""
        status = json.loads(self.kubectl("get", "psm", name, "-o=json")).get("status", {})
        return [status.get(which, {}).get("version") for which in ("current", "stable")] == [version, version]

    def alarms(self, name: str) -> int:
        """How many alarms of a model there are in CloudWatch."""
        found = self.aws("cloudwatch").describe_alarms(AlarmNamePrefix=f"psm-{MODELS}-{name}-")
        return len(found["MetricAlarms"])

    def has(self, what: str) -> bool:
        """Whether an object exists."""
        return bool(self.kubectl("get", what, "--ignore-not-found", "-o=name"))


@contextmanager
def operator(installed: Installed, number: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The operator as a process, with the chart's identity."""
    environment = {
        **os.environ,  # noqa: TID251  # a child process inherits PATH
        **installed.cluster.aws.environment(),
        "KUBECONFIG": str(installed.kubeconfig(folder)),
        "PSM_OPERATOR_LEASE_NAME": RELEASE,
        "PSM_OPERATOR_LEASE_NAMESPACE": RELEASE,
        "PSM_OPERATOR_NAMESPACES": MODELS,
        "PSM_OPERATOR_POD_NAME": f"operator-{number}",
        "PSM_OPERATOR_HEALTH_PORT": "0",
        "PSM_OPERATOR_METRICS_PORT": "0",
    }
    with (
        (folder / f"operator-{number}.log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "psm_operator"], env=environment, stdout=log, stderr=log) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()
            child.wait(30)


def live_through_everything(shop: Shop, name: str) -> None:
    """Release, drift, release, rollback, optional children on and off, a size of zero; a dashboard, which needs a finalizer."""
    shop.offer(name, 2)
    watched = {"monitoring": {"cloudWatch": {"enabled": True}}}
    shop.create(
        name, networking={"ingress": {"host": "a.example"}}, autoscaling={"minReplicas": 1, "maxReplicas": 2}, **watched
    )
    shop.approve(name, 1)
    until(lambda: shop.serves(name, 1), "version 1 to serve", LIMIT_S)
    until(lambda: shop.alarms(name) == 4, "its alarms", LIMIT_S)
    for what in ("ingress", "networkpolicy", "hpa", "pdb"):
        until(lambda what=what: shop.has(f"{what}/{name}"), f"the {what}", LIMIT_S)  # type: ignore[misc]  # bound at once
    shop.kubectl("delete", f"service/{name}")
    until(lambda: shop.has(f"service/{name}"), "the Service to come back", LIMIT_S)
    shop.change(f"service/{name}", spec={"ports": [{"name": "http", "port": 8081, "targetPort": 1, "protocol": "TCP"}]})
    port = ("get", f"service/{name}", "--ignore-not-found", "-o=jsonpath={.spec.ports[0].port}")
    until(lambda: shop.kubectl(*port) == "80", "the Service to be made anew", LIMIT_S)
    for what in ("serviceaccount", "networkpolicy", "service", "deployment", "hpa", "pdb", "ingress"):
        shop.kubectl("label", f"{what}/{name}", "app.kubernetes.io/managed-by=somebody", "--overwrite")
        label = ("get", f"{what}/{name}", r"-o=jsonpath={.metadata.labels.app\.kubernetes\.io/managed-by}")
        until(lambda label=label: shop.kubectl(*label) == "psm-operator", f"the label of the {what}", LIMIT_S)  # type: ignore[misc]
    shop.approve(name, 2)
    until(lambda: shop.serves(name, 2), "version 2 to serve", LIMIT_S)
    shop.approve(name, 2, "Rejected")
    until(lambda: shop.serves(name, 1), "the rollback to version 1", LIMIT_S)
    shop.change(
        f"psm/{name}",
        spec={"networking": {"ingress": None, "networkPolicy": {"enabled": False}}, "autoscaling": None, "replicas": 1},
    )
    for what in ("ingress", "networkpolicy", "hpa"):
        until(lambda what=what: not shop.has(f"{what}/{name}"), f"the {what} to go", LIMIT_S)  # type: ignore[misc]


def give_a_first_version_up(shop: Shop, name: str) -> None:
    """It found no node, and a person asks for another one: nothing serves meanwhile, so nothing needs a budget."""
    shop.offer(name, 2)
    predictor = {"nodeSelector": {"no-such": "node"}}
    unverified = {"verification": {"enabled": False}, "soak": "1s", "minReadySeconds": 0}
    shop.create(name, predictor=predictor, rollout=unverified)
    shop.approve(name, 1)
    until(lambda: shop.has(f"pdb/{name}"), "the budget", LIMIT_S)
    # before the approval: once approved, version 2 would be rolled out without proof, and that within moments
    shop.change(f"psm/{name}", spec={"rollout": {"verification": {"enabled": True}}})
    shop.approve(name, 2)
    shop.change(f"psm/{name}", spec={"version": {"policy": None, "pin": 2}})
    until(lambda: not shop.has(f"pdb/{name}"), "the budget to go", LIMIT_S)


def used(cluster: Cluster, namespace: str) -> frozenset[Right]:
    """Rights that the operator's requests in a namespace needed; server-side apply of what is not there creates it."""
    assert cluster.audit_log is not None
    found = set()
    *whole, _ = cluster.audit_log.read_text().split("\n")  # what follows the last line's end is being written
    for line in whole:
        entry = json.loads(line)
        target = entry.get("objectRef") or {}
        if entry["user"]["username"] != f"system:serviceaccount:{RELEASE}:{RELEASE}":
            continue
        if target.get("namespace") != namespace:
            continue
        assert entry["responseStatus"]["code"] not in (401, 403), entry["requestURI"]
        resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        verbs = {entry["verb"]} | ({"create"} if entry["responseStatus"]["code"] == 201 else set())
        found |= {(target.get("apiGroup", ""), resource, verb) for verb in verbs}
    return frozenset(found)


def test_no_right_is_unused(cluster: Cluster, tmp_path: Path) -> None:
    """And none is missing: not one request was refused."""
    installed, shop = Installed(cluster, RELEASE, MODELS, *OPTIONS), Shop(cluster)
    holder = ("get", "lease", RELEASE, "-n", RELEASE, "--ignore-not-found", "-o=jsonpath={.spec.holderIdentity}")
    with operator(installed, 1, tmp_path) as first:
        until(lambda: cluster.kubectl(*holder).startswith("operator-1"), "the first to lead", LIMIT_S)
        with operator(installed, 2, tmp_path):
            live_through_everything(shop, "everything")
            first.terminate()
            until(lambda: cluster.kubectl(*holder).startswith("operator-2"), "the standby to lead", LIMIT_S)
            give_a_first_version_up(shop, "given-up")
            shop.kubectl("delete", "psm", "everything", "given-up")
            until(lambda: not shop.has("deployment/everything"), "the children to go", LIMIT_S)
            assert shop.alarms("everything") == 0, "what is in AWS goes before the model does"
    for (_, namespace), found in rules(*OPTIONS).items():
        assert sorted(granted(found) - used(cluster, namespace) - NOT_AUDITED) == [], f"never used in {namespace}"


def test_without_the_right_to_finalizers_a_guarded_cluster_refuses_children(cluster: Cluster) -> None:
    """OwnerReferencesPermissionEnforcement, which OpenShift runs, asks for it; this cluster runs it too."""
    namespace = "rbac-guarded"
    cluster.kubectl("create", "namespace", namespace)
    whole = rules(*OPTIONS)["Role", MODELS]
    version = "rbac.authorization.k8s.io/v1"
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": "a",
        "uid": "1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    child = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "ownerReferences": [owner]}}
    answers = {}
    for who, kept in (("whole", whole), ("lesser", [rule for rule in whole if "update" not in rule["verbs"]])):
        metadata = {"name": who, "namespace": namespace}
        subject = {"kind": "ServiceAccount", "name": who, "namespace": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": who}
        made = [
            {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": kept},
            {"apiVersion": version, "kind": "RoleBinding", "metadata": metadata, "roleRef": reference}
            | {"subjects": [subject]},
        ]
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(made))
        argv = ("apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-")
        account = f"--as=system:serviceaccount:{namespace}:{who}"
        try:
            answers[who] = cluster.kubectl(*argv, account, stdin=json.dumps(child))
        except LocalError as err:
            answers[who] = str(err)
    assert "serverside-applied" in answers["whole"]
    assert "cannot set blockOwnerDeletion" in answers["lesser"]
