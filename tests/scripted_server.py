"""An HTTP server that answers as a test tells it to, for what a real API server does too seldom: 410, cut connections, 429."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """One answer: JSON, or lines of a stream.

    Attributes:
        lines: sent one by one, chunked; None for a whole JSON body.
        is_cut: the connection breaks off after the lines instead of ending.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    lines: list[Any] | None = None
    is_cut: bool = False


def status(code: int, message: str, reason: str = "") -> Answer:
    """A metav1.Status."""
    return Answer({"kind": "Status", "code": code, "message": message, "reason": reason}, code)


@dataclass
class Script:
    """What the server was asked, and how it answers.

    Attributes:
        answers: taken in order; the last one again and again.
    """

    answers: list[Answer | Callable[[Asked], Answer]]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, asked: Asked) -> Answer:
        """The next answer."""
        self.asked.append(asked)
        made = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return made if isinstance(made, Answer) else made(asked)


@contextmanager
def scripted(*answers: Answer | Callable[[Asked], Answer]) -> Iterator[Script]:
    """Run a server with these answers."""
    script = Script(list(answers))
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    script: Script
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Whatever the method, the script answers."""
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.title(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self._send(self.script.answer(asked))

    do_PATCH = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  # http.server's names

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.lines is None:
            data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in answer.lines:
            data = json.dumps(line).encode() + b"\n"
            # in two pieces: a line is a line wherever the network cuts it
            for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
        if answer.is_cut:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
