"""What each environment's plan would make, whichever module makes it: names, tags, doors, secrets, and its place in docs/aws.md."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from terraform_plans import ENVIRONMENTS, ROOT

from psm_cloud.terraform import Plan

pytestmark = [pytest.mark.component, pytest.mark.parametrize("environment", ENVIRONMENTS)]

TAGS = {"Project": "PriceSensitivityMLOps", "Owner": "DataTeam", "CostCenter": "ML-Platform"}
NAMES = ("name", "bucket", "cluster_name", "dashboard_name", "alarm_name", "repository_name")
NAMED_OTHERWISE = {
    "aws_ecr_repository": r"mlops/.+",  # an image is promoted from one environment to the next, not built again
    "aws_glue_catalog_database": r"mlops_{env}",  # Athena's names have no hyphen
    "aws_kms_alias": r"alias/mlops-{env}-.+",
    "aws_cloudwatch_query_definition": r"mlops-{env}/.+",  # the console shows folders
    "aws_secretsmanager_secret": r"mlops[-/]{env}[-/].+",
    # AWS chooses these, by the names of what they belong to
    "aws_cloudwatch_log_group": r"/aws/[a-z]+/(insights/)?mlops-{env}[-/].+|/aws/[a-z/]+/mlops-{env}-.+",
    "aws_eks_cluster": r"mlops-{env}",
}
NAMED_BY_OTHERS = {
    "aws_athena_workgroup": "",
    "aws_autoscaling_group_tag": "the group is of a node group",
    "aws_autoscaling_schedule": "belongs to the group of a node group",
    "aws_eks_access_entry": "named by its principal",
    "aws_eks_access_policy_association": "named by its principal",
    "aws_eks_addon": "AWS's names",
    "aws_eks_pod_identity_association": "named by its service account",
    "aws_glue_catalog_table": "named in a database of ours",
    "aws_iam_role_policy": "a part of its role",
    "aws_s3_bucket_metric": "AWS's name for the whole bucket",
}
"""Types whose name attribute is not a name of ours, and why."""
WAYS_OUT = {"aws_route_table_association.private", "aws_vpc_endpoint.interface", "aws_vpc_endpoint.s3"}
"""What nodes need to join, and to go in order."""
OPEN = {"0.0.0.0/0", "::/0"}
DOOR = "module.account.module.network.aws_vpc_security_group_ingress_rule.load_balancer_https"
NOT_OURS = re.compile(
    r"aws_(sagemaker_(model|endpoint)|secretsmanager_secret_version|iam_(user|access_key)|nat_gateway)"
)


def resources(plan: Plan) -> Iterator[dict[str, Any]]:
    """Every resource that an apply would make."""
    for change in plan["resource_changes"]:
        if change["mode"] == "managed":
            assert change["change"]["actions"] == ["create"], change["address"]
            yield change


def test_every_resource_is_named_by_its_environment(environment: str, plans: dict[str, Plan]) -> None:
    """`mlops-<environment>-<component>`; buckets end with the account, since their names are the world's."""
    wrong = []
    for resource in resources(plans[environment]):
        after, kind = resource["change"]["after"], resource["type"]
        if kind in NAMED_BY_OTHERS:
            continue
        pattern = NAMED_OTHERWISE.get(kind, r"mlops-{env}(-.+)?").replace("{env}", environment)
        said = [after[key] for key in NAMES if after.get(key)] + [(after.get("tags") or {}).get("Name")]
        wrong += [f"{resource['address']}: {name}" for name in said if name and not re.fullmatch(pattern, name)]
        if kind == "aws_s3_bucket" and not after["bucket"].endswith("-123456789012"):
            wrong.append(f"{resource['address']}: {after['bucket']} does not end with the account")
    assert wrong == []


def test_every_resource_that_takes_tags_has_the_five(environment: str, plans: dict[str, Plan]) -> None:
    """Project, Environment, Owner, CostCenter from the provider, Component from the module: what cost and teardown go by."""
    wrong, tagged = [], 0
    for resource in resources(plans[environment]):
        change = resource["change"]
        if "tags_all" not in {*change["after"], *change["after_unknown"]}:
            continue
        tagged += 1
        tags = change["after"].get("tags_all") or {}
        component = re.search(r"module\.account\.module\.(\w+)", resource["address"])
        assert component is not None
        wanted = {**TAGS, "Environment": environment, "Component": component.group(1)}
        if {key: tags.get(key) for key in wanted} != wanted:
            wrong.append(f"{resource['address']}: {tags}")
    assert wrong == []
    assert tagged > 80


def test_nothing_but_the_load_balancer_is_open_to_the_world(environment: str, plans: dict[str, Plan]) -> None:
    """And that on port 443 only; the cluster's API neither."""
    opened = []
    for resource in resources(plans[environment]):
        after = resource["change"]["after"]
        door = resource["address"].partition("[")[0]
        opened += [
            (door, rule["from_port"], rule["to_port"]) for rule in rules(resource) if OPEN & set(addresses(rule))
        ]
        if resource["type"] == "aws_eks_cluster":
            network = after["vpc_config"][0]
            assert network["endpoint_private_access"] is True
            assert not network["endpoint_public_access"] or not OPEN & set(network["public_access_cidrs"] or OPEN)
    assert opened == [(DOOR, 443, 443)]


def rules(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of ingress that a resource is or has."""
    after: dict[str, Any] = resource["change"]["after"]
    is_rule = resource["type"] == "aws_vpc_security_group_ingress_rule"
    is_rule |= resource["type"] == "aws_security_group_rule" and after["type"] == "ingress"
    return [after] if is_rule else after.get("ingress") or []


def addresses(rule: dict[str, Any]) -> Iterator[str]:
    for key in ("cidr_ipv4", "cidr_ipv6", "cidr_blocks", "ipv6_cidr_blocks"):
        value = rule.get(key) or []
        yield from [value] if isinstance(value, str) else value


def test_nothing_of_one_model_no_secrets_value_and_no_nat(environment: str, plans: dict[str, Plan]) -> None:
    """The operator makes what a model needs; a person writes values; endpoints lead to AWS."""
    kinds = {resource["type"] for resource in resources(plans[environment])}
    assert sorted(filter(NOT_OURS.match, kinds)) == []


def test_what_is_lost_with_an_environment(environment: str, plans: dict[str, Plan]) -> None:
    """Buckets of prod are never destroyed with what is in them."""
    forced = {
        one["change"]["after"]["force_destroy"]
        for one in resources(plans[environment])
        if one["type"] == "aws_s3_bucket"
    }
    assert forced == {environment != "prod"}


def test_every_type_of_resource_says_which_proof_it_has(environment: str, plans: dict[str, Plan]) -> None:
    """A row in docs/aws.md."""
    listed = re.findall(r"^\| `(aws_\w+)` \|", (ROOT / "docs/aws.md").read_text(), flags=re.MULTILINE)
    kinds = {resource["type"] for resource in resources(plans[environment])}
    assert kinds - set(listed) == set()
    assert len(listed) == len(set(listed))


def test_nodes_come_after_the_endpoints_and_go_before_them(environment: str, plans: dict[str, Plan]) -> None:
    """Whatever is put into the private subnets waits for the ways out of them; Terraform destroys in the reverse order."""
    account = plans[environment]["configuration"]["root_module"]["module_calls"]["account"]["module"]["module_calls"]
    output = account["network"]["module"]["outputs"]["private_subnet_ids"]
    assert set(output["depends_on"]) >= WAYS_OUT
    assert (
        account["cluster"]["expressions"]["private_subnet_ids"]["references"][0] == "module.network.private_subnet_ids"
    )
