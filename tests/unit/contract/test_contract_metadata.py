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
    assert parsed == metadata.ParsedMetrics(values={}, malformed={})


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
