import os

import pytest
from prometheus_client import generate_latest

from psm_predictor.counters import CounterBlock
from psm_predictor.settings import PackageRef
from psm_predictor.telemetry import PREDICT, Recorder, Telemetry, route_number

PACKAGE = PackageRef(data_url="file:///x", sha256="ab" * 32, arn="arn:x", version=7)


def exposed(telemetry: Telemetry) -> str:
    return generate_latest(telemetry.registry).decode()


def test_a_scrape_adds_up_all_writers() -> None:
    """Whichever worker answers the scrape, it answers for all of them and their batch threads."""
    block = CounterBlock(4)
    telemetry = Telemetry(block, PACKAGE, workers=2)
    telemetry.describe_model(("LA", "MM", "UM"), ("PROD_CODE", "store_format"))
    for number in range(4):
        recorder = Recorder(block.row(number))
        recorder.request(PREDICT, 200, 0.0003)
        recorder.predicted(1, 10)
        recorder.unknown(1)
        recorder.rejected("in_flight")

    text = exposed(telemetry)

    assert 'psm_predictor_requests_total{route="/predict",status="200"} 4.0' in text
    assert 'psm_predictor_predictions_total{label="MM"} 40.0' in text
    assert 'psm_predictor_unknown_categories_total{feature="store_format"} 4.0' in text
    assert 'psm_predictor_rejected_requests_total{reason="in_flight"} 4.0' in text
    assert 'psm_predictor_model_info{arn="arn:x",sha256="' + "ab" * 32 + '",version="7"} 1.0' in text


def test_latencies_fall_into_cumulative_buckets() -> None:
    """A value on a bound belongs to the bucket of that bound."""
    block = CounterBlock(1)
    for seconds in (0.0001, 0.00026, 9.0):
        Recorder(block.row(0)).request(PREDICT, 200, seconds)

    text = exposed(Telemetry(block, PACKAGE, workers=1))

    name = "psm_predictor_request_duration_seconds"
    assert f'{name}_bucket{{le="0.0001",route="/predict"}} 1.0' in text
    assert f'{name}_bucket{{le="0.00025",route="/predict"}} 1.0' in text
    assert f'{name}_bucket{{le="0.0005",route="/predict"}} 2.0' in text
    assert f'{name}_bucket{{le="2.5",route="/predict"}} 2.0' in text
    assert f'{name}_bucket{{le="+Inf",route="/predict"}} 3.0' in text
    assert f'{name}_count{{route="/predict"}} 3.0' in text
    assert f'{name}_sum{{route="/predict"}} 9.00036' in text


def test_unknown_paths_and_statuses_share_one_series() -> None:
    """A scanner cannot make series."""
    block = CounterBlock(1)
    recorder = Recorder(block.row(0))
    recorder.request(route_number("/a"), 404, 0)
    recorder.request(route_number("/b"), 404, 0)
    recorder.request(route_number("/c"), 418, 0)

    text = exposed(Telemetry(block, PACKAGE, workers=1))

    assert 'psm_predictor_requests_total{route="other",status="404"} 2.0' in text
    assert 'psm_predictor_requests_total{route="other",status="other"} 1.0' in text


def test_a_pod_is_ready_when_every_worker_is() -> None:
    """A request may reach any of them."""
    block = CounterBlock(2)
    telemetry = Telemetry(block, PACKAGE, workers=2)
    Recorder(block.row(0)).ready(is_ready=True)
    assert not telemetry.all_ready()

    Recorder(block.row(1)).ready(is_ready=True)
    assert telemetry.all_ready()


def test_counters_are_shared_with_forked_workers() -> None:
    """The mapping is inherited, not copied."""
    block = CounterBlock(2)
    child = os.fork()
    if child == 0:
        block.row(1)[0] += 41
        os._exit(0)
    os.waitpid(child, 0)
    block.row(0)[0] += 1

    assert block.total(0) == 42


def test_more_names_than_slots_are_refused() -> None:
    """A model with hundreds of category features would overwrite other counters."""
    telemetry = Telemetry(CounterBlock(1), PACKAGE, workers=1)

    with pytest.raises(ValueError, match="exceed the 2048 counters"):
        telemetry.describe_model(("LA",), tuple(f"f{number}" for number in range(3000)))
