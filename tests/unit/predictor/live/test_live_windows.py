"""Windows forget what is too old or too much, against a list of everything."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from psm_predictor.live.windows import SLOTS, BinWindow, LabelWindow

STEPS = st.lists(st.tuples(st.floats(0, 90), st.integers(0, 8)), max_size=60)
WINDOW_S = 60.0


@given(STEPS)
def test_a_bin_window_holds_the_last_sixty_slots(steps: list[tuple[float, int]]) -> None:
    """The current slot and the 59 before it."""
    window = BinWindow(9, WINDOW_S)
    now, seen = 1_000_000.0, list[tuple[int, int]]()
    for passed, number in steps:
        now += passed
        window.add(np.bincount([number], minlength=9), now)
        seen.append((int(now), number))
        expected = [number for second, number in seen if second > int(now) - SLOTS]
        assert window.total.tolist() == np.bincount(expected, minlength=9).tolist()


def test_a_clock_that_goes_back_loses_nothing() -> None:
    """It waits in the newest slot until the clock has caught up."""
    window = BinWindow(1, WINDOW_S)
    for now in (1000.0, 940.0, 1000.0):
        window.add(np.array([1]), now)
    assert window.total.tolist() == [3]
    assert window.forget(1059.0)
    assert window.total.tolist() == [3]
    assert window.forget(1060.0)
    assert window.total.tolist() == [0]


@given(STEPS)
def test_a_label_window_holds_the_newest_within_its_time(steps: list[tuple[float, int]]) -> None:
    """At most seven, none a minute old."""
    window = LabelWindow(3, 7, WINDOW_S)
    now, seen = 1_000_000.0, list[tuple[float, int]]()
    for passed, cell in steps:
        now += passed
        window.add(cell // 3, cell % 3, now)
        window.forget(now)
        seen.append((now, cell))
        kept = [cell for at, cell in seen[-7:] if at > now - WINDOW_S]
        assert window.confusion.ravel().tolist() == np.bincount(kept, minlength=9).tolist()
    window.forget(now + WINDOW_S)
    assert window.confusion.sum() == 0
