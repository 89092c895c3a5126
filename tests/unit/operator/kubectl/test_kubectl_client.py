"""The client against a server that answers what a real API server answers seldom."""

import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Asked, scripted, status

from psm_operator.kubectl.client import KubeClient, with_impersonation
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import ApiError, Gone, PluginError
from psm_operator.kubectl.kubeconfig import Access

HERE = Environment({"PATH": "/usr/bin:/bin"}, Path("/nowhere"), is_terminal=False)
OK = Answer({"ok": True})


def client(url: str, **access: Any) -> KubeClient:
    return KubeClient(Access(server=url, **access), HERE, timeout_s=2.0)


def page(names: list[str], **metadata: str) -> Answer:
    items = [{"metadata": {"name": name}} for name in names]
    head = {"apiVersion": "v1", "kind": "PodList"}
    return Answer({**head, "metadata": {"resourceVersion": "7", **metadata}, "items": items})


def test_a_collection_is_read_page_by_page() -> None:
    with scripted(page(["a"], **{"continue": "more"}), page(["b"])) as server:
        items, version = client(server.url).items("/api/v1/pods", {"labelSelector": "x=y"})
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "Pod")}
    assert version == "7"
    assert [asked.query.get("continue") for asked in server.asked] == [None, "more"]
    assert server.asked[1].query["labelSelector"] == "x=y"


def test_requests_bear_credentials_and_impersonation(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with scripted(OK) as server:
        KubeClient(with_impersonation(Access(server=server.url, token="t"), "bob"), HERE).send("GET", "/x")  # noqa: S106  # no password
        rotating = client(server.url, token_file=token)
        rotating.send("GET", "/x")
        token.write_text("second")
        rotating.send("GET", "/x")
        client(server.url, basic=("u", "p")).send("GET", "/x")
    found = [asked.headers["Authorization"] for asked in server.asked]
    assert found == ["Bearer t", "Bearer first", "Bearer second", "Basic dTpw"]
    assert server.asked[0].headers["Impersonate-User"] == "bob"
    assert server.asked[0].headers["User-Agent"] == "kubectl-psm"


def test_expired_credentials_are_fetched_anew_once(tmp_path: Path) -> None:
    """An exec plugin's token may end while a watch runs."""
    login = tmp_path / "login"
    counter = tmp_path / "count"
    login.write_text(
        f'#!/bin/sh\necho x >> {counter}\necho \'{{"status": {{"token": "\'$(wc -l < {counter})\'"}}}}\'\n'
    )
    login.chmod(0o755)
    denied = status(401, "Unauthorized", "Unauthorized")
    with scripted(denied, OK) as server:
        client(server.url, exec={"command": str(login)}).send("GET", "/x")
        assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer 1", "Bearer 2"]
    with scripted(denied) as server, pytest.raises(ApiError, match="does not know who you are"):
        client(server.url, exec={"command": str(login)}).send("GET", "/x")
    assert len(server.asked) == 2


def test_a_busy_server_is_asked_again_when_it_says_so() -> None:
    busy = Answer({"message": "slow down"}, 429, {"Retry-After": "0"})
    with scripted(busy, busy, OK) as server:
        assert client(server.url).send("GET", "/x") == {"ok": True}
    with scripted(busy) as server, pytest.raises(ApiError, match="slow down"):
        client(server.url).send("GET", "/x")
    with scripted(busy, OK) as server, pytest.raises(ApiError, match="slow down"):
        client(server.url).send("PATCH", "/x", body={})
    assert len(server.asked) == 1, "a write is never sent twice"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(403, "pods is forbidden", "Forbidden"), "pods is forbidden; ask for the rights"),
        (status(409, "the object has been modified", "Conflict"), "the object has been modified"),
        (status(422, "spec.x:\n  Invalid value", "Invalid"), "spec.x: Invalid value"),
        (Answer(b"<html>gateway</html>", 502), "<html>gateway</html>"),
        (Answer(b"", 500), "HTTP 500"),
    ],
    ids=["forbidden", "conflict", "invalid", "a gateway", "nothing"],
)
def test_a_refusal_is_one_line_in_the_servers_words(answer: Answer, message: str) -> None:
    with scripted(answer) as server, pytest.raises(ApiError) as refused:
        client(server.url).send("GET", "/x")
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    assert refused.value.status == answer.status


def test_what_is_no_api_server_is_told() -> None:
    refusal = pytest.raises(PluginError, match="answers /x, but not as an API server does; correct the kubeconfig")
    with scripted(Answer(b"<html>welcome</html>")) as server, refusal:
        client(server.url).send("GET", "/x")


def test_a_server_that_is_away_is_named_with_what_to_do() -> None:
    with scripted(OK) as server:
        url = server.url
    with pytest.raises(
        PluginError, match=rf"the API server at {url} could not be reached: .*refused; check the context"
    ):
        client(url).send("GET", "/x")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PluginError, match="could not be reached: Read timed out"):
            KubeClient(Access(server=url), HERE, timeout_s=0.2).send("GET", "/x")


def test_a_proxy_of_the_kubeconfig_is_used() -> None:
    with scripted(OK) as proxy:
        assert client("http://api.invalid", proxy_url=proxy.url).send("GET", "/x") == {"ok": True}
    assert proxy.asked[0].headers["Host"] == "api.invalid"


def test_a_watch_gives_lines_as_they_come() -> None:
    events = [{"type": kind, "object": {"metadata": {"name": kind}}} for kind in ("ADDED", "BOOKMARK", "DELETED")]

    def stream(asked: Asked) -> Answer:
        assert asked.query["watch"] == "1"
        assert asked.query["allowWatchBookmarks"] == "true"
        return Answer(lines=events)

    with scripted(stream) as server:
        found = list(client(server.url).watch("/x", {"resourceVersion": "1"}, silence_s=2))
    assert [kind for kind, _ in found] == ["ADDED", "BOOKMARK", "DELETED"]


def test_a_watch_that_is_too_old_says_so_at_once_or_in_its_stream() -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    for answer in (status(410, "too old", "Expired"), Answer(lines=[gone])):
        with scripted(answer) as server, pytest.raises(Gone):
            list(client(server.url).watch("/x", {}, silence_s=2))


def test_a_watch_whose_connection_breaks_says_so() -> None:
    event = {"type": "ADDED", "object": {}}
    with scripted(Answer(lines=[event], is_cut=True)) as server:
        watch = client(server.url).watch("/x", {}, silence_s=2)
        assert next(watch)[0] == "ADDED"
        with pytest.raises(PluginError, match=r"the watch at .* broke"):
            next(watch)


def test_certificates_that_are_none_are_named() -> None:
    with pytest.raises(PluginError, match="a certificate of the kubeconfig cannot be used"):
        KubeClient(Access(server="https://c", ca=b"nonsense"), HERE)
    with pytest.raises(PluginError, match="a certificate of the kubeconfig cannot be used"):
        KubeClient(Access(server="https://c", certificate=(b"no", b"no")), HERE)


class Socks(socketserver.BaseRequestHandler):
    """A SOCKS5 proxy without authentication; it passes one request and one answer on, and knows names only."""

    def handle(self) -> None:
        """Greet, connect, pass on."""
        self.request.recv(64)
        self.request.sendall(b"\x05\x00")
        head = self.request.recv(4)
        assert head[:4] == b"\x05\x01\x00\x03", "a name, for the proxy to resolve"
        name = self.request.recv(self.request.recv(1)[0]).decode()
        port = int.from_bytes(self.request.recv(2), "big")
        with socket.create_connection((name, port)) as beyond:
            self.request.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            beyond.sendall(self.request.recv(65536))
            while chunk := beyond.recv(65536):
                self.request.sendall(chunk)
                if b"ok" in chunk:
                    return


def test_a_socks_proxy_is_spoken_to_as_kubectl_does() -> None:
    """Names are resolved on its side, which is what such a proxy is for."""
    with scripted(OK) as server, socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socks) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = server.url.replace("127.0.0.1", "localhost")
        through = client(url, proxy_url=f"socks5://127.0.0.1:{proxy.server_address[1]}")
        assert through.send("GET", "/x") == {"ok": True}
        proxy.shutdown()


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "ftp://127.0.0.1:9", "://", "socks4://a:1"]
)
def test_a_proxy_that_is_away_or_none_is_told_in_words(proxy: str) -> None:
    with pytest.raises(PluginError, match=r"could not be reached|cannot be used|is not http"):
        client("http://localhost:9", proxy_url=proxy).send("GET", "/x")


@pytest.mark.parametrize("token", ["bad\n", "a\rb", "a\x00b"])
def test_a_token_that_no_header_carries_is_the_users_to_mend(token: str) -> None:
    """And is not shown."""
    with pytest.raises(PluginError, match=r"the token of the kubeconfig's user has a line break") as refusal:
        client("http://localhost:9", token=token).send("GET", "/x")
    assert token not in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "variables", "proxy"),
    [
        ("https://k.example:6443", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://k.example:6443", {"https_proxy": "p:1"}, "http://p:1"),
        ("http://k.example", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://k.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, ""),
        ("https://k.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".k.example"}, "http://p:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "no_proxy": "a, 10.0.0.0/8"}, ""),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.1.2.4"}, "http://p:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, ""),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, ""),
        ("https://localhost", {"HTTPS_PROXY": "http://p:1"}, ""),
    ],
)
def test_proxies_of_the_environment_follow_gos_rules(server: str, variables: dict[str, str], proxy: str) -> None:
    assert Environment(variables, Path("/nowhere"), is_terminal=False).proxy_for(server) == proxy
