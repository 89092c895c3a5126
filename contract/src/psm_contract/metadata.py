"""The customer metadata of a model package: what training writes, the operator gates on, evaluation jobs update.

SageMaker holds at most 50 pairs of strings. Metrics are decimals, so that 0.1 regressing by 0.02 is judged exactly.
Imports nothing heavy: the operator reads this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

PREFIX: Final = "psm."
LIVE_PREFIX: Final = "psm.live."
"""psm.live.<metric> is measured on live traffic and overrides psm.<metric>: the newer truth."""

PROTOCOL: Final = "psm.protocol"
SHA256: Final = "psm.sha256"
ACCURACY: Final = "psm.accuracy"
MACRO_F1: Final = "psm.macro_f1"
PRECISION_MIN_CLASS: Final = "psm.precision_min_class"
DATA_VALIDATION: Final = "psm.data_validation"
TRAINING_WINDOW: Final = "psm.training_window"
GIT_SHA: Final = "psm.git_sha"
DATA_SHA256: Final = "psm.data_sha256"
"""Digest of the training data as silver holds it: the same data gives the same."""
DATA_SOURCE: Final = "psm.data_source"
RECIPE: Final = "psm.recipe"

LINEAGE: Final = "psm.lineage"
"""Where the JSON lies that says which data, code and recipe made which files."""

APPROVAL: Final = "psm.approval"
"""Where the evidence lies by which a version was approved, or not, without a person."""

LIVE_EVALUATION: Final = "psm.live_evaluation"
"""Where the evaluation JSON lies that the psm.live.* values come from."""

NOT_METRICS: Final = frozenset(
    {
        PROTOCOL, SHA256, DATA_VALIDATION, TRAINING_WINDOW, GIT_SHA, DATA_SHA256, DATA_SOURCE, RECIPE, LINEAGE, APPROVAL,
        LIVE_EVALUATION,
    }
)  # fmt: skip

VALIDATION_PASSED: Final = "passed"
VALIDATION_FAILED: Final = "failed"

MAX_PROPERTIES: Final = 50
MAX_KEY_LENGTH: Final = 128
MAX_VALUE_LENGTH: Final = 256

METRIC_PLACES: Final = Decimal("0.000001")
"""Metrics are written with six decimals: finer than the sampling error of any test set we can hold."""


@dataclass(frozen=True, slots=True)
class ParsedMetrics:
    """The metrics of a package by bare name (accuracy, macro_f1, ...).

    Attributes:
        values: The metrics, live values in place of the registered ones.
        malformed: Full key -> value of every metric that is no finite decimal.
    """

    values: dict[str, Decimal]
    malformed: dict[str, str]


def format_metric(value: float | Decimal) -> str:
    """Writes a metric as the registry holds it: six decimals, no exponent.

    Raises:
        ValueError: The value is not finite.
    """
    number = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not number.is_finite():
        raise ValueError(f"metric value {value} is not finite; the registry holds decimals such as 0.781000")
    return f"{number.quantize(METRIC_PLACES, rounding=ROUND_HALF_EVEN):f}"


def parse_metric(text: str) -> Decimal | None:
    """Reads one metric; None when the text is no finite decimal."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def parse_metrics(properties: Mapping[str, str]) -> ParsedMetrics:
    """Reads every psm.<metric> and psm.live.<metric> of a package's customer metadata.

    Args:
        properties: CustomerMetadataProperties as the registry returned them; foreign keys are ignored.

    Returns:
        The metrics by bare name; what could not be read is listed, not dropped. A malformed live value
        does not hide the registered one.
    """
    values: dict[str, Decimal] = {}
    malformed: dict[str, str] = {}
    for prefix in (PREFIX, LIVE_PREFIX):
        for key, text in properties.items():
            is_live = key.startswith(LIVE_PREFIX)
            if not key.startswith(prefix) or is_live is not (prefix == LIVE_PREFIX) or key in NOT_METRICS:
                continue
            number = parse_metric(text)
            if number is None:
                malformed[key] = text
            else:
                values[key.removeprefix(prefix)] = number
    return ParsedMetrics(values=values, malformed=malformed)


def check_limits(properties: Mapping[str, str]) -> None:
    """Refuses what the registry would refuse, before the call and with the key named.

    Raises:
        ValueError: Too many pairs, or a key or value that is too long.
    """
    if len(properties) > MAX_PROPERTIES:
        raise ValueError(f"{len(properties)} customer metadata properties; a model package holds {MAX_PROPERTIES}")
    for key, value in properties.items():
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise ValueError(f"customer metadata key {key!r} has {len(key)} characters; allowed are 1-{MAX_KEY_LENGTH}")
        if not 0 < len(value) <= MAX_VALUE_LENGTH:
            raise ValueError(
                f"customer metadata value of {key} has {len(value)} characters; allowed are 1-{MAX_VALUE_LENGTH}"
            )
