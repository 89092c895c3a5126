"""How a predictor is told to end, and how it goes.

Stop signals are held back until somebody handles them: as process 1 of a container a process has no default handlers,
and Linux would drop a SIGTERM that comes during start-up.
"""

import logging
import os
import signal
from typing import Final, NoReturn

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def hold_back() -> None:
    """Stop signals wait from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def let_through() -> None:
    """Stop signals reach their handlers, those that waited too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def leave(code: int) -> NoReturn:
    """Ends the process without tearing the interpreter down.

    A thread may still be loading the model: when the interpreter is finalised under it, onnxruntime's native frames
    abort the process (exit code 134 instead of 0).
    """
    logging.shutdown()
    os._exit(code)
