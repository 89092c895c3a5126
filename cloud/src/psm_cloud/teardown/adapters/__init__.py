"""AWS' side of the ports: one module for each service."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from psm_cloud.errors import CloudError

GONE: Final = frozenset(
    {
        "InvalidGroup.NotFound",
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidSnapshot.NotFound",
        "InvalidVolume.NotFound",
        "LoadBalancerNotFound",
        "NoSuchBucket",
        "NoSuchUpload",
        "NotFoundException",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "TargetGroupNotFound",
    }
)
"""Codes of what somebody else, or an earlier run, deleted already."""


class LeftInsideError(CloudError):
    """A part of a bucket or repository could not be deleted."""


def tags_of(listed: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return tags by key from any of AWS' ways to write them."""
    found = {}
    for tag in listed or ():
        key = tag.get("Key", tag.get("TagKey", tag.get("key")))
        found[str(key)] = str(tag.get("Value", tag.get("TagValue", tag.get("value"))))
    return found


def code_of(err: ClientError) -> str:
    """Return AWS' code of an error."""
    return str(err.response.get("Error", {}).get("Code", ""))


def unless_gone(err: ClientError) -> None:
    """Raise the error again unless it says that there is nothing to delete."""
    if code_of(err) not in GONE:
        raise err
