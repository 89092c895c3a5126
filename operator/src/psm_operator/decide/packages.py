"""Whether two mentions of a version are about one model package: its number alone does not tell.

A group that is deleted and made anew counts from 1 again, and a package's digest can be edited. A package is known by its ARN, when it
was made and its digest; another one under the same number is another version.
"""

from datetime import datetime
from typing import Protocol

from psm_operator.values import ModelPackage, Snapshot


class Mention(Protocol):
    """Anything that names a model package: in the registry, in the status, on a pod template."""

    @property
    def version(self) -> int | None:
        """Model package version; None where nothing is named."""

    @property
    def arn(self) -> str | None:
        """Model package ARN; empty where it is not said."""

    @property
    def sha256(self) -> str | None:
        """Digest of model.tar.gz; empty where it is not said."""

    @property
    def created_at(self) -> datetime | None:
        """When the package was made; None where it is not said."""


def is_same(one: Mention, other: Mention) -> bool:
    """Whether both name one package. What one of them does not say is no difference: operators before stored less."""
    said = ((one.arn, other.arn), (one.sha256, other.sha256), (one.created_at, other.created_at))
    return one.version == other.version and all(this == that for this, that in said if this and that)


def is_older(one: Mention, other: Mention) -> bool:
    """Whether `one` was made before `other`; by their numbers where that is not said, or was in the same second."""
    if one.created_at and other.created_at and one.created_at != other.created_at:
        return one.created_at < other.created_at
    return (one.version or 0) < (other.version or 0)


def described(snapshot: Snapshot, mention: Mention) -> ModelPackage | None:
    """The described package that is meant; None if it is gone, not described, or if its number is another's now."""
    package = snapshot.packages.get(mention.version) if mention.version is not None else None
    return package if package is not None and is_same(package, mention) else None


def is_gone_from(snapshot: Snapshot, mention: Mention) -> bool:
    """Whether the group has no such package any more, though it may have another one of its number."""
    row = next((row for row in snapshot.summaries if row.version == mention.version), None)
    package = snapshot.packages.get(mention.version) if mention.version is not None else None
    return row is None or not is_same(row, mention) or (package is not None and not is_same(package, mention))
