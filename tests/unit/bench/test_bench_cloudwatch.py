"""What the picture of the dashboard takes CloudWatch for: samples by dimension, statistics by period, expressions."""

import numpy as np
import pytest
from bench.cloudwatch.day import version_at
from bench.cloudwatch.series import Metrics, evaluate, statistic

KEY = ("N", "Latency", "Model", "m")


def line(at_s: int, **values: object) -> dict[str, object]:
    metrics = [{"Name": name} for name in values]
    directive = {"Namespace": "N", "Dimensions": [["Model"], ["Model", "Version"]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": at_s * 1000, "CloudWatchMetrics": [directive]},
        "Model": "m",
        "Version": "7",
        **values,
    }


def test_each_period_has_its_own_samples_under_each_set_of_dimensions() -> None:
    metrics = Metrics([line(0, Latency=[1.0, 3.0]), line(59, Latency=2), line(60, Latency=9)])
    grid = np.arange(0.0, 180.0, 60.0)
    for key in (KEY, (*KEY, "Version", "7")):
        assert metrics.of(key, "Average", grid, 60)[:2].tolist() == [2.0, 9.0]
        assert np.isnan(metrics.of(key, "Average", grid, 60)[2])
    assert np.isnan(metrics.of(("N", "Latency", "Model", "other"), "Sum", grid, 60)).all()


@pytest.mark.parametrize(
    ("name", "value"), [("Sum", 10), ("Average", 2.5), ("Maximum", 4), ("SampleCount", 4), ("p50", 2.5), ("p95", 3.85)]
)
def test_statistics(name: str, value: float) -> None:
    assert statistic(name)([1.0, 2.0, 3.0, 4.0]) == pytest.approx(value)


def test_the_expressions_of_our_charts() -> None:
    series = {"requests": np.array([0.0, 120.0]), "errors": np.array([0.0, 3.0])}
    share = "IF(requests > 0, 100 * errors / requests, 0)"
    assert evaluate(share, series, 60).tolist() == [0.0, 2.5]
    assert evaluate("requests / PERIOD(requests)", series, 60).tolist() == [0.0, 2.0]


def test_the_day_is_the_story() -> None:
    assert [version_at(60 * hour) for hour in (0, 9, 11, 12)] == [17, 18, 18, 17]
