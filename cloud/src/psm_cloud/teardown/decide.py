"""What is deleted, in which order, and what is not, with the reason. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from psm_cloud.teardown.scope import Scope


class Kind(IntEnum):
    """Kinds of leftovers in the order of their deletion: what uses another goes before it."""

    LOAD_BALANCER = 1
    TARGET_GROUP = 2
    NETWORK_INTERFACE = 3
    SECURITY_GROUP = 4
    DASHBOARD = 5
    ALARM = 6
    BUCKET = 7
    """Its content: every version, delete marker and unfinished upload."""
    REPOSITORY = 8
    """Its images."""
    LOG_GROUP = 9
    SNAPSHOT = 10
    VOLUME = 11
    TERRAFORM = 12
    """The place of `terraform destroy` in the order; nothing that is found has it."""
    SECRET = 13
    KEY = 14
    """Last: until then everything can still be read."""

    @property
    def label(self) -> str:
        """As people read it."""
        words = self.name.lower().replace("_", " ")
        return {Kind.BUCKET: "bucket content", Kind.REPOSITORY: "images of repository"}.get(self, words)


CONTENT: Final = frozenset({Kind.BUCKET, Kind.REPOSITORY})
"""Emptied, while the thing itself is Terraform's."""
SCHEDULED: Final = frozenset({Kind.SECRET, Kind.KEY})
"""What Terraform takes too; looked for after it, for what a lost state does not know."""


@dataclass(frozen=True)
class Found:
    """One resource that exists."""

    kind: Kind
    id: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    empty: bool = False
    """A bucket or repository without content."""


@dataclass(frozen=True)
class Kept:
    """What is not deleted, and why."""

    found: Found
    reason: str


@dataclass(frozen=True)
class Decision:
    """What to do about all that was found."""

    delete: tuple[Found, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True)
class Keep:
    """What stays although it is ours."""

    audit: bool = True
    state: bool = True


Refusal = Callable[[Found, Scope, Keep], str | None]


def decide(found: Iterable[Found], scope: Scope, keep: Keep) -> Decision:
    """Return what to delete, in order, and what to keep; things of others are not even mentioned."""
    delete: list[Found] = []
    kept: list[Kept] = []
    for one in found:
        reason = next((told for refusal in REFUSALS if (told := refusal(one, scope, keep)) is not None), None)
        if reason is None:
            delete.append(one)
        elif reason:
            kept.append(Kept(one, reason))
    return Decision(
        tuple(sorted(delete, key=lambda one: (one.kind, one.id))),
        tuple(sorted(kept, key=lambda one: (one.found.kind, one.found.id))),
    )


def _of_others(found: Found, scope: Scope, _: Keep) -> str | None:
    """Empty: not ours and not worth a word."""
    if found.kind is Kind.DASHBOARD:
        return None if scope.is_models_dashboard(found.name) else ""
    if scope.owns(found.tags):
        return None
    if found.kind is Kind.ALARM and scope.is_of_a_model(found.name, found.tags):
        return None
    ours_by_name = scope.name in re.findall(r"mlops-[a-z0-9]+", found.name) and "Project" not in found.tags
    return "is named like ours but lacks our tags: look at it and delete it by hand" if ours_by_name else ""


def _state(found: Found, scope: Scope, keep: Keep) -> str | None:
    if found.kind is Kind.BUCKET and scope.is_state(found.name) and keep.state:
        return "keeps Terraform's state (--include-state)"
    return None


def _audit(found: Found, scope: Scope, keep: Keep) -> str | None:
    if found.kind is Kind.BUCKET and scope.is_audit(found.name) and keep.audit:
        return "keeps the audit trail (--include-audit)"
    return None


def _terraforms(found: Found, scope: Scope, _: Keep) -> str | None:
    if found.kind in CONTENT | SCHEDULED:
        return None
    return "" if scope.is_terraforms(found.tags) else None


def _empty(found: Found, _: Scope, __: Keep) -> str | None:
    return "" if found.empty else None


REFUSALS: Final[tuple[Refusal, ...]] = (_of_others, _state, _audit, _terraforms, _empty)
"""In this order; the first that says something decides. None deletes, an empty text skips without a word."""
