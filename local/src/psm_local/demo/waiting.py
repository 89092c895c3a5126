"""Waiting for something to become true, with a name and a limit; the message says what was seen last."""

import time
from collections.abc import Callable

from psm_local.errors import LocalError

_LOOK_EVERY_S = 0.5


def wait_until(what: str, look: Callable[[], str | None], *, limit_s: float) -> None:
    """Look again and again until `look` returns None: nothing is missing any more.

    Args:
        what: what is waited for, for the message.
        look: returns what is still missing, in words.
        limit_s: seconds to wait at most.

    Raises:
        LocalError: the limit was reached; the message ends with what was missing at the end.
    """
    end = time.monotonic() + limit_s
    while True:
        missing = look()
        if missing is None:
            return
        if time.monotonic() >= end:
            raise LocalError(f"waited {limit_s:.0f} s for {what}: {missing}")
        time.sleep(_LOOK_EVERY_S)
