"""Who takes a role, and what buckets, queues and secrets say for themselves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import pytest
from iam_policies import Decision, Request, decide, statements
from planned_policies import Planned
from role_rights import ACCOUNT, KEY, LOGS, OTHER_KEY, QUEUE, REGION, ROLE

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

POD_TRUSTS: Final = {
    "operator": ("psm-system", "psm-operator"),
    "training": ("mlops", "psm-training"),
    "etl": ("mlops", "psm-etl"),
    "predictor": ("mlops", "uk-grocery"),
}
ISSUER: Final = f"oidc.eks.{REGION}.amazonaws.com/id/ABCDEF"
GITHUB: Final = "token.actions.githubusercontent.com"


def taken_by_token(policy: dict[str, Any], issuer: str, subject: str, audience: str = "sts.amazonaws.com") -> bool:
    """Whether a bearer of a token takes a role."""
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    context = {f"{issuer}:sub": subject, f"{issuer}:aud": audience}
    asking = Request("sts:AssumeRoleWithWebIdentity", "*", context, ("Federated", provider))
    return decide([policy], asking) is Decision.ALLOWED


@pytest.mark.parametrize("role", POD_TRUSTS)
def test_only_its_service_account_takes_a_role_of_pods(planned: Mapping[str, Planned], role: str) -> None:
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    namespace, name = POD_TRUSTS[role]
    assert taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:default:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}-2:{name}")
    assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:{name}", audience="kubernetes")
    assert not taken_by_token(
        trust, f"oidc.eks.{REGION}.amazonaws.com/id/OTHER", f"system:serviceaccount:{namespace}:{name}"
    )
    if role != "predictor":  # whose accounts are named after models
        assert not taken_by_token(trust, ISSUER, f"system:serviceaccount:{namespace}:other")


@pytest.mark.parametrize("role", POD_TRUSTS)
def test_only_its_service_account_takes_a_role_by_pod_identity(planned: Mapping[str, Planned], role: str) -> None:
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    namespace, name = POD_TRUSTS[role]
    tags = {
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-dev",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": name,
    }

    def taken(action: str = "sts:AssumeRole", **other: str) -> bool:
        changed = {key: other.get(key.rpartition("/")[2].replace("-", "_"), value) for key, value in tags.items()}
        asking = Request(action, "*", changed, ("Service", "pods.eks.amazonaws.com"))
        return decide([trust], asking) is Decision.ALLOWED

    assert taken() == (role != "predictor")
    assert taken("sts:TagSession") == (role != "predictor")
    assert not taken(kubernetes_namespace="default")
    assert not taken(kubernetes_service_account="other")
    assert not taken(eks_cluster_arn=f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/mlops-prod")


SUBJECTS: Final = {
    "github_plan": {"pull_request", "ref:refs/heads/main"},
    "github_apply": {"environment:dev"},
    "github_release": {"environment:release"},
    "github_model": {"environment:dev-models"},
}
NAMES: Final = ("example/psm-operator", "example@1234/psm-operator@5678")
"""As tokens name our repository: by its name, and since mid-2026 with the ids of owner and repository."""
STRANGERS: Final = (
    "repo:example@1234/psm-operator@5679:pull_request",
    "repo:example@9/psm-operator@5678:environment:dev",
    "repo:somebody@1234/psm-operator@5678:pull_request",
    "repo:example/psm-operator:ref:refs/heads/feature",
    "repo:example/psm-operator:ref:refs/tags/v1",
    "repo:example/psm-operator:environment:prod",
    "repo:example/psm-operator-fork:environment:dev",
    "repo:somebody/psm-operator:pull_request",
    "repo:somebody/psm-operator:environment:dev",
    "repo:example/psm-operator:environment:dev-models:and-more",
)


@pytest.mark.parametrize("role", SUBJECTS)
def test_only_our_repository_takes_a_role_of_workflows(planned: Mapping[str, Planned], role: str) -> None:
    """And of it only the branch or the environment that the role is for."""
    trust = planned["iam"].trust(f'aws_iam_role.this["{role}"]')
    everybody = {f"repo:{name}:{subject}" for name in NAMES for found in SUBJECTS.values() for subject in found}
    ours = {f"repo:{name}:{subject}" for name in NAMES for subject in SUBJECTS[role]}
    assert {subject for subject in {*everybody, *STRANGERS} if taken_by_token(trust, GITHUB, subject)} == ours
    assert not any(taken_by_token(trust, GITHUB, subject, audience="https://github.com/example") for subject in ours)


BARE: Final = {"ControlPlaneOfTheCluster", "MachinesOfTheAccount"}
"""Roles of EKS and EC2, which take only what somebody of the role's own account passed to them."""


def test_nobody_takes_a_role_without_a_condition(planned: Mapping[str, Planned]) -> None:
    """A service's roles are taken for this account only, which keeps other customers of the service out."""
    bare = [
        (name, statement["Sid"])
        for module in planned.values()
        for name, document in module.documents().items()
        if name.endswith(".assume_role_policy")
        for statement in statements(document)
        if not statement.get("Condition") or statement["Principal"] == "*"
    ]
    assert {sid for _, sid in bare} <= BARE


SERVICE_ROLES: Final = {
    "scheduler": ("scheduler.amazonaws.com", {"aws:SourceArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/mlops-dev"}),
    "machine": ("states.amazonaws.com", {"aws:SourceArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:mlops-dev-training-missing"}),
    "starter": ("events.amazonaws.com", {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mlops-dev-training-succeeded"}),
}  # fmt: skip


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_only_its_source_takes_a_role_of_a_service(planned: Mapping[str, Planned], role: str) -> None:
    service, source = SERVICE_ROLES[role]
    trust = planned["events"].trust(f"aws_iam_role.{role}")

    def taken(account: str, name: str, **other: str) -> bool:
        context = {"aws:SourceAccount": account, **source, **{f"aws:{key}": value for key, value in other.items()}}
        return decide([trust], Request("sts:AssumeRole", "*", context, ("Service", name))) is Decision.ALLOWED

    assert taken(ACCOUNT, service)
    assert not taken("999999999999", service)
    assert not taken(ACCOUNT, "ec2.amazonaws.com")
    assert not taken(ACCOUNT, service, SourceArn=f"{source['aws:SourceArn']}-2")


TLS: Final = MappingProxyType({"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"})


@pytest.mark.parametrize("bucket", ["lake", "models", "logs"])
def test_buckets_refuse_what_is_not_encrypted_on_its_way(planned: Mapping[str, Planned], bucket: str) -> None:
    policy = planned["lake"].policy(f'aws_s3_bucket_policy.this["{bucket}"]')
    arn = f"arn:aws:s3:::mlops-dev-{bucket}-{ACCOUNT}/a"
    assert decide([policy], Request("s3:GetObject", arn, TLS)) is Decision.SILENT
    for wrong in ({"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}):
        assert decide([policy], Request("s3:GetObject", arn, {**TLS, **wrong})) is Decision.DENIED


@pytest.mark.parametrize("bucket", ["lake", "models"])
def test_buckets_refuse_other_keys(planned: Mapping[str, Planned], bucket: str) -> None:
    """Who names nothing gets the bucket's own key; who asks for KMS without a key would get the account's default."""
    policy = planned["lake"].policy(f'aws_s3_bucket_policy.this["{bucket}"]')
    header = "s3:x-amz-server-side-encryption"
    cases: dict[tuple[tuple[str, str], ...], Decision] = {
        (): Decision.SILENT,
        ((header, "aws:kms"),): Decision.DENIED,
        ((header, "aws:kms:dsse"),): Decision.DENIED,
        ((header, "aws:kms"), (f"{header}-aws-kms-key-id", KEY)): Decision.SILENT,
        ((header, "aws:kms"), (f"{header}-aws-kms-key-id", OTHER_KEY)): Decision.DENIED,
        ((header, "AES256"),): Decision.DENIED,
    }
    for sent, expected in cases.items():
        asking = Request("s3:PutObject", f"arn:aws:s3:::mlops-dev-{bucket}-{ACCOUNT}/a", {**TLS, **dict(sent)})
        assert decide([policy], asking) is expected, sent


def test_the_trail_writes_its_logs_and_nobody_removes_them(planned: Mapping[str, Planned]) -> None:
    policy = planned["lake"].policy('aws_s3_bucket_policy.this["logs"]')
    trail = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/mlops-dev-audit"
    file = f"{LOGS}/cloudtrail/AWSLogs/{ACCOUNT}/a.json.gz"
    sent = {**TLS, "aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}
    service = ("Service", "cloudtrail.amazonaws.com")
    assert decide([policy], Request("s3:PutObject", file, sent, service)) is Decision.ALLOWED
    other = {**sent, "aws:SourceArn": f"{trail}-2"}
    assert decide([policy], Request("s3:PutObject", file, other, service)) is Decision.SILENT
    removing = Request("s3:DeleteObject", file, {**TLS, "aws:PrincipalIsAWSService": "false"}, ("AWS", f"{ROLE}/admin"))
    assert decide([policy], removing) is Decision.DENIED


def test_only_the_rule_sends_to_the_queue(planned: Mapping[str, Planned]) -> None:
    policy = planned["events"].policy('aws_sqs_queue_policy.this["queue"]')
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/mlops-dev-registry-events"
    tls = {"aws:SecureTransport": "true"}

    def sent(source: str, service: str = "events.amazonaws.com", action: str = "sqs:SendMessage") -> Decision:
        return decide([policy], Request(action, QUEUE, {**tls, "aws:SourceArn": source}, ("Service", service)))

    assert sent(rule) is Decision.ALLOWED
    assert sent(f"{rule}-2") is Decision.SILENT
    assert sent(rule, "sns.amazonaws.com") is Decision.SILENT
    assert sent(rule, action="sqs:ReceiveMessage") is Decision.SILENT


def test_a_secret_is_its_readers_only(planned: Mapping[str, Planned]) -> None:
    policy = planned["secrets"].policy('aws_secretsmanager_secret_policy.this["pager"]')

    def read(role: str, account: str = ACCOUNT) -> Decision:
        context = {
            "aws:PrincipalArn": f"arn:aws:iam::{account}:role/{role}",
            "aws:PrincipalAccount": account,
            "aws:SecureTransport": "true",
        }
        return decide([policy], Request("secretsmanager:GetSecretValue", "*", context, ("AWS", f"{ROLE}/{role}")))

    assert read("mlops-dev-operator") is Decision.SILENT  # its own rights decide
    assert read("admin") is Decision.DENIED
    assert read("mlops-dev-operator", "222222222222") is Decision.DENIED
