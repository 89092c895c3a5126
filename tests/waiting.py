"""Wait for something that another process brings about, with a limit that a failure names."""

import threading
import time
from collections.abc import Callable

_LIMIT_S = 60.0


def until(condition: Callable[[], object], what: str, limit_s: float = _LIMIT_S) -> None:
    """Return when `condition` holds; fail the test with `what` after the limit."""
    pause = threading.Event()
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {limit_s:.0f} s for {what}"
        pause.wait(0.02)
