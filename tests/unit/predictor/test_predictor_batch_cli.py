"""What ends a batch run."""

import signal

import pytest

from psm_predictor.batch.cli import Termination


def test_a_signal_that_got_lost_ends_the_run_at_the_next_piece() -> None:
    """Its exception may be swallowed by a library that calls back into Python."""
    termination = Termination()
    termination.check()
    with pytest.raises(KeyboardInterrupt):
        termination(signal.SIGTERM, None)
    with pytest.raises(KeyboardInterrupt):
        termination.check()
