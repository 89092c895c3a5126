"""A thin client of the Kubernetes API in JSON: paths, verbs and bodies in, objects out, errors translated once.

Uses `kubernetes.aio` for what it does well (kubeconfig, in-cluster credentials and their rotation, TLS, connections)
and none of its typed models: we speak server-side apply and uid preconditions, and keep what we do not know intact.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration

from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable, Stalled
from psm_operator.values import Manifest

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"  # JSON is YAML
JSON_PATCH: Final = "application/json-patch+json"

REQUEST_TIMEOUT_S: Final = 30.0
CONNECTIONS: Final = 32
"""More than workers, so that the election and the sweep never wait for a connection."""


class Refusal(Exception):  # noqa: N818  # an answer, not an error: the caller decides what it means
    """An answer outside 2xx that is the caller's to judge (4xx other than 429); its text is the server's message.

    Attributes:
        status: HTTP status.
        reason: metav1.Status.reason, such as NotFound, Conflict, AlreadyExists, Invalid, Forbidden.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Resource:
    """Where objects of one kind live.

    Attributes:
        plural: as in the URL.
    """

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The URL path of a collection or an object; no namespace is every namespace."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version, *(("namespaces", quote(namespace)) if namespace else ()), self.plural]
        return "/".join([*parts, *(quote(part) for part in (name, subresource) if part)])

    @property
    def group(self) -> str:
        """API group; empty for core."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without its group."""
        return self.api_version.rpartition("/")[2]


class KubeApi:
    """Sends one request at a time per call; no retry loop of its own: the work queue has one."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls, kubeconfig: str | None) -> Self:
        """A client from a kubeconfig file, or from the pod's service account when there is none.

        Raises:
            Stalled: neither is there, or the file cannot be read.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library is partly annotated
            else:
                load = kube_config.load_kube_config
                await load(config_file=kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library is partly annotated
        except kube_config.ConfigException as err:
            where = f"kubeconfig {kubeconfig}" if kubeconfig is not None else "the pod's service account"
            message = f"no cluster: {where}: {err}; run in a pod, or set KUBECONFIG to a kubeconfig file"
            raise Stalled(Reason.DEPENDENCY_UNAVAILABLE, message) from err
        configuration.connection_pool_maxsize = CONNECTIONS
        return cls(ApiClient(configuration))

    @property
    def configuration(self) -> Any:
        """Host, TLS files and credentials in force; kopf logs in with the same."""
        return self._client.configuration

    async def token(self) -> str | None:
        """The bearer token in force, read anew when it has rotated; None with client certificates."""
        text = await self._client.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(text).split(" ", 1)[-1] if text else None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the library is partly annotated

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | Sequence[Manifest] | None = None,
        content_type: str = JSON,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Manifest:
        """One request.

        Raises:
            Refusal: the API server says no (4xx other than 429).
            Retryable: it is away, busy (429) or broken (5xx).
        """
        what = f"{method} {path}"
        try:
            request = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": JSON, "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            async with asyncio.timeout(timeout_s):
                response = await self._client.call_api(*request)
                data = await response.read()  # type: ignore[no-untyped-call]  # the library is partly annotated
        except TimeoutError as err:
            raise Retryable(f"the API server did not answer {what} within {timeout_s:g} s") from err
        except (aiohttp.ClientError, OSError) as err:
            host = self._client.configuration.host
            raise Retryable(f"the API server at {host} could not be reached for {what}: {err}") from err
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            answer: Manifest = json.loads(data)
            return answer
        raise _translated(what, response.status, response.headers, data)


def _translated(what: str, status: int, headers: Mapping[str, str], data: bytes) -> Exception:
    try:
        body = json.loads(data)
    except ValueError:
        body = {}
    message = body.get("message") or data[:200].decode(errors="replace")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        after = headers.get("Retry-After", "")
        text = f"the API server answered {what} with {status}: {message}"
        return Retryable(text, retry_after_s=float(after) if after.isdecimal() else None)
    return Refusal(status, body.get("reason", ""), message)
