"""What each role may do and what not, asked of the policies that Terraform plans; AWS's own list knows their words.

The evaluator is `tests/iam_policies.py`, the tables are `tests/role_rights.py`; which actions, resources and condition
keys there are, policy_sentry knows from AWS's service authorization reference.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import pytest
from iam_policies import Decision, allowed_pairs, decide, listed, statements
from planned_policies import Planned
from policy_sentry.analysis.expand import expand
from policy_sentry.querying.actions import get_action_data
from role_rights import ACCOUNT, GROUP, MUST, MUST_NOT, NEVER, request_of
from second_evaluator import second_opinions

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

OPEN_RESOURCES: Final = {
    ("github_plan", "SeeHowThingsAre"),
    ("github_apply", "SeeHowThingsAre"),
    ("github_apply", "KeepKeysAndNetworkOfTheRegion"),
}
"""Statements about every resource although their actions know some: role and Sid; why is written beside them."""


UNKNOWN_TO_THE_REFERENCE: Final = {("sagemaker:CreateModelPackage", GROUP)}
"""Asked of ours alone: AWS's examples of shared groups name the group, its reference names versions only."""


def rights(planned: Mapping[str, Planned], role: str) -> dict[str, Any]:
    """The policy of a role of module iam."""
    return planned["iam"].policy(f'aws_iam_role_policy.this["{role}"]')


@pytest.mark.parametrize("role", MUST)
def test_a_role_may_do_its_work(planned: Mapping[str, Planned], role: str) -> None:
    asked = map(request_of, MUST[role])
    assert not [asking for asking in asked if decide([rights(planned, role)], asking) is not Decision.ALLOWED]


@pytest.mark.parametrize("role", MUST)
def test_a_role_may_do_nothing_that_does_harm(planned: Mapping[str, Planned], role: str) -> None:
    asked = map(request_of, (*NEVER, *MUST_NOT[role]))
    assert not [asking for asking in asked if decide([rights(planned, role)], asking) is Decision.ALLOWED]


def test_two_evaluators_agree(planned: Mapping[str, Planned]) -> None:
    """Ours and one that shares no code with it say the same of every row of the tables."""
    asked = [
        (role, request_of(row))
        for role in MUST
        for row in (*MUST[role], *MUST_NOT[role], *NEVER)
        if row[:2] not in UNKNOWN_TO_THE_REFERENCE
    ]
    ours = [decide([rights(planned, role)], request) for role, request in asked]
    theirs = second_opinions([(rights(planned, role), request) for role, request in asked], ACCOUNT)
    assert [one for one in zip(asked, ours, theirs, strict=True) if one[1] is not one[2]] == []


def test_every_role_has_its_rows(planned: Mapping[str, Planned]) -> None:
    """A new role is nobody's until it is said what it must and must not do."""
    roles = {address.split('"')[1] for address in planned["iam"].resources if address.startswith("aws_iam_role.this[")}
    assert roles == set(MUST) == set(MUST_NOT)


@cache
def known(action: str) -> tuple[dict[str, Any], ...]:
    """What AWS's reference says of an action: a row per kind of resource; none for an action that there is not."""
    service, _, name = action.partition(":")
    found = get_action_data(service, name)
    return tuple(found[service]) if found else ()


def role_policies(planned: Mapping[str, Planned]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy that gives rights, by the role's name: a policy of a resource has no resources of its own kind."""
    for module in planned.values():
        for address in module.resources:
            if address.startswith("aws_iam_role_policy."):
                yield address.removeprefix("aws_iam_role_policy.this").strip('[]"'), module.policy(address)


def test_every_action_exists(planned: Mapping[str, Planned]) -> None:
    """AWS accepts a misspelt action without a word, and the right is missing."""
    documents = {name: found for module in planned.values() for name, found in module.documents().items()}
    actions = {
        (name, action)
        for name, document in documents.items()
        for statement in statements(document)
        for action in listed(statement["Action"])
    }
    assert not {(name, action) for name, action in actions if action != "*" and not expanded(action)}


@cache
def expanded(action: str) -> tuple[str, ...]:
    """The actions that a pattern names; none if there are none."""
    found = [action] if "*" not in action else [name for name in expand(action) if "*" not in name]
    return tuple(name for name in found if known(name))


def test_every_action_can_be_about_its_resources(planned: Mapping[str, Planned]) -> None:
    """A right on an ARN of the wrong kind gives nothing; each action fits a resource of its statement and the reverse."""
    idle = []
    for role, policy in role_policies(planned):
        by_statement: dict[str, list[tuple[str, str]]] = {}
        for sid, action, resource in allowed_pairs(policy):
            by_statement.setdefault(sid, []).append((action, resource))
        for sid, pairs in by_statement.items():
            fitting = [(action, resource) for action, resource in pairs if is_about(action, resource)]
            idle += [(role, sid, action) for action in {a for a, _ in pairs} - {a for a, _ in fitting}]
            idle += [(role, sid, resource) for resource in {r for _, r in pairs} - {r for _, r in fitting}]
    assert not idle, "\n".join(map(str, sorted(idle)))


def is_about(action: str, resource: str) -> bool:
    """Whether some action that a pattern names knows resources of this kind."""
    if resource == "*":
        return True
    formats = {row["resource_arn_format"] for name in expanded(action) for row in known(name)}
    paths = [
        resource + "/*" * depth for depth in range(5 if resource.endswith("*") else 1)
    ]  # a star reaches over slashes
    return any(re.fullmatch(_pattern(found), path) for found in formats - {"*"} for path in paths)


def _pattern(arn_format: str) -> str:
    """A format of AWS's reference as an expression; of all names only that of a bucket is followed by a slash that counts."""
    text = re.escape(arn_format).replace(re.escape("${BucketName}"), "[^/]+")
    return re.sub(r"\\\$\\\{\w+\\\}", ".+", text)


def test_every_resource_only_where_the_action_knows_none(planned: Mapping[str, Planned]) -> None:
    """Or where a statement is on the list of those that say why."""
    wide = {
        (role, sid, action)
        for role, policy in role_policies(planned)
        for sid, action, resource in allowed_pairs(policy)
        if resource == "*"
        and (role, sid) not in OPEN_RESOURCES
        and any(row["resource_arn_format"] != "*" for name in expanded(action) for row in known(name))
    }
    assert not wide


def test_nothing_is_everything(planned: Mapping[str, Planned]) -> None:
    """No role may do *, and only the role that applies may do all of a service, to what has its environment's name."""
    wide = {
        (role, action)
        for role, policy in role_policies(planned)
        for _, action, resource in allowed_pairs(policy)
        if action.endswith(":*") and (role != "github_apply" or resource == "*")
    }
    assert not wide


def test_planning_only_reads(planned: Mapping[str, Planned]) -> None:
    """By AWS's own levels; what a role reads of data is asked above."""
    writing = {
        name
        for sid, action, _ in allowed_pairs(rights(planned, "github_plan"))
        for name in expanded(action)
        if {row["access_level"] for row in known(name)} - {"Read", "List"} and sid != "DecryptState"
    }
    assert not writing
