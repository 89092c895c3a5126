"""The Kubernetes API over urllib3: JSON in, JSON out, watches line by line, refusals in words.

The operator's own client is asynchronous and takes 0.7 s to import. This one does what a person's command needs.
"""

import json
import re
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection

from psm_operator.kubectl.credentials import with_credentials
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import ApiError, Gone, PluginError
from psm_operator.kubectl.kubeconfig import Access
from psm_operator.kubectl.plain import Manifest

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
FIELD_MANAGER: Final = "kubectl-psm"

PAGE_SIZE: Final = 500
CONNECT_TIMEOUT_S: Final = 10.0
RETRIES: Final = urllib3.Retry(
    total=4,
    read=0,
    redirect=0,
    other=0,
    connect=1,
    status=3,
    status_forcelist=(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
    allowed_methods=("GET",),
    raise_on_status=False,
    backoff_factor=0.2,
)
"""What the API server itself asks to try again; only reads, and only for a second or two."""

KEEPALIVE_IDLE_S: Final = 15
"""A watch may be silent for minutes; a dead connection must not be."""


class KubeClient:
    """One API server, as one user."""

    def __init__(self, access: Access, environment: Environment, *, timeout_s: float = 30.0) -> None:
        self._declared = access
        self._environment = environment
        self._timeout_s = timeout_s
        self._access = with_credentials(access, environment)
        self._pool = _pool(self._access, environment)

    @property
    def namespace(self) -> str:
        """Where names are looked up when nothing else is said."""
        return self._access.namespace

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """One request and its answer.

        Raises:
            ApiError: the API server refuses.
            PluginError: it cannot be reached.
        """
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=self._timeout_s)
        response = self._request(method, path, query, body, content_type, timeout=timeout, preload_content=True)
        try:
            answer: Manifest = json.loads(response.data)
        except ValueError as err:
            server = self._access.server
            raise PluginError(
                f"{server} answers {path}, but not as an API server does; correct the kubeconfig"
            ) from err
        return answer

    def items(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Manifest], str]:
        """Every object of a collection, page by page, and the list's resourceVersion."""
        found: list[Manifest] = []
        asked = {**(query or {}), "limit": str(PAGE_SIZE)}
        while True:
            page = self.send("GET", path, query=asked)
            # items of a list do not repeat what the list says of them all
            head = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
            found += [{**head, **item} for item in page["items"]]
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return found, metadata["resourceVersion"]
            asked["continue"] = metadata["continue"]

    def watch(self, path: str, query: Mapping[str, str], *, silence_s: float) -> Iterator[tuple[str, Manifest]]:
        """Changes as they come, bookmarks included, until the server ends the watch.

        Args:
            path: a collection.
            query: resourceVersion, selectors, timeoutSeconds.
            silence_s: how long nothing may come before the connection counts as dead.

        Raises:
            Gone: the resourceVersion is too old.
            ApiError: the server refuses or ends the watch with an error.
            PluginError: the connection broke.
        """
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=silence_s)
        asked = {**query, "watch": "1", "allowWatchBookmarks": "true"}
        response = self._request("GET", path, asked, None, "application/json", timeout=timeout, preload_content=False)
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _refusal(event["object"].get("code", 500), event["object"])
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as err:
            raise PluginError(f"the watch at {self._access.server} broke: {err}") from err
        finally:
            response.close()

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Manifest | None,
        content_type: str,
        *,
        timeout: urllib3.Timeout,
        preload_content: bool,
    ) -> urllib3.BaseHTTPResponse:
        url = self._access.server + path + (f"?{urlencode(query)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        for is_last in (self._access.exec is None, True):
            headers = {**self._headers(), "Accept": "application/json", "Content-Type": content_type}
            try:
                response = self._pool.request(
                    method,
                    url,
                    body=data,
                    headers=headers,
                    timeout=timeout,
                    retries=RETRIES,
                    preload_content=preload_content,
                )
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as err:
                raise _unreachable(self._access.server, err) from err
            if response.status != HTTPStatus.UNAUTHORIZED or is_last:
                break
            # an exec plugin's credentials may have expired
            self._access = with_credentials(self._declared, self._environment)
            self._pool = _pool(self._access, self._environment)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refusal(response.status, _status_of(response.data))
        return response

    def _headers(self) -> urllib3.HTTPHeaderDict:
        access = self._access
        made = urllib3.HTTPHeaderDict({"User-Agent": FIELD_MANAGER})
        token = _token(access)
        if token:
            made["Authorization"] = f"Bearer {token}"
        elif access.basic is not None:
            made.extend(urllib3.make_headers(basic_auth=":".join(access.basic)))
        for name, value in access.impersonate:
            made.add(name, _header(value, f"{name} (--as, or as of the kubeconfig's user)"))
        return made


def _token(access: Access) -> str:
    if access.token_file is None:
        return _header(access.token, "the token of the kubeconfig's user")
    try:
        return _header(access.token_file.read_text().strip(), f"the token in {access.token_file}")
    except (OSError, UnicodeDecodeError) as err:
        raise PluginError(f"token file {access.token_file} cannot be read: {err}; mend it, or log in again") from err


def _header(value: str, what: str) -> str:
    """A value that may stand in a header: what HTTP cannot carry is not sent, and is said without being shown."""
    if value.isprintable():
        return value.encode().decode("latin-1")  # as UTF-8, which is how kubectl sends names
    raise PluginError(f"{what} has a line break or another character that HTTP cannot carry; correct the kubeconfig")


def _pool(access: Access, environment: Environment) -> urllib3.PoolManager:
    options: list[tuple[int, int, int]] = [*HTTPConnection.default_socket_options]
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    if hasattr(socket, "TCP_KEEPIDLE"):
        options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S))
    arguments: dict[str, Any] = {"socket_options": options, "maxsize": 2}
    if access.server.startswith("https:"):
        arguments["ssl_context"] = _ssl_context(access)
        arguments["server_hostname"] = access.tls_server_name or None
        arguments["assert_hostname"] = False if access.is_insecure else access.tls_server_name or None
    try:
        proxy = access.proxy_url or environment.proxy_for(access.server)
        return _proxied(proxy, arguments) if proxy else urllib3.PoolManager(**arguments)
    except (urllib3.exceptions.HTTPError, ValueError) as err:
        raise PluginError(
            f"the proxy of {access.server} cannot be used: {err}; correct proxy-url or HTTPS_PROXY"
        ) from err


def _proxied(proxy_url: str, arguments: dict[str, Any]) -> urllib3.PoolManager:
    """Through a proxy as kubectl has them: http, https, or socks5, which resolves names on its side as Go's does."""
    scheme, _, rest = proxy_url.partition("://")
    match scheme.lower():
        case "http" | "https":
            return urllib3.ProxyManager(proxy_url, **arguments)
        case "socks5" | "socks5h":
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415  # only behind such a proxy

            return SOCKSProxyManager(f"socks5h://{rest}", **arguments)
    raise PluginError(f"proxy {proxy_url!r} is not http, https or socks5; correct proxy-url or HTTPS_PROXY")


def _ssl_context(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=access.ca.decode() if access.ca else None)
        # clusters' own authorities seldom have what this asks for, and kubectl does not ask
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if access.is_insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if access.certificate is not None:
            _load_certificate(context, access.certificate)
    except (ssl.SSLError, ValueError) as err:
        raise PluginError(f"a certificate of the kubeconfig cannot be used: {err}; mend the kubeconfig") from err
    return context


def _load_certificate(context: ssl.SSLContext, certificate: tuple[bytes, bytes]) -> None:
    """OpenSSL reads client certificates from files only; these are readable by us alone and gone at once."""
    with tempfile.TemporaryDirectory(prefix="kubectl-psm-") as folder:
        names = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        for name, content in zip(names, certificate, strict=True):
            name.write_bytes(content)
        context.load_cert_chain(*names)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while chunk := response.read1():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())


def _status_of(data: bytes) -> Manifest:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": data[:200].decode(errors="replace")}


def _refusal(code: int, status: Manifest) -> ApiError:
    message = " ".join(str(status.get("message") or f"HTTP {code}").split())
    match code:
        case HTTPStatus.GONE:
            return Gone(code, "Expired", message)
        case HTTPStatus.UNAUTHORIZED:
            message = "the API server does not know who you are (Unauthorized); log in to the cluster again"
        case HTTPStatus.FORBIDDEN:
            message += "; ask for the rights (the chart adds them to the ClusterRoles view and edit)"
    return ApiError(code, status.get("reason") or "", message)


def _unreachable(server: str, err: Exception) -> PluginError:
    cause: BaseException = err
    while isinstance(cause, urllib3.exceptions.MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    # urllib3 puts its own objects before what happened
    text = re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): (Failed to establish a new connection: )?", "", str(cause))
    hint = "check the context (`kubectl config current-context`) and the network"
    return PluginError(f"the API server at {server} could not be reached: {text}; {hint}")


def with_impersonation(access: Access, user: str) -> Access:
    """The access as another user (`--as`)."""
    return replace(access, impersonate=(("Impersonate-User", user),)) if user else access
