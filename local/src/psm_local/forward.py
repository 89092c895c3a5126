"""Forward ports of 127.0.0.1 into a node's network.

Run as `python -m psm_local.forward RUN_DIR 8080=10.77.0.2:80 …`. The listening sockets are made on this machine, then
the process moves into the node's network namespace, so every connection it opens from then on starts there. Bytes are
passed on as they come, so that a load test measures what is behind.
"""

import argparse
import asyncio
import ctypes
import os
import socket
from pathlib import Path

from psm_local.node.enter import init_pid

_CLONE_NEWNET = 0x40000000
_BACKLOG = 1024


class _End(asyncio.Protocol):
    """One end of a forwarded connection: what arrives here is written to the peer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        if self.peer is not None and self.peer.transport is not None and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return True  # the other direction may still have something to say

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()


class _Accepted(_End):
    """The end that a client of this machine opened; it opens the other one."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._target = (host, port)
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.transport.pause_reading()
            self._connecting = asyncio.get_running_loop().create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        try:
            _, other = await asyncio.get_running_loop().create_connection(_End, *self._target)
        except OSError:
            transport.abort()
            return
        other.peer, self.peer = self, other
        if transport.is_closing():
            if other.transport is not None:
                other.transport.close()
        else:
            transport.resume_reading()


async def serve(listeners: list[tuple[socket.socket, str, int]]) -> None:
    """Forward each listening socket to its target until cancelled."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda host=host, port=port: _Accepted(host, port), sock=sock, backlog=_BACKLOG)  # type: ignore[misc]  # mypy: defaults of a lambda
        for sock, host, port in listeners
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def enter_network(pid: int) -> None:
    """Move this thread into the network namespace of a process.

    Raises:
        OSError: the kernel refuses, or the process is gone.
    """
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network of process {pid}")
    finally:
        os.close(namespace)


def _listen(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def main() -> None:
    """Forward until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("forwards", nargs="+", metavar="PORT=HOST:PORT")
    args = parser.parse_args()
    listeners = []
    for forward in args.forwards:
        port, _, target = forward.partition("=")
        host, _, target_port = target.rpartition(":")
        listeners.append((_listen(int(port)), host, int(target_port)))
    enter_network(init_pid(args.run_dir))
    asyncio.run(serve(listeners))


if __name__ == "__main__":
    main()
