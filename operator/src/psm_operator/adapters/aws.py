"""What the SageMaker and S3 adapters share: clients made once per region, calls run in threads, errors told apart by code.

boto3 blocks, so every call runs in a bounded thread pool and never on the event loop. Credentials come from boto3's own
chain (IRSA, pod identity, environment); nothing is configured here but timeouts and retries.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

T = TypeVar("T")

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
DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "ExpiredToken",
        "ExpiredTokenException",
        "SignatureDoesNotMatch",
        "InvalidIdentityToken",
        "403",
        "401",
    }
)


class Trouble(Enum):
    """Why a call to AWS failed, as far as the operator cares."""

    THROTTLED = auto()
    DENIED = auto()
    REFUSED = auto()
    MISSING = auto()
    AWAY = auto()


@dataclass(frozen=True, slots=True)
class AwsLimits:
    """How patient calls are.

    Attributes:
        threads: calls under way at once.
        attempts: tries per call, the first included; adaptive mode also slows down when throttled.
    """

    threads: int = 8
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    attempts: int = 3


def code_of(err: Exception) -> str:
    """The error code of a service's answer, or the exception's class name."""
    if isinstance(err, ClientError):
        return str(err.response.get("Error", {}).get("Code", "Unknown"))
    return type(err).__name__


def trouble_of(err: Exception) -> Trouble:
    """Tell errors apart by code alone; texts change."""
    if isinstance(err, NoCredentialsError | CredentialRetrievalError | PartialCredentialsError):
        return Trouble.DENIED
    code = code_of(err)
    if code in THROTTLED:
        return Trouble.THROTTLED
    if code in DENIED:
        return Trouble.DENIED
    if code in {"ValidationException", "ValidationError"}:
        return Trouble.REFUSED
    if code in {"404", "NotFound", "NoSuchKey", "NoSuchBucket", "ResourceNotFound", "ResourceNotFoundException"}:
        return Trouble.MISSING
    return Trouble.AWAY


class AwsClients:
    """boto3 clients by service and region, and the threads that call them.

    Args:
        endpoints: service -> URL, for tests; empty leaves it to boto3 (AWS_ENDPOINT_URL and the like).
    """

    def __init__(self, limits: AwsLimits, *, endpoints: dict[str, str] | None = None) -> None:
        self._limits = limits
        self._endpoints = endpoints or {}
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        """The client of a service in a region; thread-safe, made once."""
        with self._lock:  # sessions are not thread-safe, clients are
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = boto3.session.Session().client(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoints.get(service),
                    config=Config(
                        retries={"mode": "adaptive", "total_max_attempts": self._limits.attempts},
                        connect_timeout=self._limits.connect_timeout_s,
                        read_timeout=self._limits.read_timeout_s,
                        max_pool_connections=self._limits.threads,
                    ),
                )
            return self._clients[key]

    async def call(self, function: Callable[[], T]) -> T:
        """Run blocking work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Start no more calls; one under way ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()


AWS_ERRORS: Final = (BotoCoreError, ClientError)
"""Everything that boto3 raises on purpose."""
