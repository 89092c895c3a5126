"""The live numbers for Prometheus. Labels come from closed sets: features, classes and outcomes."""

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from psm_contract.drift import Drift
from psm_predictor.counters import CounterBlock
from psm_predictor.live.figures import Figures, figures


class LiveCollector:
    """A Prometheus collector over the slots of all workers."""

    def __init__(self, block: CounterBlock, drift: Drift, classes: Sequence[str]) -> None:
        self._block = block
        self._drift = drift
        self._classes = classes

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry. What nothing is known about is absent, not zero."""
        now = figures(self._block, self._drift, self._classes)
        feedback = CounterMetricFamily("psm_predictor_feedback", "Labels that were sent", labels=["outcome"])
        for outcome, count in now.feedback.items():
            feedback.add_metric([outcome], count)
        yield feedback
        yield from self._accuracy(now)
        yield from _drift(now)
        yield CounterMetricFamily(
            "psm_predictor_drift_skipped_baskets", "Baskets that came faster than drift samples", now.skipped
        )
        yield CounterMetricFamily(
            "psm_predictor_prediction_log_dropped", "Lines of the prediction log that were lost", now.log_dropped
        )

    def _accuracy(self, now: Figures) -> Iterator[Metric]:
        yield GaugeMetricFamily("psm_predictor_live_labels", "Labels in the window of live accuracy", now.labels)
        if not now.labels:
            return
        quality = now.quality
        yield GaugeMetricFamily(
            "psm_predictor_live_accuracy", "Share of labels that were predicted", float(quality.accuracy)
        )
        yield GaugeMetricFamily("psm_predictor_live_macro_f1", "Mean F1 over classes", float(quality.macro_f1))
        for name, values in (("precision", quality.precision), ("recall", quality.recall)):
            family = GaugeMetricFamily(f"psm_predictor_live_{name}", f"{name.title()} by class", labels=["label"])
            for word, value in zip(self._classes, values.tolist(), strict=True):
                family.add_metric([word], value)
            yield family
        confusion = GaugeMetricFamily(
            "psm_predictor_live_confusion", "Labels in the window by class", labels=["actual", "predicted"]
        )
        for actual, row in zip(self._classes, now.confusion.tolist(), strict=True):
            for predicted, count in zip(self._classes, row, strict=True):
                confusion.add_metric([actual, predicted], count)
        yield confusion


def _drift(now: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily("psm_predictor_drift_baskets", "Baskets in the window of drift", now.baskets)
    if now.prediction_psi is None:
        return
    family = GaugeMetricFamily(
        "psm_predictor_drift_psi", "Population stability index against the training window", labels=["feature"]
    )
    for name, value in now.psi.items():
        family.add_metric([name], value)
    yield family
    yield GaugeMetricFamily(
        "psm_predictor_drift_prediction_psi", "Population stability index of the predicted classes", now.prediction_psi
    )
