"""Reads one object from S3. Endpoint, region and credentials come from the standard AWS variables and role chain."""

from collections.abc import Iterator
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from psm_predictor.errors import ArtifactError, ArtifactUnavailable, Reason

_CONFIG: Final = Config(
    connect_timeout=5,  # seconds; the store is in the same region
    read_timeout=20,  # seconds without a byte
    retries={"mode": "standard", "total_max_attempts": 3},  # short: loading.py tries again with a longer back-off
)
_MISSING: Final = frozenset({"NoSuchBucket", "NoSuchKey", "404"})
_FORBIDDEN: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
_OTHER_REGION: Final = frozenset({"301", "PermanentRedirect", "AuthorizationHeaderMalformed"})
_CLIENT_FAULT: Final = range(400, 500)
_WORTH_RETRYING: Final = frozenset({408, 425, 429})


def read_object(bucket: str, key: str, *, chunk_bytes: int) -> Iterator[bytes]:
    """The object's bytes, chunk by chunk.

    Raises:
        ArtifactError: Bucket or key does not exist, or may not be read.
        ArtifactUnavailable: S3 does not answer, throttles, or the transfer breaks off.
    """
    where = f"s3://{bucket}/{key}"
    try:
        client = boto3.session.Session().client("s3", config=_CONFIG)
        where = f"{where} (endpoint {client.meta.endpoint_url}, region {client.meta.region_name})"
        body = client.get_object(Bucket=bucket, Key=key)["Body"]
        yield from body.iter_chunks(chunk_bytes)
    except ClientError as err:
        raise _refused(where, err) from err
    except (NoCredentialsError, PartialCredentialsError) as err:
        raise ArtifactError(
            Reason.ARTIFACT_FORBIDDEN,
            f"no AWS credentials to read {where}: {err}; give the service account a role (IRSA or Pod Identity)",
        ) from err
    except ParamValidationError as err:
        raise ArtifactError(Reason.ARTIFACT_MISSING, f"{where} is no S3 address: {err}") from err
    except (BotoCoreError, OSError) as err:
        raise ArtifactUnavailable(f"{where} does not answer: {err}") from err


def _refused(where: str, err: ClientError) -> ArtifactError | ArtifactUnavailable:
    """Translates what S3 answered."""
    error: dict[str, Any] = err.response.get("Error", {})
    code = str(error.get("Code", "unknown"))
    status = int(err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{where}: S3 answers {code} ({error.get('Message', 'no message')})"
    if code in _MISSING:
        return ArtifactError(Reason.ARTIFACT_MISSING, f"{said}; restore the object or register the model again")
    if code in _FORBIDDEN:
        return ArtifactError(
            Reason.ARTIFACT_FORBIDDEN,
            f"{said}; allow s3:GetObject on it to the service account's role "
            "(without s3:ListBucket a missing object looks the same)",
        )
    if code in _OTHER_REGION:
        return ArtifactError(Reason.ARTIFACT_MISSING, f"{said}; set AWS_REGION to the bucket's region")
    if status in _CLIENT_FAULT and status not in _WORTH_RETRYING:
        return ArtifactError(Reason.ARTIFACT_MISSING, said)
    return ArtifactUnavailable(said)
