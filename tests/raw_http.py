"""HTTP as bytes on a socket, for what no client library would send, and what none would show of the answers."""

import socket
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True)
class RawAnswer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(file: IO[bytes]) -> RawAnswer | None:
    """The next answer; None at the end of the connection."""
    line = file.readline()
    if not line:
        return None
    version, status, *_ = line.split()
    assert version == b"HTTP/1.1", line
    headers: dict[str, str] = {}
    while (field := file.readline().strip()) != b"":
        name, _, value = field.decode().partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        return RawAnswer(int(status), headers, _chunks(file))
    return RawAnswer(int(status), headers, file.read(int(headers.get("content-length", "0"))))


def _chunks(file: IO[bytes]) -> bytes:
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    file.readline()
    return body


def answers_until_closed(connection: socket.socket) -> list[RawAnswer]:
    """Every answer that comes before the server closes; the socket's timeout is the limit."""
    answers = []
    with connection.makefile("rb") as file:
        try:
            while (answer := read_answer(file)) is not None:
                answers.append(answer)
        except ConnectionResetError:
            pass  # closed on bytes that it had not read
    return answers


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closed without a word; the socket's timeout is the limit."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
