"""What ends a batch run."""

import os
import signal
from collections.abc import Iterator

import pytest

from psm_predictor.batch.cli import Termination

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_run_at_the_next_piece_and_not_before(number: signal.Signals) -> None:
    """What a handler raises inside of a library may get lost there, or come out as another error."""
    termination = Termination()
    termination.check()
    os.kill(os.getpid(), number)
    with pytest.raises(KeyboardInterrupt):
        termination.check()
