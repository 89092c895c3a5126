"""Snapshots and volumes that pods left."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from psm_cloud.teardown.adapters import tags_of, unless_gone
from psm_cloud.teardown.decide import Found, Kind
from psm_cloud.teardown.scope import Scope


class Snapshots:
    """Of volumes."""

    kind = Kind.SNAPSHOT

    def __init__(self, ec2: Any, scope: Scope) -> None:
        """Ask this ec2 client."""
        self._ec2, self._scope = ec2, scope

    def find(self) -> Iterator[Found]:
        """Yield the environment's own."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in self._scope.tags.items()]
        pages = self._ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        for page in pages:
            for one in page["Snapshots"]:
                yield Found(self.kind, one["SnapshotId"], one.get("Description", ""), tags_of(one.get("Tags")))

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._ec2.delete_snapshot(SnapshotId=found.id)
        except ClientError as err:
            unless_gone(err)


class Volumes:
    """Of claims whose pods are gone."""

    kind = Kind.VOLUME

    def __init__(self, ec2: Any, scope: Scope) -> None:
        """Ask this ec2 client."""
        self._ec2, self._scope = ec2, scope

    def find(self) -> Iterator[Found]:
        """Yield those that no machine uses; a node's go with it."""
        filters: list[dict[str, Any]] = [{"Name": "status", "Values": ["available"]}]
        filters += [{"Name": f"tag:{key}", "Values": [value]} for key, value in self._scope.tags.items()]
        for page in self._ec2.get_paginator("describe_volumes").paginate(Filters=filters):
            for one in page["Volumes"]:
                yield Found(self.kind, one["VolumeId"], f"{one['Size']} GiB", tags_of(one.get("Tags")))

    def remove(self, found: Found) -> None:
        """Delete it."""
        try:
            self._ec2.delete_volume(VolumeId=found.id)
        except ClientError as err:
            unless_gone(err)
