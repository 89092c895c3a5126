"""The evaluator of policies that tests of `terraform/` use, against what AWS's user guide says of each operator."""

from typing import Any

import pytest
from iam_policies import Decision, Request, decide


def policy(**more: Any) -> dict[str, Any]:
    """A policy of one statement that allows s3:Get* of one bucket."""
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def allows(document: dict[str, Any], **context: str | tuple[str, ...]) -> bool:
    asking = Request(
        "s3:GetObject", "arn:aws:s3:::b/k", {name.replace("_", ":"): value for name, value in context.items()}
    )
    return decide([document], asking) is Decision.ALLOWED


def test_what_no_statement_allows_is_not_allowed() -> None:
    assert decide([policy()], Request("s3:PutObject", "arn:aws:s3:::b/k")) is Decision.SILENT
    assert decide([policy()], Request("s3:GetObject", "arn:aws:s3:::c/k")) is Decision.SILENT


def test_a_deny_wins_over_every_allow() -> None:
    both = [policy(), policy(Effect="Deny", Resource="*")]
    assert decide(both, Request("s3:GetObject", "arn:aws:s3:::b/k")) is Decision.DENIED


def test_actions_are_compared_without_case_and_resources_with_it() -> None:
    assert decide([policy()], Request("S3:getobject", "arn:aws:s3:::b/k")) is Decision.ALLOWED
    assert decide([policy()], Request("s3:GetObject", "arn:aws:s3:::B/k")) is Decision.SILENT


def test_a_policy_of_one_statement_needs_no_list() -> None:
    assert allows({"Statement": policy()["Statement"][0]})


CASES = [
    ("StringEquals", "v", (True, False, False)),
    ("StringLike", "v*", (True, False, False)),
    ("StringNotEquals", "v", (False, True, True)),
    ("StringEqualsIfExists", "v", (True, False, True)),
    ("StringNotEqualsIfExists", "v", (False, True, True)),
    ("ForAllValues:StringEquals", "v", (True, False, True)),
    ("ForAnyValue:StringEquals", "v", (True, False, False)),
]
"""Operator, value of the policy; whether it holds for a request with v, with w, and without the key."""


@pytest.mark.parametrize(("operator", "wanted", "holds"), CASES, ids=[case[0] for case in CASES])
def test_an_operator_is_as_the_user_guide_says(operator: str, wanted: str, holds: tuple[bool, bool, bool]) -> None:
    document = policy(Condition={operator: {"aws:k": wanted}})
    assert (allows(document, aws_k="v"), allows(document, aws_k="w"), allows(document)) == holds


def test_several_values_of_a_request() -> None:
    every = policy(Condition={"ForAllValues:StringEquals": {"aws:k": ["v", "w"]}})
    some = policy(Condition={"ForAnyValue:StringEquals": {"aws:k": ["v", "w"]}})
    assert allows(every, aws_k=("v", "w"))
    assert not allows(every, aws_k=("v", "x"))
    assert allows(some, aws_k=("v", "x"))


def test_values_are_alternatives_and_keys_are_all_needed() -> None:
    document = policy(Condition={"StringEquals": {"aws:k": ["v", "w"], "aws:l": "m"}})
    assert allows(document, aws_k="w", aws_l="m")
    assert not allows(document, aws_k="w")
    assert not allows(document, aws_k="w", aws_l="n")


def test_keys_are_compared_without_case() -> None:
    assert allows(policy(Condition={"StringEquals": {"AWS:K": "v"}}), aws_k="v")


def test_a_missing_key_is_what_null_asks_for() -> None:
    assert allows(policy(Condition={"Null": {"aws:k": "true"}}))
    assert not allows(policy(Condition={"Null": {"aws:k": "true"}}), aws_k="v")
    assert allows(policy(Condition={"Null": {"aws:k": "false"}}), aws_k="v")


def test_a_wildcard_of_an_arn_stays_between_colons() -> None:
    document = policy(Condition={"ArnLike": {"aws:k": "arn:aws:iam:*:role/a*"}})
    assert not allows(document, aws_k="arn:aws:iam::111111111111:role/ab")
    document = policy(Condition={"ArnLike": {"aws:k": "arn:aws:iam::*:role/a*"}})
    assert allows(document, aws_k="arn:aws:iam::111111111111:role/ab")


def test_numbers_are_compared_as_numbers() -> None:
    document = policy(Condition={"NumericLessThan": {"aws:k": "10"}})
    assert allows(document, aws_k="9.5")
    assert not allows(document, aws_k="10")
    assert not allows(document)


def test_a_principal_is_of_a_kind() -> None:
    document = policy(Principal={"Service": ["a.amazonaws.com", "b.amazonaws.com"]})

    def asked_by(*principal: str) -> Decision:
        kind, name = principal
        return decide([document], Request("s3:GetObject", "arn:aws:s3:::b/k", principal=(kind, name)))

    assert asked_by("Service", "b.amazonaws.com") is Decision.ALLOWED
    assert asked_by("AWS", "b.amazonaws.com") is Decision.SILENT
    assert decide([document], Request("s3:GetObject", "arn:aws:s3:::b/k")) is Decision.SILENT


@pytest.mark.parametrize(
    "more",
    [{"NotAction": "s3:*"}, {"Condition": {"DateLessThan": {"aws:k": "2026-01-01"}}}],
    ids=["element", "operator"],
)
def test_what_is_not_known_is_an_error_and_no_guess(more: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        allows(policy(**more), aws_k="v")
