"""The customer metadata of a model package: what training writes, the operator gates on, evaluation jobs update.

SageMaker holds at most 50 pairs of strings. Metrics are decimals, so that 0.1 regressing by 0.02 is judged exactly.
Imports nothing heavy: the operator reads this module.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
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


SHARES: Final = frozenset({"accuracy", "auc", "f1", "precision", "recall"})
"""Words in a metric's name that make it a share from 0 to 1: macro_f1, precision_min_class, weighted_recall, …"""

EVALUATED: Final = frozenset({"accuracy"})
"""What every evaluation of a classifier says; one that does not leaves it unknown, whatever training said before."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
"""A number as JSON and people write it; Python alone would also take 0_8, full-width digits and Infinity."""


@dataclass(frozen=True, slots=True)
class ParsedMetrics:
    """The metrics of a package by bare name (accuracy, macro_f1, ...).

    Attributes:
        texts: Every metric as written, the newest word on each.
        live: Names whose text is a live value.
        values: Those texts that can be read.
        malformed: Full key -> value of every metadata metric that cannot be read.
    """

    texts: dict[str, str]
    live: frozenset[str]
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
    """Returns one number; None when the text is no finite decimal in plain digits."""
    text = text.strip(" \t\r\n")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def read_metric(name: str, text: str) -> Decimal | None:
    """Returns the value of a named metric; None when the text is no number, or lies outside what the metric can be."""
    number = parse_metric(text)
    return None if number is None or (is_share(name) and not 0 <= number <= 1) else number


def is_share(name: str) -> bool:
    """Returns whether a metric is a share from 0 to 1, by the words of its name."""
    return not SHARES.isdisjoint(re.split(r"[_.-]", name.lower()))


def parse_metrics(properties: Mapping[str, str], evaluated: Mapping[str, str] | None = None) -> ParsedMetrics:
    """Reads every metric of a package: psm.live.<metric> over the evaluation over psm.<metric>.

    A live value that cannot be read hides nothing; where there is nothing to hide it stays text, so that whoever judges
    it can say what was found. What an evaluation always says (`EVALUATED`) is taken from nowhere else.

    Args:
        properties: CustomerMetadataProperties as the registry returned them; foreign keys are ignored.
        evaluated: Metric name -> number as written in the evaluation JSON that the package names; None if it names none.
    """
    found = {key: text for key, text in properties.items() if key.startswith(PREFIX) and key not in NOT_METRICS}
    live = {key.removeprefix(LIVE_PREFIX): text for key, text in found.items() if key.startswith(LIVE_PREFIX)}
    texts = {key.removeprefix(PREFIX): text for key, text in found.items() if not key.startswith(LIVE_PREFIX)}
    if evaluated is not None:
        texts = {name: text for name, text in texts.items() if name not in EVALUATED} | dict(evaluated)
    live = {name: text for name, text in live.items() if read_metric(name, text) is not None or name not in texts}
    texts |= live
    numbers = {name: read_metric(name, text) for name, text in texts.items()}
    return ParsedMetrics(
        texts=texts,
        live=frozenset(live),
        values={name: number for name, number in numbers.items() if number is not None},
        malformed={
            key: text
            for key, text in found.items()
            if read_metric(key.removeprefix(LIVE_PREFIX if key.startswith(LIVE_PREFIX) else PREFIX), text) is None
        },
    )


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
