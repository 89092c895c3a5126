"""Model artifacts on S3: does the object exist, with the digest that its package names?

A HEAD with checksums, never a GET. Where the store keeps no SHA-256 of the whole object (uploads without one, multipart
uploads), existence is all that can be said here; the predictor checks the digest of every byte before it serves.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from psm_operator.adapters.aws import AWS_ERRORS, AwsClients, Trouble, code_of, trouble_of
from psm_operator.timers import Timer
from psm_operator.values import Artifact, ArtifactState, GroupRef, ModelPackage

PRESENT_FOR_S: Final = 30.0
"""A good look is good for this long: many models share one artifact, and passes come in bursts."""

PRESENT: Final = Artifact(ArtifactState.PRESENT)


@dataclass(frozen=True, slots=True)
class ObjectUrl:
    """An s3:// URL taken apart."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None when `url` is not s3://bucket/key."""
        parts = urlsplit(url)
        key = parts.path.removeprefix("/")
        return cls(parts.netloc, key) if parts.scheme == "s3" and parts.netloc and key else None


class S3Artifacts:
    """Implements `ports.Artifacts`."""

    def __init__(self, clients: AwsClients, *, timer: Timer) -> None:
        self._clients = clients
        self._timer = timer
        self._present_until: dict[tuple[str, str, str], float] = {}

    async def look(self, package: ModelPackage, group: GroupRef) -> Artifact:
        """Whether the object exists with the digest that the package names."""
        url = ObjectUrl.parse(package.model_data_url)
        if url is None:
            message = (
                f"package {package.version} names artifact {package.model_data_url!r}, which is not s3://bucket/key; "
                "register the model again"
            )
            return Artifact(ArtifactState.MISSING, message)
        region = group.region
        key, now = (package.model_data_url, package.sha256, region), self._timer.time()
        if self._present_until.get(key, 0.0) > now:
            return PRESENT
        artifact = await self._clients.call(lambda: self._look(url, package.sha256, region))
        self._present_until = {known: until for known, until in self._present_until.items() if until > now}
        if artifact.state is ArtifactState.PRESENT:
            self._present_until[key] = now + PRESENT_FOR_S
        return artifact

    def _look(self, url: ObjectUrl, sha256: str, region: str) -> Artifact:
        try:
            client = self._clients.client("s3", region)
        except AWS_ERRORS as err:
            message = f"no S3 client for region {region}: {err}; check the region and the credentials"
            return Artifact(ArtifactState.UNKNOWN, message)
        return look_at(client, url, sha256, region)


def look_at(client: Any, url: ObjectUrl, sha256: str, region: str) -> Artifact:
    """One look; every outcome is an answer."""
    where = f"s3://{url.bucket}/{url.key}"
    place = f"region {region} at {client.meta.endpoint_url}"
    try:
        head = client.head_object(Bucket=url.bucket, Key=url.key, ChecksumMode="ENABLED")
    except AWS_ERRORS as err:
        return _explained(client, url, err, place)
    found = whole_object_sha256(head)
    if sha256 and found is not None and found != sha256:
        message = f"artifact {where} ({place}) has sha256 {found}, the package says {sha256}; register it again"
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


def _explained(client: Any, url: ObjectUrl, err: Exception, place: str) -> Artifact:
    where = f"artifact s3://{url.bucket}/{url.key}"
    code = code_of(err)
    if code in {"301", "PermanentRedirect", "AuthorizationHeaderMalformed"}:
        message = f"{where} is not in {place}: bucket {url.bucket} lies in another region; correct spec.registry.region"
        return Artifact(ArtifactState.UNKNOWN, message)
    match trouble_of(err):
        case Trouble.MISSING:
            return _missing(client, url, place)
        case Trouble.DENIED:
            advice = "allow s3:GetObject and s3:ListBucket (and kms:Decrypt if encrypted) to the operator's role"
        case Trouble.THROTTLED:
            advice = "S3 asks to slow down; looking again soon"
        case Trouble.REFUSED | Trouble.AWAY:
            advice = "check the endpoint and the network path to it"
    return Artifact(ArtifactState.UNKNOWN, f"{where} could not be checked in {place} ({code}): {err}; {advice}")


def _missing(client: Any, url: ObjectUrl, place: str) -> Artifact:
    try:
        client.head_bucket(Bucket=url.bucket)
    except AWS_ERRORS as err:
        if trouble_of(err) is Trouble.MISSING:
            message = f"bucket {url.bucket} does not exist in {place}; create it or register the model again"
            return Artifact(ArtifactState.MISSING, message)
    message = f"bucket {url.bucket} in {place} has no object {url.key}; upload it or register the model again"
    return Artifact(ArtifactState.MISSING, message)
