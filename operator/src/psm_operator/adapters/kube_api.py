"""A thin client of the Kubernetes API in JSON: paths, verbs and bodies in, objects out, errors translated once.

Uses `kubernetes.aio` for what it does well (kubeconfig, in-cluster credentials and their rotation, TLS) and none of its
typed models: we speak server-side apply and uid preconditions, and keep what we do not know intact. Requests go to
aiohttp and JSON to msgspec directly: through the generated client each would cost seven times the CPU.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from psm_operator.adapters.resource import Resource
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable, Stalled, Unreachable
from psm_operator.values import Manifest

__all__ = [
    "APPLY_PATCH",
    "CONNECTIONS",
    "JSON",
    "JSON_PATCH",
    "REQUEST_TIMEOUT_S",
    "KubeApi",
    "Refusal",
    "Resource",
]

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"  # JSON is YAML
JSON_PATCH: Final = "application/json-patch+json"

REQUEST_TIMEOUT_S: Final = 30.0
USER_AGENT: Final = "psm-operator"
"""How the API server's audit log and metrics name us."""

CONNECTIONS: Final = 160
"""More than sixteen workers use, at up to eight requests each, so that the election and the sweep never wait for one."""


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


class KubeApi:
    """Sends one request at a time per call; no retry loop of its own: the work queue has one."""

    def __init__(self, configuration: Configuration) -> None:
        """Open nothing yet; needs a running event loop."""
        self._configuration = configuration
        tls = RESTClientObject(configuration).ssl_context
        self._options: dict[str, Any] = {
            name: value
            for name, value in (
                ("proxy", configuration.proxy or _proxy_of_the_environment(configuration.host)),
                ("proxy_headers", configuration.proxy_headers),
                ("server_hostname", configuration.tls_server_name),
            )
            if value
        }
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls),
            headers={"Accept": JSON, "User-Agent": USER_AGENT},
            timeout=aiohttp.ClientTimeout(total=None),  # `send` has its own
        )

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
        return cls(configuration)

    @property
    def configuration(self) -> Any:
        """Host, TLS files and credentials in force; kopf logs in with the same."""
        return self._configuration

    async def token(self) -> str | None:
        """The bearer token in force, read anew when it has rotated; None with client certificates."""
        text = await self._authorization()
        return text.split(" ", 1)[-1] if text else None

    async def _authorization(self) -> str | None:
        text = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(text) if text else None

    async def close(self) -> None:
        """Close every connection, at once: a polite end of TLS would outlive the event loop."""
        if self._http.connector is not None:
            await self._http.connector.close(abort_ssl=True)
        await self._http.close()

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
        host = self._configuration.host
        data = msgspec.json.encode(body) if body is not None else None
        try:
            async with asyncio.timeout(timeout_s):
                headers = {"Content-Type": content_type}
                if (authorization := await self._authorization()) is not None:
                    headers["Authorization"] = authorization
                request = self._http.request(
                    method, f"{host}{path}", params=query, data=data, headers=headers, **self._options
                )
                async with request as response:
                    text = await response.read()
        except TimeoutError as err:
            raise Unreachable(f"the API server did not answer {what} within {timeout_s:g} s") from err
        except (aiohttp.ClientError, OSError) as err:
            raise Unreachable(f"the API server at {host} could not be reached for {what}: {err}") from err
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return _decoded(what, text)
        raise _translated(what, response.status, response.headers, text)


def _proxy_of_the_environment(host: str) -> str | None:
    """HTTPS_PROXY and NO_PROXY, looked at once: aiohttp would at every request, and read ~/.netrc too."""
    parts = urlsplit(host)
    if not parts.hostname or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def _decoded(what: str, data: bytes) -> Manifest:
    try:
        answer: Manifest = msgspec.json.decode(data)
    except msgspec.DecodeError as err:
        raise Retryable(f"the API server answered {what} with something else than JSON: {data[:200]!r}") from err
    return answer


def _translated(what: str, status: int, headers: Mapping[str, str], data: bytes) -> Exception:
    try:
        body = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError:
        body = {}
    message = body.get("message") or data[:200].decode(errors="replace")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        after = headers.get("Retry-After", "")
        text = f"the API server answered {what} with {status}: {message}"
        return Retryable(text, retry_after_s=float(after) if after.isdecimal() else None)
    return Refusal(status, body.get("reason", ""), message)
