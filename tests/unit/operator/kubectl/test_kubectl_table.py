from datetime import UTC, datetime, timedelta

import pytest

from psm_operator.kubectl.table import Table, age, cell, duration, lines_of

SAID_BY_KUBECTL = {
    -5: "0s",
    0: "0s",
    119: "119s",
    120: "2m",
    123: "2m3s",
    599: "9m59s",
    600: "10m",
    10799: "179m",
    10800: "3h",
    12000: "3h20m",
    28799: "7h59m",
    28800: "8h",
    172799: "47h",
    172800: "2d",
    180000: "2d2h",
    691199: "7d23h",
    691200: "8d",
    63071999: "729d",
    63072000: "2y",
    63158400: "2y1d",
    252288000: "8y",
}
"""As apimachinery's HumanDuration says them."""


@pytest.mark.parametrize(("seconds", "text"), SAID_BY_KUBECTL.items())
def test_ages_are_said_as_kubectl_says_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_an_age_is_counted_from_a_moment_as_text_or_value() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert age("2026-01-01T11:55:00Z", now) == "5m"
    assert age(now - timedelta(hours=3), now) == "3h"
    assert age(None, now) == "<none>"


def test_columns_are_three_spaces_apart_and_the_last_has_no_tail() -> None:
    assert lines_of(("A", "LONG"), [("x", "y"), ("wider-than", "")]) == [
        "A            LONG",
        "x            y",
        "wider-than",
    ]


def test_a_narrow_column_takes_six_characters() -> None:
    """Tab writer's minimum in kubectl."""
    assert lines_of(("A", "B"), [("1", "2")]) == ["A     B", "1     2"]


def test_lines_that_come_later_are_aligned_with_those_before() -> None:
    table = Table(("NAME", "PHASE", "AGE"), {"PHASE": 11})
    first = table.lines([("a", "Ready", "1s")])
    later = table.lines([("a", "RollingBack", "2s")])
    assert len(later) == 1, "the header is printed once"
    assert first[1].index("1s") == later[0].index("2s")


def test_what_is_not_there_is_none() -> None:
    assert [cell(value) for value in (None, "", 0, "x")] == ["<none>", "<none>", "0", "x"]
