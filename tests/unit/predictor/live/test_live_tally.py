"""What workers count, summed: figures, Prometheus, CloudWatch lines and the log, with a clock moved by hand."""

import pytest
from live_pod import DRIFT, REFERENCE, Pod

from psm_contract.drift import LEAST_BASKETS, Drift
from psm_contract.manifest import Feature, Histogram, Reference
from psm_contract.schema import CLASSES
from psm_predictor.counters import CounterBlock
from psm_predictor.live import layout
from psm_predictor.live.figures import figures
from psm_predictor.live.layout import Outcome
from psm_predictor.live.tally import Tally
from psm_predictor.live.windows import BinWindow, LabelWindow


@pytest.fixture
def pod() -> Pod:
    return Pod()


def test_drift_is_that_of_all_workers_and_is_forgotten(pod: Pod) -> None:
    """Each sees half of the training window, together they see all of it; an hour later nothing is left."""
    half = LEAST_BASKETS
    pod.answer(0, "a", [[0.0, 0.0]] * half, [1] * half)
    pod.answer(1, "b", [[2.0, 2.0]] * half, [1] * half)
    pod.tick(10_000.0)

    now = figures(pod.block, DRIFT, CLASSES)
    assert now.baskets == 2 * half
    assert now.psi == pytest.approx({"spend": 0, "shop_hour": 0}, abs=1e-6)
    assert now.prediction_psi is not None
    assert now.prediction_psi > 1
    assert 'psm_predictor_drift_psi{feature="spend"}' in pod.exposed()

    pod.tick(10_000.0 + 3600)
    assert figures(pod.block, DRIFT, CLASSES).baskets == 0
    assert "psm_predictor_drift_psi{" not in pod.exposed()


def test_the_clock_does_not_count_as_the_largest_drift(pod: Pod) -> None:
    """shop_hour holds one value in an hour."""
    pod.answer(0, "a", [[0.0, 2.0], [2.0, 2.0]] * LEAST_BASKETS, [1] * 2 * LEAST_BASKETS)
    pod.tick(10_000.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert now.psi["shop_hour"] > 0.25
    assert now.largest_psi == now.psi["spend"]


def test_baskets_that_come_too_fast_are_sampled_and_counted(pod: Pod) -> None:
    """The newest of a second are looked at."""
    pod.answer(0, "a", [[0.0, 0.0]] * 3000, [0] * 3000)
    pod.tick(10_000.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert now.baskets + now.skipped == 3000
    assert now.baskets == 1024


def test_a_label_counts_in_the_worker_that_gets_it(pod: Pod) -> None:
    """Whoever answered; the sum is the pod's, and labels are forgotten with time."""
    pod.answer(0, "a", [[0.0, 0.0]], [2])
    pod.answer(1, "b", [[0.0, 0.0]], [1])
    assert pod.feedback(1, request_id="a", label="UM") is Outcome.COUNTED
    assert pod.feedback(0, request_id="b", label="UM") is Outcome.COUNTED
    assert pod.feedback(0, request_id="a", label="UM") is Outcome.DUPLICATE
    assert pod.feedback(0, request_id="c", label="UM") is Outcome.UNKNOWN

    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.right, now.wrong) == (2, 1, 1)
    assert float(now.quality.accuracy) == 0.5
    assert now.confusion[2].tolist() == [0, 1, 1]
    text = pod.exposed()
    assert 'psm_predictor_feedback_total{outcome="duplicate"} 1.0' in text
    assert "psm_predictor_live_accuracy 0.5" in text
    assert 'psm_predictor_live_recall{label="UM"} 0.5' in text

    pod.tick(3600.0)
    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.right, now.wrong) == (0, 1, 1)
    assert "psm_predictor_live_accuracy" not in pod.exposed()


def test_the_oldest_labels_make_room(pod: Pod) -> None:
    """A hundred are kept, by number."""
    for number in range(150):
        pod.answer(0, f"r{number}", [[0.0, 0.0]], [0])
        pod.feedback(0, now_s=number, request_id=f"r{number}", label="LA" if number < 75 else "MM")
    now = figures(pod.block, DRIFT, CLASSES)
    assert (now.labels, now.confusion[0, 0], now.confusion[1, 0]) == (100, 25, 75)


def test_what_was_answered_counts_more_than_what_is_sent(pod: Pod) -> None:
    """A client that mixes up its answers does not change what this pod knows."""
    pod.answer(0, "a", [[0.0, 0.0]], [2])
    pod.feedback(0, request_id="a", label="LA", predicted="LA", model_version=7)
    assert figures(pod.block, DRIFT, CLASSES).wrong == 1


def test_more_bins_than_slots_are_refused() -> None:
    """They would be another row's."""
    words = (*(f"w{number}" for number in range(layout.BINS_MOST)), "other")
    wide = Feature(name="w", kind="category", vocabulary=words, description="many words")
    shares = Histogram(shares=(1.0, *[0.0] * layout.BINS_MOST))
    drift = Drift((wide,), Reference(baskets=1, features=(shares,), predictions=REFERENCE.predictions))
    with pytest.raises(ValueError, match="exceed"):
        Tally(
            CounterBlock(1).row(0),
            drift,
            classes=CLASSES,
            rings=(),
            matcher=Pod().tallies[0]._matcher,
            bins=BinWindow(1, 60),
            labels=LabelWindow(3, 1, 60),
        )
