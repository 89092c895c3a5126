"""Why S3 did not give an object, and which of region, endpoint, role, bucket, key and KMS is to blame.

A HEAD has no body, so a refusal is a bare 403: a GET of one byte of the same object says more. Called by whoever asks
S3 for something; returns texts, raises nothing.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.trouble import (
    AWS_ERRORS,
    NO_CREDENTIALS,
    Trouble,
    code_of,
    denial_advice,
    network_advice,
    trouble_of,
)

ELSEWHERE: Final = frozenset(
    {"301", "307", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
"""Codes by which S3 says that a bucket lies in another region."""

BARE: Final = frozenset({"400", "403"})
"""Codes of answers without a body."""

KMS: Final = re.compile(r"^KMS\.|kms:[A-Z]|ciphertext refers")
KEY_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:[^\s\"']+")
ENDPOINT: Final = "endpoint"
"""What a complaint is about where S3 does not answer, or has trouble of its own."""

LIST_BUCKET: Final = "s3:ListBucket"


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

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why an object was not given.

    Attributes:
        about: the one thing that is wrong: role, credentials, region, endpoint, bucket, key, permission or kms.
        is_missing: S3 was asked and said that there is no such thing.
        text: a sentence for people.
    """

    about: str
    text: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """One object looked for.

    Attributes:
        what: what the object is to us, such as `artifact`.
        again: how a person brings it back, such as `register the model again`.
    """

    client: Any
    url: ObjectUrl
    region: str
    what: str
    again: str

    @property
    def place(self) -> str:
        """Where was asked."""
        return f"region {self.region} at {self.client.meta.endpoint_url}"

    def complaint(self, err: Exception) -> Complaint:
        """Explain what a call about the object raised; may ask S3 once more."""
        if isinstance(err, RoleNotAssumable):
            return Complaint("role", f"{self.what} {self.url} could not be checked: {err}")
        if code_of(err) in BARE:
            err = self._with_body(err)
        if code_of(err) in ELSEWHERE or bucket_region(err) not in ("", self.region):
            return self._elsewhere(err)
        return self._kms(err) if is_kms(err) else self._refused(err)

    def _refused(self, err: Exception) -> Complaint:
        match trouble_of(err):
            case Trouble.MISSING:
                return self._missing(err)
            case Trouble.DENIED:
                return self._denied(err)
            case Trouble.THROTTLED:
                return Complaint(ENDPOINT, self._unchecked(err, "S3 asks to slow down; looking again soon"))
            case Trouble.REFUSED | Trouble.AWAY:
                return Complaint(ENDPOINT, self._unchecked(err, network_advice(err, self.region)))

    def _with_body(self, err: Exception) -> Exception:
        """Ask for one byte after a HEAD's bare refusal; the first error again if that brings no better one."""
        try:
            answer = self.client.get_object(Bucket=self.url.bucket, Key=self.url.key, Range="bytes=0-0")
        except ClientError as why:
            found: Exception = why
            return found
        except BotoCoreError:
            return err
        answer["Body"].close()
        return err

    def _unchecked(self, err: Exception, advice: str) -> str:
        return f"{self.what} {self.url} could not be checked in {self.place} ({code_of(err)}): {err}; {advice}"

    def _elsewhere(self, err: Exception) -> Complaint:
        found = bucket_region(err)
        where = f"region {found}" if found else "another region"
        text = (
            f"{self.what} {self.url} is not in {self.place}: bucket {self.url.bucket} lies in {where}; "
            f"register the model from a bucket in {self.region}, or correct spec.registry.region"
        )
        return Complaint("region", text)

    def _missing(self, err: Exception) -> Complaint:
        bucket = self.url.bucket
        if code_of(err) == "NoSuchBucket" or self._is_bucket_missing():
            text = f"bucket {bucket} does not exist in {self.place}; create it or {self.again}"
            return Complaint("bucket", text, is_missing=True)
        text = f"bucket {bucket} in {self.place} has no object {self.url.key}; upload it or {self.again}"
        return Complaint("key", text, is_missing=True)

    def _is_bucket_missing(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self.url.bucket)
        except AWS_ERRORS as err:
            return trouble_of(err) is Trouble.MISSING
        return False

    def _denied(self, err: Exception) -> Complaint:
        if isinstance(err, NO_CREDENTIALS):
            return Complaint("credentials", self._unchecked(err, denial_advice(err, self._needs)))
        if LIST_BUCKET in str(err):
            advice = (
                f"bucket {self.url.bucket} has no object {self.url.key}, or s3:ListBucket is not allowed, "
                f"without which S3 does not say: upload it, or allow {self._needs}"
            )
            return Complaint("key", self._unchecked(err, advice))
        return Complaint("permission", self._unchecked(err, denial_advice(err, self._needs)))

    def _kms(self, err: Exception) -> Complaint:
        found = KEY_ARN.search(str(err))
        key = f"KMS key {found.group().rstrip('.,;')}" if found else "the KMS key that encrypts it"
        advice = (
            f"allow kms:Decrypt on {key} to the role, in its IAM policy and in the key's own policy, "
            "and check that the key is enabled"
        )
        return Complaint("kms", self._unchecked(err, advice))

    @property
    def _needs(self) -> str:
        return (
            f"s3:GetObject on arn:aws:s3:::{self.url.bucket}/{self.url.key} and s3:ListBucket on "
            f"arn:aws:s3:::{self.url.bucket} (and kms:Decrypt if encrypted)"
        )


def is_kms(err: Exception) -> bool:
    """Whether it was the key and not the object that was refused; only the text says so."""
    return KMS.search(f"{code_of(err)} {err}") is not None


def bucket_region(err: Exception) -> str:
    """The region that S3 says a bucket lies in; empty if it does not say."""
    answer = err.response if isinstance(err, ClientError) else {}
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region") or "")
