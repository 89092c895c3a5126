"""Look once whether a process is ready. Called by the keeper, many times a second; never waits long."""

import http.client
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from psm_local.supervise.plan import Ready
from psm_local.supervise.state import load_state

_PROBE_TIMEOUT_S = 1.0  # a local server that needs longer is not ready
_COMMAND_TIMEOUT_S = 10.0


def is_ready(ready: Ready, *, exit_code: int | None) -> bool:
    """Return whether the process is ready now; `exit_code` is its own, None while it runs."""
    match ready.kind:
        case "http":
            return all(_answers(url, ready.ca_file) for url in ready.target.split())
        case "socket":
            return _accepts(ready.target)
        case "command":
            return _succeeds(ready.argv)
        case "instance":
            nested = load_state(Path(ready.target))
            return nested is not None and nested.phase == "running"
        case "exit":
            return exit_code == 0
        case "none":
            return True


def _answers(url: str, ca_file: str) -> bool:
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S, context=context) as answer:  # noqa: S310
            return 200 <= int(answer.status) < 300  # noqa: PLR2004  # HTTP's own numbers
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def _accepts(target: str) -> bool:
    try:
        if target.startswith("/"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(_PROBE_TIMEOUT_S)
                client.connect(target)
        else:
            host, _, port = target.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _succeeds(argv: tuple[str, ...]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=_COMMAND_TIMEOUT_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
