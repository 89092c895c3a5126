"""The registry's customer metadata."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract import metadata


@given(st.decimals(min_value=-1000, max_value=1000, places=6, allow_nan=False))
def test_a_metric_survives_the_registry(value: Decimal) -> None:
    """What is written with six decimals is read as the same number."""
    assert metadata.parse_metric(metadata.format_metric(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_not_written(value: float) -> None:
    """The registry must not hold NaN: no threshold could judge it."""
    with pytest.raises(ValueError, match="not finite"):
        metadata.format_metric(value)


def test_a_small_metric_is_written_without_an_exponent() -> None:
    """1E-6 is not what people expect in a registry."""
    assert metadata.format_metric(0.000001) == "0.000001"


def test_live_metrics_override_registered_ones() -> None:
    """The newer truth wins; metrics of one kind only are kept."""
    parsed = metadata.parse_metrics(
        {"psm.accuracy": "0.80", "psm.live.accuracy": "0.61", "psm.macro_f1": "0.78", "psm.live.latency": "3"}
    )
    assert parsed.values == {"accuracy": Decimal("0.61"), "macro_f1": Decimal("0.78"), "latency": Decimal(3)}
    assert parsed.malformed == {}


def test_a_malformed_live_metric_is_named_and_does_not_hide_the_registered_one() -> None:
    """Missing is not bad, and broken is not missing."""
    parsed = metadata.parse_metrics({"psm.accuracy": "0.80", "psm.live.accuracy": "n/a"})
    assert parsed.values == {"accuracy": Decimal("0.80")}
    assert parsed.malformed == {"psm.live.accuracy": "n/a"}


def test_keys_that_are_no_metrics_are_left_alone() -> None:
    """Digests, verdicts and other people's keys are not read as numbers."""
    parsed = metadata.parse_metrics(
        {metadata.SHA256: "ab", metadata.DATA_VALIDATION: "passed", "team": "pricing", metadata.PROTOCOL: "1"}
    )
    assert parsed == metadata.ParsedMetrics(texts={}, live=frozenset(), values={}, malformed={})


@pytest.mark.parametrize(
    ("properties", "evaluated", "expected", "live"),
    [
        ({"psm.accuracy": "0.8", "psm.live.accuracy": "0.7"}, None, {"accuracy": "0.7"}, {"accuracy"}),
        ({"psm.accuracy": "0.8", "psm.live.accuracy": "n/a"}, None, {"accuracy": "0.8"}, set()),
        ({"psm.live.latency": "12"}, None, {"latency": "12"}, {"latency"}),
        ({"psm.accuracy": "high"}, None, {"accuracy": "high"}, set()),
        ({"psm.sha256": "ab", "psm.git_sha": "cd", "owner": "pricing"}, None, {}, set()),
        ({"psm.accuracy": "0.8"}, {"accuracy": "0.7"}, {"accuracy": "0.7"}, set()),
        ({"psm.live.accuracy": "0.6"}, {"accuracy": "0.7"}, {"accuracy": "0.6"}, {"accuracy"}),
        ({"psm.live.accuracy": "n/a"}, {"accuracy": "0.7"}, {"accuracy": "0.7"}, set()),
        ({"psm.macro_f1": "0.6"}, {"accuracy": "0.7"}, {"accuracy": "0.7", "macro_f1": "0.6"}, set()),
        ({"psm.accuracy": "0.8"}, {"macro_f1": "0.7"}, {"macro_f1": "0.7"}, set()),
        ({"psm.accuracy": "0.8", "psm.live.accuracy": "61.0"}, None, {"accuracy": "0.8"}, set()),
    ],
    ids=[
        "live wins",
        "unless it is no number",
        "live only",
        "text stays text",
        "what is no metric is left out",
        "an evaluation wins over what was registered",
        "live wins over an evaluation",
        "unless it is no number, there too",
        "what an evaluation does not say stays",
        "but for what every evaluation says",
        "a live share above 1 hides nothing",
    ],
)
def test_metrics(
    properties: dict[str, str], evaluated: dict[str, str] | None, expected: dict[str, str], live: set[str]
) -> None:
    """psm.live.* over the evaluation JSON over psm.*."""
    parsed = metadata.parse_metrics(properties, evaluated)
    assert parsed.texts == expected
    assert parsed.live == live


UNREADABLE = (
    "Infinity", "inf", "1e400000", "0_8", "80%", "0,8", "\u0660.\u0668", "\uff11", "80.3", "-0.8", "0x1p0", "nan", "sNaN",
    "0.80f", "1/2", "", "\u00a00.8", "61.0", "1.0000001",
)  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_share_that_is_none_is_unreadable(text: str) -> None:
    """Neither pass nor fail, and nothing that others are compared with."""
    assert metadata.read_metric("accuracy", text) is None


@pytest.mark.parametrize("text", ["0.8 ", " 0.8", "8E-1", ".8", "8e-1", "+0.8", "0.80"])
def test_a_share_is_read_as_people_write_it(text: str) -> None:
    """What JSON and people write."""
    assert metadata.read_metric("macro_f1", text) == Decimal("0.8")


def test_what_is_no_share_by_its_name_may_be_any_number() -> None:
    """Latencies, counts and losses of a data team's own."""
    assert metadata.read_metric("p95_latency_ms", "180.5") == Decimal("180.5")
    assert metadata.read_metric("log_loss", "-1.2") == Decimal("-1.2")


@given(st.text(max_size=12))
def test_whatever_is_read_is_a_finite_number_of_plain_digits(text: str) -> None:
    """The grammar admits less than Python's own."""
    number = metadata.parse_metric(text)
    assert number is None or (number.is_finite() and text.isascii() and "_" not in text)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({f"k{number}": "v" for number in range(51)}, "51 customer metadata properties"),
        ({"k" * 129: "v"}, "129 characters"),
        ({"psm.git_sha": "x" * 257}, "value of psm.git_sha has 257 characters"),
        ({"psm.git_sha": ""}, "value of psm.git_sha has 0 characters"),
    ],
    ids=["too many pairs", "a key too long", "a value too long", "an empty value"],
)
def test_what_the_registry_would_refuse_is_refused_before(properties: dict[str, str], message: str) -> None:
    """The error names the key, which the registry's own error does not."""
    with pytest.raises(ValueError, match=message):
        metadata.check_limits(properties)


def test_a_package_within_the_limits_passes() -> None:
    """50 pairs, 128 and 256 characters are allowed."""
    metadata.check_limits({f"{number:0128d}": "v" * 256 for number in range(50)})
