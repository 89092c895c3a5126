"""Secrets and keys that `terraform destroy` did not take, because its state did not know them."""

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from psm_cloud.teardown.adapters import code_of, tags_of, unless_gone
from psm_cloud.teardown.decide import Found, Kind

DAYS: Final = 7
"""The shortest time that AWS leaves to change one's mind, for keys and secrets alike."""


class Secrets:
    """Deleted after a week, in which they can be restored."""

    kind = Kind.SECRET

    def __init__(self, secrets: Any) -> None:
        """Ask this secretsmanager client."""
        self._secrets = secrets

    def find(self) -> Iterator[Found]:
        """Yield secrets that are not to be deleted yet."""
        for page in self._secrets.get_paginator("list_secrets").paginate():
            for one in page["SecretList"]:
                if not one.get("DeletedDate"):
                    yield Found(self.kind, one["ARN"], one["Name"], tags_of(one.get("Tags")))

    def remove(self, found: Found) -> None:
        """Let it be deleted in a week."""
        try:
            self._secrets.delete_secret(SecretId=found.id, RecoveryWindowInDays=DAYS)
        except ClientError as err:
            unless_gone(err)


class Keys:
    """Deleted after a week, in which they can be restored."""

    kind = Kind.KEY

    def __init__(self, kms: Any) -> None:
        """Ask this kms client."""
        self._kms = kms

    def find(self) -> Iterator[Found]:
        """Yield customer keys in use; tags of keys that we may not look at stay unknown, so such keys are not ours."""
        for page in self._kms.get_paginator("list_keys").paginate():
            for one in page["Keys"]:
                found = self._look(one["KeyId"])
                if found is not None:
                    yield found

    def _look(self, key: str) -> Found | None:
        try:
            told = self._kms.describe_key(KeyId=key)["KeyMetadata"]
            if told.get("KeyManager", "CUSTOMER") != "CUSTOMER" or told["KeyState"] == "PendingDeletion":
                return None
            tags = tags_of(self._kms.list_resource_tags(KeyId=key)["Tags"])
        except ClientError as err:
            if code_of(err) in {"AccessDeniedException", "NotFoundException"}:
                return None
            raise
        return Found(self.kind, key, told.get("Description") or key, tags)

    def remove(self, found: Found) -> None:
        """Let it be deleted in a week."""
        try:
            self._kms.schedule_key_deletion(KeyId=found.id, PendingWindowInDays=DAYS)
        except ClientError as err:
            unless_gone(err)
