"""What is left of an environment: by its tags, and by lists of services that the tagging API does not cover."""

from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from psm_cloud.teardown.account import Account
from psm_cloud.teardown.decide import CONTENT, Found, Keep, Kind, decide
from psm_cloud.teardown.scope import Scope

LISTED: Final = frozenset(
    {Kind.REPOSITORY, Kind.DASHBOARD, Kind.ALARM, Kind.SECURITY_GROUP, Kind.BUCKET, Kind.LOG_GROUP}
)
"""Looked at by their own services too: the tagging API lacks dashboards, and is late with others."""


@dataclass(frozen=True)
class Left:
    """One resource that is still there."""

    what: str
    reason: str
    """Why it may be; empty: it should not be there."""

    @property
    def is_unexpected(self) -> bool:
        """Whether nobody wanted it to stay."""
        return not self.reason


def left_over(account: Account, scope: Scope, keep: Keep) -> tuple[Left, ...]:
    """Return all that is left, sorted by name; a list that is refused is left too, since nobody knows."""
    found: dict[str, Left] = {}
    try:
        for arn in _tagged(account.tagging, scope):
            found[arn] = Left(arn, _reason(arn, account, scope, keep))
    except (ClientError, BotoCoreError) as err:
        found["tags"] = Left(f"what the tagging API would list: {err}", "")
    for shelf in account.shelves:
        if shelf.kind not in LISTED:
            continue
        try:
            seen = list(shelf.find())
        except (ClientError, BotoCoreError) as err:
            found[shelf.kind.label] = Left(f"{shelf.kind.label}: {err}", "")
            continue
        for one in seen:
            _note(one, found, scope, keep)
    return tuple(sorted(found.values(), key=lambda one: one.what))


def _note(one: Found, found: dict[str, Left], scope: Scope, keep: Keep) -> None:
    if any(one.id == arn or arn.endswith((f"/{one.id}", f":{one.id}")) for arn in found):
        return
    decision = decide([one], scope, keep)
    for kept in decision.kept:
        found[one.id] = Left(f"{one.kind.label} {one.name}", kept.reason)
    if decision.delete or (not decision.kept and scope.owns(one.tags)):
        label = one.kind.name.lower().replace("_", " ") if one.kind in CONTENT else one.kind.label
        found[one.id] = Left(f"{label} {one.name}", "")


def _tagged(tagging: Any, scope: Scope) -> list[str]:
    filters = [{"Key": key, "Values": [value]} for key, value in scope.tags.items()]
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=filters)
    return [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]


def _reason(arn: str, account: Account, scope: Scope, keep: Keep) -> str:
    service, name = arn.split(":")[2], arn.split(":", 5)[5]
    if service == "s3":
        kept = decide([Found(Kind.BUCKET, name, name, scope.tags)], scope, keep).kept
        return kept[0].reason if kept else ""
    if service == "kms":
        told = account.kms.describe_key(KeyId=arn)["KeyMetadata"]
        return f"goes on {told['DeletionDate']:%Y-%m-%d}" if told["KeyState"] == "PendingDeletion" else ""
    if service == "secretsmanager":
        deleted = account.secrets.describe_secret(SecretId=arn).get("DeletedDate")
        return f"goes on {deleted:%Y-%m-%d}" if deleted else ""
    return ""
