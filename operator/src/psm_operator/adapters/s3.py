"""Model artifacts on S3: does the object exist, with the digest that its package names?

A HEAD with checksums, never a GET. Where the store keeps no SHA-256 of the whole object (uploads without one, multipart
uploads), existence is all that can be said here; the predictor checks the digest of every byte before it serves.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.s3_trouble import ObjectUrl, Search
from psm_operator.adapters.trouble import AWS_ERRORS
from psm_operator.timers import Timer
from psm_operator.values import Artifact, ArtifactState, GroupRef, ModelPackage

PRESENT_FOR_S: Final = 30.0
"""A good look is good for this long: many models share one artifact, and passes come in bursts."""

PRESENT: Final = Artifact(ArtifactState.PRESENT)


class S3Artifacts:
    """Implements `ports.Artifacts`."""

    def __init__(self, clients: AwsClients, *, timer: Timer) -> None:
        self._clients = clients
        self._timer = timer
        self._present_until: dict[tuple[str, str, str, str], float] = {}

    async def look(self, package: ModelPackage, group: GroupRef) -> Artifact:
        """Whether the object exists with the digest that the package names."""
        url = ObjectUrl.parse(package.model_data_url)
        if url is None:
            message = (
                f"package {package.version} names artifact {package.model_data_url!r}, which is not s3://bucket/key; "
                "register the model again"
            )
            return Artifact(ArtifactState.MISSING, message)
        key, now = (package.model_data_url, package.sha256, group.region, group.role_arn), self._timer.time()
        if self._present_until.get(key, 0.0) > now:
            return PRESENT
        artifact = await self._clients.call(lambda: self._look(url, package.sha256, group))
        self._present_until = {known: until for known, until in self._present_until.items() if until > now}
        if artifact.state is ArtifactState.PRESENT:
            self._present_until[key] = now + PRESENT_FOR_S
        return artifact

    def _look(self, url: ObjectUrl, sha256: str, group: GroupRef) -> Artifact:
        try:
            client = self._clients.client("s3", group.region, group.role_arn)
        except AWS_ERRORS as err:
            message = f"no S3 client for region {group.region}: {err}; check the region and the credentials"
            return Artifact(ArtifactState.UNKNOWN, message)
        return look_at(Search(client, url, group.region, "artifact", "register the model again"), sha256)


def look_at(search: Search, sha256: str) -> Artifact:
    """One look; every outcome is an answer."""
    url = search.url
    try:
        head = search.client.head_object(Bucket=url.bucket, Key=url.key, ChecksumMode="ENABLED")
    except (*AWS_ERRORS, RoleNotAssumable) as err:
        complaint = search.complaint(err)
        return Artifact(ArtifactState.MISSING if complaint.is_missing else ArtifactState.UNKNOWN, complaint.text)
    found = whole_object_sha256(head)
    if sha256 and found is not None and found != sha256:
        message = f"artifact {url} ({search.place}) has sha256 {found}, the package says {sha256}; register it again"
        return Artifact(ArtifactState.MISMATCH, message)
    return PRESENT


def whole_object_sha256(head: Mapping[str, Any]) -> str | None:
    """The digest of the whole object in hex; None when the store has none (a composite one is of its parts)."""
    text = head.get("ChecksumSHA256")
    if not text or head.get("ChecksumType") == "COMPOSITE" or "-" in text:
        return None
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return None
