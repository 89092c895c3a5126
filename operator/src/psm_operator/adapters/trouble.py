"""What boto3 raises, told apart by code, and what a person is to do about it.

The adapters make their messages from this. Codes decide what the operator does; texts, which change, only what it advises.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from functools import cache
from typing import Final

import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

AWS_ERRORS: Final = (BotoCoreError, ClientError)
"""Everything that boto3 raises on purpose."""

THROTTLED: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "429",
    }
)
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN_KEYS: Final = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidIdentityToken"}
)
WRONG_SIGNATURE: Final = frozenset(
    {"SignatureDoesNotMatch", "RequestTimeTooSkewed", "InvalidSignatureException", "IncompleteSignature"}
)
DENIED: Final = (
    EXPIRED
    | UNKNOWN_KEYS
    | WRONG_SIGNATURE
    | {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "OptInRequired",
        "AuthorizationError",
        "403",
        "401",
    }
)
MISSING: Final = frozenset(
    {
        "404",
        "NotFound",
        "DashboardNotFoundError",
        "NoSuchKey",
        "NoSuchBucket",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "NoSuchEntity",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    }
)
REFUSED: Final = frozenset(
    {
        "ValidationException",
        "ValidationError",
        "InvalidParameterValue",
        "InvalidAddress",
        "InvalidParameter",
        "InvalidParameterInput",
        "InvalidParameterCombination",
        "DashboardInvalidInputError",
        "LimitExceeded",
        "LimitExceededFault",
    }
)
NO_CREDENTIALS: Final = (NoCredentialsError, CredentialRetrievalError, PartialCredentialsError)


class Trouble(Enum):
    """Why a call to AWS failed, as far as the operator cares."""

    THROTTLED = auto()
    DENIED = auto()
    REFUSED = auto()
    MISSING = auto()
    AWAY = auto()


def code_of(err: Exception) -> str:
    """The error code of a service's answer, or the exception's class name."""
    if isinstance(err, ClientError):
        return str(err.response.get("Error", {}).get("Code", "Unknown"))
    return type(err).__name__


def trouble_of(err: Exception) -> Trouble:
    """Tell errors apart by code alone; texts change."""
    if isinstance(err, NO_CREDENTIALS):
        return Trouble.DENIED
    code = code_of(err)
    kinds = {Trouble.THROTTLED: THROTTLED, Trouble.DENIED: DENIED, Trouble.REFUSED: REFUSED, Trouble.MISSING: MISSING}
    return next((trouble for trouble, codes in kinds.items() if code in codes), Trouble.AWAY)


def denial_advice(err: Exception, needs: str) -> str:
    """What to do when the answer was no.

    Args:
        err: what boto3 raised.
        needs: the IAM actions, and on what, that the call needs.
    """
    code = code_of(err)
    if isinstance(err, NO_CREDENTIALS):
        return (
            "the operator has no AWS credentials: give its service account a role (chart value serviceAccount.roleARN) "
            f"that allows {needs}"
        )
    if code in EXPIRED:
        return "the credentials have expired and were not renewed: check the role of the operator's service account"
    if code in UNKNOWN_KEYS:
        return "these credentials are not known there: check the keys or the role, and that the account has enabled the region"
    if code in WRONG_SIGNATURE:
        return "check the secret key, and this machine's clock"
    return f"allow {needs} to the operator's role, or to the role that spec.registry.roleARN names"


def network_advice(err: Exception, region: str) -> str:
    """What to do when there was no answer, or one of a server in trouble.

    Args:
        err: what boto3 raised.
        region: what was asked for; empty if the caller did not choose one.
    """
    if isinstance(err, ClientError):
        return "the service has trouble; it is tried again by itself"
    advice = next((text for kind, text in NETWORK_ADVICE.items() if isinstance(err, kind)), UNREACHABLE)
    if isinstance(err, EndpointConnectionError) and UNRESOLVED.search(str(err.kwargs.get("error"))):
        advice = "its host name does not resolve: check the region, AWS_ENDPOINT_URL and the cluster's DNS"
    if region and not is_known_region(region):
        return f"{region} is no region that this SDK knows: correct spec.registry.region; else {advice}"
    return advice


UNREACHABLE: Final = "check the endpoint and the network path to it"
NETWORK_ADVICE: Final[Mapping[type[Exception], str]] = {
    InvalidRegionError: "correct spec.registry.region",
    ProxyConnectionError: "check HTTPS_PROXY and the proxy",
    SSLError: "its certificate is not trusted: check AWS_CA_BUNDLE and what stands in the path",
    ConnectTimeoutError: (
        "no connection came about: check the endpoint, the VPC endpoint's security group and the egress rules of the "
        "operator's network policy"
    ),
    ReadTimeoutError: "it took the connection and did not answer: check the endpoint and what stands in the path",
    EndpointConnectionError: UNREACHABLE,
}
UNRESOLVED: Final = re.compile(r"resolve|Name or service not known|getaddrinfo|nodename nor servname|name resolution")


@cache
def is_known_region(region: str) -> bool:
    """Whether the installed SDK lists the region, in any partition; a region newer than the SDK is not listed."""
    session = botocore.session.get_session()
    return any(region in session.get_available_regions("s3", p) for p in session.get_available_partitions())
