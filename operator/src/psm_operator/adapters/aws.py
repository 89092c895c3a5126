"""What the AWS adapters share: clients made once per service, region and role, and the threads that call them.

boto3 blocks, so every call runs in a bounded thread pool and never on the event loop. The operator's own credentials
come from boto3's own chain (IRSA, pod identity, environment); a role of another account is assumed with them (`roles`).
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import boto3
import botocore.session
from botocore.config import Config

from psm_operator.adapters.aws_calls import CallMetrics, count_calls
from psm_operator.adapters.roles import role_session

T = TypeVar("T")

LOADER: Final = "data_loader"
"""What botocore calls the part that reads service models; shared by all sessions, for SageMaker's takes tens of MB."""


@dataclass(frozen=True, slots=True)
class AwsLimits:
    """How patient calls are.

    Attributes:
        threads: calls under way at once.
        attempts: tries per call, the first included; adaptive mode also slows down when throttled.
        role_session_s: how long an assumed role's credentials are good for; role chaining allows one hour at most.
    """

    threads: int = 8
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    attempts: int = 3
    role_session_s: int = 3600


class AwsClients:
    """boto3 clients by service, region and role, and the threads that call them.

    Args:
        endpoints: service -> URL, for tests; empty leaves it to boto3 (AWS_ENDPOINT_URL and the like).
    """

    def __init__(self, limits: AwsLimits, *, endpoints: Mapping[str, str] | None = None) -> None:
        self._limits = limits
        self._endpoints = dict(endpoints or {})
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="aws")
        self._lock = threading.RLock()
        self._core = botocore.session.get_session()
        self._sessions: dict[str, Any] = {"": boto3.session.Session(botocore_session=self._core)}
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._metrics: CallMetrics | None = None
        self._beside: list[AwsClients] = []

    def beside(self, threads: int) -> "AwsClients":
        """Clients with threads of their own, so that their calls never keep others waiting; closed with these."""
        other = AwsClients(replace(self._limits, threads=threads), endpoints=self._endpoints)
        other._metrics = self._metrics  # of this class
        self._beside.append(other)
        return other

    def measure(self, metrics: CallMetrics) -> None:
        """Tell `metrics` of every call of every client made from now on."""
        self._metrics = metrics

    def client(self, service: str, region: str, role_arn: str = "") -> Any:
        """The client of a service in a region (empty: boto3's own), acting as a role; thread-safe, made once.

        Its calls raise `roles.RoleNotAssumable` when the role cannot be assumed.
        """
        with self._lock:  # sessions are not thread-safe, clients are
            key = (service, region, role_arn)
            if key not in self._clients:
                self._clients[key] = self._make(self._session(role_arn, region), service, region)
            return self._clients[key]

    async def call(self, function: Callable[[], T]) -> T:
        """Run blocking work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> None:
        """Start no more calls; one under way ends by its own timeout."""
        for other in self._beside:
            other.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _session(self, role_arn: str, region: str) -> Any:
        """One session per role: its clients in all regions share its credentials."""
        own = self._sessions[""]
        if role_arn not in self._sessions:
            sts_region = own.region_name or region

            def make_sts(service: str, **credentials: str) -> Any:
                with self._lock:
                    return self._make(own, service, sts_region, **credentials)

            acting = role_session(role_arn, own.get_credentials(), make_sts, lasting_s=self._limits.role_session_s)
            acting.register_component(LOADER, self._core.get_component(LOADER))
            self._sessions[role_arn] = boto3.session.Session(botocore_session=acting)
        return self._sessions[role_arn]

    def _make(self, session: Any, service: str, region: str, **credentials: str) -> Any:
        client = session.client(
            service,
            region_name=region or None,
            endpoint_url=self._endpoints.get(service),
            config=Config(
                retries={"mode": "adaptive", "total_max_attempts": self._limits.attempts},
                connect_timeout=self._limits.connect_timeout_s,
                read_timeout=self._limits.read_timeout_s,
                max_pool_connections=self._limits.threads,
            ),
            **credentials,
        )
        if self._metrics is not None:
            count_calls(client, self._metrics, time.monotonic)
        return client
