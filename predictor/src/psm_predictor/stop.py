"""The signals that end a predictor, held back until somebody handles them.

As process 1 of a container a process has no default handlers: Linux would drop a SIGTERM that comes during start-up.
"""

import signal
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def hold_back() -> None:
    """Stop signals wait from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def let_through() -> None:
    """Stop signals reach their handlers, those that waited too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
