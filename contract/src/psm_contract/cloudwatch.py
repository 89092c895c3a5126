"""The predictor's metrics in CloudWatch: the names that its log lines give and that dashboards and alarms read.

The predictor writes them in the embedded metric format, the operator builds each model's dashboard and alarms from them;
neither spells a name itself. Renaming one loses its past and silences the alarms of whoever wrote their own.
"""

from typing import Final

NAMESPACE: Final = "PSM/Predictor"

GROUP: Final = "ModelPackageGroup"
VERSION: Final = "ModelVersion"
"""Dimensions of quality and drift: the group alone, and with the version."""

MODEL: Final = "Model"
"""Dimension of everything that one resource's pods tell: `<prefix>/<namespace>/<name>`, if the operator says so."""

REQUESTS: Final = "Requests"
"""Answered predictions of a minute; its Sum is the traffic, its SampleCount the pods that told."""
ERRORS: Final = "Errors"
"""Those of them answered with a status from 500 on."""
LATENCY: Final = "Latency"
"""Milliseconds from the first byte handled to the last one sent: up to 100 values a minute, at even ranks."""

LABEL_CORRECT: Final = "LabelCorrect"
"""0 or 1 for each label: its Average is the accuracy, its SampleCount the labels."""
LIVE_LABELS: Final = "LiveLabels"
LIVE_ACCURACY: Final = "LiveAccuracy"
LIVE_MACRO_F1: Final = "LiveMacroF1"
DRIFT_BASKETS: Final = "DriftBaskets"
LARGEST_FEATURE_PSI: Final = "LargestFeaturePsi"
PREDICTION_PSI: Final = "PredictionPsi"
