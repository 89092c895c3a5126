"""What IAM decides of a request, from policy documents: as far as our policies need it, and an error beyond that.

Called by the policy tests of `terraform/`. After AWS's "Policy evaluation logic" and "IAM JSON policy elements:
Condition operators": an explicit Deny wins, then an Allow, then nothing; statements are asked one by one; keys of a
condition are all needed, values of a key are alternatives. It knows no boundaries, no session policies and no SCPs.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

Policy = Mapping[str, Any]
Values = tuple[str, ...]


class Decision(Enum):
    """What comes of a request."""

    ALLOWED = "allowed"
    DENIED = "denied"
    """A statement says Deny."""
    SILENT = "silent"
    """No statement says Allow, which refuses it as well."""


@dataclass(frozen=True)
class Request:
    """Who wants what.

    Attributes:
        action: Such as s3:GetObject.
        resource: Its ARN; * for an action that knows none.
        context: Condition keys of this request; a key that is not here is missing.
        principal: Kind and name, such as ("Service", "ecs.amazonaws.com"); for policies that name principals.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    principal: tuple[str, str] | None = None


def decide(policies: Iterable[Policy], request: Request) -> Decision:
    """What comes of a request by all policies together."""
    effects = {
        statement["Effect"] for policy in policies for statement in statements(policy) if fits(statement, request)
    }
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.SILENT


def statements(policy: Policy) -> list[dict[str, Any]]:
    """The statements of a policy, which may be one without a list."""
    found = policy["Statement"]
    return found if isinstance(found, list) else [found]


def listed(value: Any) -> Values:
    """One value or several, as several."""
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def fits(statement: Mapping[str, Any], request: Request) -> bool:
    """Whether a statement is about a request.

    Raises:
        NotImplementedError: It has an element that is not known here.
    """
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
    if unknown:
        raise NotImplementedError(f"statement {statement.get('Sid')} has {', '.join(sorted(unknown))}")
    return (
        any(_like(wanted, request.action, fold=True) for wanted in listed(statement["Action"]))
        and any(_like(wanted, request.resource) for wanted in listed(statement.get("Resource", "*")))
        and _is_principal(statement.get("Principal", "*"), request.principal)
        and all(
            _holds(operator, key, listed(values), request.context)
            for operator, wanted in statement.get("Condition", {}).items()
            for key, values in wanted.items()
        )
    )


def _is_principal(wanted: Any, principal: tuple[str, str] | None) -> bool:
    if wanted == "*":
        return True
    if principal is None:
        return False
    kind, name = principal
    return name in listed(wanted.get(kind, ())) or listed(wanted.get(kind, ())) == ("*",)


def _holds(operator: str, key: str, wanted: Values, context: Mapping[str, str | tuple[str, ...]]) -> bool:
    """Whether one key of a condition holds."""
    names = {name.lower(): value for name, value in context.items()}
    given = names.get(key.lower())
    if operator == "Null":
        return (given is None) == (wanted == ("true",))
    quantifier, _, plain = operator.rpartition(":")
    plain, is_optional = plain.removesuffix("IfExists"), plain.endswith("IfExists")
    is_negative = "Not" in plain
    compare = _COMPARISONS.get(plain.replace("Not", ""))
    if compare is None or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise NotImplementedError(f"condition operator {operator}")
    if given is None:
        return is_optional or is_negative or quantifier == "ForAllValues"

    def one(value: str) -> bool:
        return any(compare(pattern, value) for pattern in wanted) != is_negative

    return (any if quantifier == "ForAnyValue" else all)(map(one, listed(given)))


def _like(pattern: str, value: str, *, fold: bool = False) -> bool:
    """Whether a value is as a pattern with * and ? says."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.IGNORECASE | re.DOTALL if fold else re.DOTALL) is not None


def _arn_like(pattern: str, value: str) -> bool:
    """The same, section by section: a wildcard never reaches over a colon, but in the last section."""
    wanted, given = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(given) and all(map(_like, wanted, given))


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "NumericLessThan": lambda wanted, given: float(given) < float(wanted),
}


def allowed_pairs(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Sid, action and resource of everything that a policy's Allow statements name, as written."""
    for statement in statements(policy):
        if statement["Effect"] == "Allow":
            for action in listed(statement["Action"]):
                for resource in listed(statement["Resource"]):
                    yield str(statement["Sid"]), action, resource
