"""The core of an environment is applied, planned again and destroyed: against the emulator, from an account with nothing in it.

It shows that the graph orders and that AWS's API (moto's idea of it) takes the requests, that state and lock live in the
bucket that the bootstrap made, and that a second plan finds what the first one wrote. LEFT_OUT is what it does not show;
docs/aws.md says which proof that has instead.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import provider_calls
import pytest
from api_actions import actions_of
from iam_policies import Decision, Policy, Request, decide, listed, statements
from planned_policies import planned_by
from role_rights import LAKE
from role_rights import REGION as PLANNED_REGION
from terraform_plans import ROOT, TREE

from psm_cloud.provider import attached
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Plan, Root, Terraform, TerraformError
from psm_local.aws import REGION
from psm_local.emulator.control import EmulatorControl
from psm_local.servers import start_emulator

pytestmark = pytest.mark.component

HERE = Path(__file__).parent / "emulator"
ENVIRONMENT = "emulator"
LEFT_OUT = {
    "aws_budgets_budget": "the emulator lacks DescribeSubscribersForNotification",
    "aws_cloudwatch_query_definition": "the emulator lacks PutQueryDefinition",
    "aws_eks_pod_identity_association": "the emulator lacks CreatePodIdentityAssociation",
    "aws_s3_bucket_lifecycle_configuration": "the provider waits a minute until three reads agree",
    "aws_s3_bucket_logging": "the emulator answers PutBucketLogging with an error of its own",
    "aws_s3_bucket_metric": "the emulator lacks PutBucketMetricsConfiguration",
}
"""Types that are not applied, and why."""
MODULES_LEFT_OUT = {
    "cluster": "the emulator lacks add-ons and access entries, and gives node groups back otherwise",
    "events": "the emulator lacks ValidateStateMachineDefinition, and formats the redrive policy of queues anew",
}
"""Modules that `emulator/main.tf` does not call, and why."""
FORGOTTEN = {"aws_vpc_security_group_egress_rule": {"description"}}
"""What a second plan would change, since the emulator does not give it back: here of a rule to a prefix list."""
BOOTSTRAP_LEFT_OUT = {
    "aws_s3_bucket_policy": "the emulator ignores conditions: it takes a refusal of plain HTTP for a refusal of everything",
    "aws_s3_bucket_lifecycle_configuration": "the provider waits a minute until three reads agree",
}


@dataclass(frozen=True)
class Account:
    """The emulator, and the copy of the tree that is applied to it."""

    control: EmulatorControl
    environment: Root
    bootstrap: Root
    bucket: str
    client: Any


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An empty account with the state's bucket, and a copy of the tree whose emulator environment keeps its state there."""
    tree = tmp_path_factory.mktemp("applied") / "terraform"
    shutil.copytree(TREE, tree)
    shutil.copytree(HERE, tree / "envs" / ENVIRONMENT)
    (tree / "bootstrap" / "emulator_override.tf").write_text('provider "aws" {\n  max_retries = 4\n}\n')
    with start_emulator(f"test-{os.getpid()}-terraform", environment={"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}) as url:
        keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}
        with attached(
            Terraform.found(read_settings()).having(
                {
                    "AWS_ENDPOINT_URL": url,
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "TF_CLI_ARGS_plan": "-parallelism=20",
                    **keys,
                }
            )
        ) as terraform:
            bootstrap = terraform.at(tree / "bootstrap").init()
            variables = ("-var=environment=emulator", "-var=account_id=123456789012")
            bootstrap.apply(*variables, *targets(bootstrap.plan(*variables), BOOTSTRAP_LEFT_OUT))
            bucket = bootstrap.outputs()["state_bucket"]
            root = terraform.at(tree / "envs" / ENVIRONMENT).init(backend_config={"bucket": bucket})
            client = boto3.client(
                "s3",
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",  # noqa: S106  # the emulator takes any
            )
            yield Account(EmulatorControl(url), root, bootstrap, bucket, client)
            client.close()
            root.forget()
            bootstrap.forget()


def targets(plan: Plan, left_out: dict[str, str]) -> list[str]:
    """Flags that name every resource of a plan but those of these types."""
    made = [one for one in plan["resource_changes"] if one["mode"] == "managed"]
    return [f"-target={one['address']}" for one in made if one["type"] not in left_out]


def differences(plan: Plan) -> dict[str, set[str]]:
    """Attributes that a plan would change, by type; a resource that would be made or go has them all."""
    found: dict[str, set[str]] = {}
    for one in plan["resource_changes"]:
        change = one["change"]
        if one["mode"] != "managed" or change["actions"] in (["no-op"], ["read"]):
            continue
        before, after = change["before"] or {}, change["after"] or {}
        found.setdefault(one["type"], set()).update(
            key for key in {*before, *after} if before.get(key) != after.get(key)
        )
    return found


@dataclass(frozen=True)
class Life:
    """What became of the core from its first apply to its end.

    Attributes:
        chosen: Flags that named what was applied.
        applied: Types in the state after the apply.
        missing: Operations that the emulator lacks.
        changed: What a second plan would change.
        state: Headers of the state's object.
        left: What is in the state in the end.
        asked: Services and operations by phase: apply, plan (of what is there) and destroy.
    """

    chosen: list[str]
    applied: set[str]
    missing: list[str]
    changed: dict[str, set[str]]
    state: dict[str, Any]
    left: str
    asked: dict[str, set[str]]


@pytest.fixture(scope="module")
def life(account: Account) -> Life:
    """Applied, planned again and destroyed."""
    root, control, asked = account.environment, account.control, {}
    chosen = targets(root.plan(), LEFT_OUT)
    control.forget()
    root.apply(*chosen, limit_s=300)
    asked["apply"] = set(control.asked())
    applied = set(re.findall(r"^module\.\w+\.(aws_\w+)", root.run("state", "list"), flags=re.MULTILINE))
    missing = control.missing()
    control.forget()
    changed = differences(root.plan(*chosen, "-lock=false"))
    asked["plan"] = set(control.asked())
    state = account.client.get_object(Bucket=account.bucket, Key="emulator/terraform.tfstate")
    control.forget()
    root.destroy(limit_s=300)
    asked["destroy"] = set(control.asked())
    return Life(chosen, applied, missing, changed, state, root.run("state", "list"), asked)


def test_the_core_is_applied_found_again_and_destroyed(life: Life) -> None:
    """A second plan changes nothing, and nothing is left in the end."""
    assert len(life.chosen) > 110
    page = (ROOT / "docs/aws.md").read_text()
    said = set(re.findall(r"^\| `(aws_\w+)` \| [\w, ]+ \| applied \|", page, flags=re.MULTILINE))
    assert life.applied == said
    assert life.missing == []
    assert life.changed == FORGOTTEN
    assert life.state["ServerSideEncryption"] in {"AES256", "aws:kms"}
    assert life.left == ""


def test_workflows_may_call_what_terraform_calls(life: Life, terraform: Terraform, plans: dict[str, Plan]) -> None:
    """Recorded of the real provider; of types that the emulator does not take, as its source has them."""
    types = {one["type"] for plan in plans.values() for one in plan["resource_changes"] if one["mode"] == "managed"}
    untold = types - life.applied
    reads = life.asked["plan"] | {call for kind in untold for call in provider_calls.READS[kind]}
    writes = life.asked["apply"] | life.asked["destroy"] | {c for kind in untold for c in provider_calls.WRITES[kind]}
    assert {"s3:HeadBucket", "ec2:DescribeVpcs"} <= life.asked["plan"]  # they are recorded in every protocol
    assert {"kms:CreateKey", "s3:PutBucketPolicy", "sns:CreateTopic", "secretsmanager:CreateSecret"} <= life.asked[
        "apply"
    ]
    roles = planned_by(terraform, "iam", "roles")
    for role, calls in {"github_plan": reads, "github_apply": reads | writes}.items():
        policy = roles.policy(f'aws_iam_role_policy.this["{role}"]')
        needed = {action: call for call in sorted(calls) for action in actions_of(call)}
        assert {action: call for action, call in needed.items() if not may_somewhere(policy, action)} == {}, role


OF_OBJECTS = {"s3:DeleteObject", "s3:GetObject", "s3:PutObject"}
"""Asked of the state's objects only: Terraform's own buckets are all that it touches, never what is in them."""


def may_somewhere(policy: Policy, action: str) -> bool:
    """Tell whether a policy allows an action in the environment's region: on its buckets, or on what a statement names."""
    context = {"aws:RequestedRegion": PLANNED_REGION}
    is_of_buckets = action.startswith("s3:") and action not in OF_OBJECTS
    for statement in statements(policy):
        for resource in (LAKE,) if is_of_buckets else listed(statement["Resource"]):
            for service in listed(
                statement.get("Condition", {}).get("StringEquals", {}).get("iam:PassedToService", "")
            ):
                asking = Request(action, resource.replace("*", "x"), {**context, "iam:PassedToService": service})
                if decide([policy], asking) is Decision.ALLOWED:
                    return True
    return False


def test_what_is_not_applied_is_said() -> None:
    """A module that nobody calls and nobody excuses."""
    called = set(re.findall(r'source = "../../modules/(\w+)"', (HERE / "main.tf").read_text()))
    modules = {path.name for path in TREE.glob("modules/*")} - {"account"}
    assert modules - called == set(MODULES_LEFT_OUT)


def test_two_people_cannot_apply_at_once(account: Account) -> None:
    """The lock is an object beside the state, made only if it is not there."""
    key = "emulator/terraform.tfstate.tflock"
    lock = b'{"ID": "1", "Operation": "OperationTypeApply", "Who": "a colleague"}'
    account.client.put_object(Bucket=account.bucket, Key=key, Body=lock)
    with pytest.raises(TerraformError, match="a colleague"):
        account.environment.plan()
    account.client.delete_object(Bucket=account.bucket, Key=key)


def test_the_states_bucket_keeps_every_state(account: Account) -> None:
    """Versioned, encrypted and closed to the public."""
    status = account.client.get_bucket_versioning(Bucket=account.bucket)["Status"]
    closed = account.client.get_public_access_block(Bucket=account.bucket)["PublicAccessBlockConfiguration"]
    assert status == "Enabled"
    assert all(closed.values())
