"""`psm-train approve --auto`: rules on a version and writes the ruling, one at a time in a group.

What keeps two approvals from racing, and how far:
- Automatic ones hold a lease in S3 (`lease`) from the first read to the last write. The second sees what the first
  approved and measures itself against that.
- People and consoles hold no lease, and UpdateModelPackage takes no condition. So the approvals are read again just before
  the write, and once more after it: if anybody else's changed in between, the automatic one is taken back and the version
  waits. Whoever decides by hand wins.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from psm_contract import metadata
from psm_training.approval import Ruling, Version, rule
from psm_training.errors import PipelineError
from psm_training.lease import Lease
from psm_training.models.predictions import Predictions
from psm_training.registry import APPROVED, PENDING, REJECTED, ModelPackage, ModelRegistry
from psm_training.split import TEST

PREDICTIONS: Final = "predictions.npz"
LEASE: Final = "approval.lease"

LONGEST_REASON: Final = 1024
"""Characters of an ApprovalDescription."""

Versions = Mapping[int, ModelPackage]
"""Of a group, as they were at one time."""


def auto_approve(registry: ModelRegistry, group: str, which: str, *, holder: str, write: bool) -> dict[str, Any]:
    """Approves a version if the rules let it, or writes why it waits.

    Args:
        registry: Where.
        group: Model package group.
        which: Version number or ARN.
        holder: Names this process and no other.
        write: Whether the registry is told; otherwise it is only asked.

    Returns:
        Version, status, reason and evidence.

    Raises:
        PipelineError: The version was rejected, something cannot be read or written, or others decided meanwhile.
    """
    package = registry.find(group, which)
    details = registry.details(package)
    if not write:
        return _answer(package, _ruling(registry, package, _versions(registry, details.group)), written=None)
    bucket = details.folder.removeprefix("s3://").partition("/")[0]
    with Lease(registry, f"s3://{bucket}/{details.group}/{LEASE}", holder) as lease:
        return _decide_alone(registry, details.group, package.version, lease)


def _decide_alone(registry: ModelRegistry, group: str, number: int, lease: Lease) -> dict[str, Any]:
    """Rules and writes, with the lease held; everything is judged as of the one list that it begins with."""
    seen = _versions(registry, group)
    package = seen.get(number)
    if package is None:
        raise PipelineError(f"model package group {group} does not list version {number} yet; run again")
    ruling = _ruling(registry, package, seen)
    details = registry.details(package)
    status = APPROVED if ruling.approve else PENDING
    reason = ruling.reason[:LONGEST_REASON]
    if (package.status, details.decision) == (status, reason):
        return _answer(package, ruling, written=None)  # a write would tell every operator that the package changed
    content = (json.dumps({**ruling.evidence, "reason": ruling.reason}, indent=1, sort_keys=True) + "\n").encode()
    url = f"{details.folder}/approval/{hashlib.sha256(content).hexdigest()[:16]}.json"
    registry.put(url, content, "application/json")
    now = _versions(registry, group)
    if not lease.is_held or now[number].status != package.status or _approved(now) != _approved(seen):
        raise PipelineError(f"version {number} was not decided: others decided in {group} meanwhile; run again")
    decided = registry.decide(package, status, reason, {metadata.APPROVAL: url})
    if ruling.approve:
        _take_back_if_others_approved(registry, group, decided, seen)
    return _answer(decided, ruling, written=url)


def _take_back_if_others_approved(registry: ModelRegistry, group: str, package: ModelPackage, seen: Versions) -> None:
    others = (_approved(_versions(registry, group)) ^ _approved(seen)) - {package.version}
    if others:
        told = f"the approval of version {', '.join(map(str, sorted(others)))} changed while this one was approved"
        registry.decide(package, PENDING, told)
        raise PipelineError(f"version {package.version} waits again: {told}; run again")


def _ruling(registry: ModelRegistry, package: ModelPackage, seen: Versions) -> Ruling:
    if package.status == REJECTED:
        why = registry.details(package).decision
        raise PipelineError(f"version {package.version} was rejected ({why}); only a person can approve it")
    if package.status == APPROVED:
        return Ruling(approve=True, reason=registry.details(package).decision, evidence={"version": package.version})
    newest = max(_approved(seen), default=None)
    return rule(_version(registry, package), None if newest is None else _version(registry, seen[newest]))


def _version(registry: ModelRegistry, package: ModelPackage) -> Version:
    details = registry.details(package)
    return Version(package.version, details.properties, _answers(registry, f"{details.folder}/{PREDICTIONS}"))


def _answers(registry: ModelRegistry, url: str) -> Predictions | None:
    stored = registry.get(url)
    if stored is None:
        return None
    with tempfile.TemporaryDirectory(prefix="psm-approval-") as folder:
        path = Path(folder) / PREDICTIONS
        path.write_bytes(stored.content)
        return Predictions.of(path, TEST)


def _versions(registry: ModelRegistry, group: str) -> dict[int, ModelPackage]:
    return {package.version: package for package in registry.versions(group)}


def _approved(versions: Versions) -> set[int]:
    return {number for number, package in versions.items() if package.status == APPROVED}


def _answer(package: ModelPackage, ruling: Ruling, *, written: str | None) -> dict[str, Any]:
    return {
        "version": package.version,
        "arn": package.arn,
        "status": package.status,
        "approve": ruling.approve,
        "reason": ruling.reason,
        "evidence": ruling.evidence,
        "written": written,
    }
