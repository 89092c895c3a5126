"""manifest.json of a model archive: what the archive holds and how to prove that it works.

Training writes it, the predictor checks every word of it before it serves. Frozen and closed: an unknown field
is an error, because it means that writer and reader disagree.
"""

import json
import math
from collections import Counter
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from psm_contract.schema import CLASSES, Line

PROTOCOL: Final = 3
"""Version of the archive's layout and meaning.

To upgrade: (1) raise the number in the commit that changes the manifest, the members, the feature order or the
meaning of a feature; (2) let the predictor read the old and the new number for one release, chosen by the
number alone; (3) release predictors first, then training; (4) drop the old reader once no approved package
carries the old `psm.protocol`. A reader refuses a number that it does not know before it reads anything else.
Protocol 1 had neither `trees.npz` nor the reference window, protocol 2 no tiers among tables and features; neither was
released, and nothing reads them.
"""

MANIFEST: Final = "manifest.json"
ONNX: Final = "model.onnx"
JOBLIB: Final = "model.joblib"
TABLES: Final = "tables.npz"
TREES: Final = "trees.npz"
"""The model as flat arrays, where it is an ensemble of trees; what serves by default."""
CODE: Final = "code/inference.py"
MEMBERS: Final = (MANIFEST, ONNX, TREES, JOBLIB, TABLES, CODE)
REQUIRED_FILES: Final = (ONNX, TABLES)

ONNX_INPUT: Final = "features"
ONNX_PROBABILITIES: Final = "probabilities"

OTHER: Final = "other"
"""Last word of every vocabulary: what a value unknown to training becomes."""

GOLDEN_TOLERANCE: Final = 1e-5
"""Largest difference between an expected and an answered golden probability."""

_PROBABILITY_SUM_TOLERANCE: Final = 1e-4
_SHARE_SUM_TOLERANCE: Final = 1e-6

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probabilities = Annotated[tuple[float, ...], Field(min_length=len(CLASSES), max_length=len(CLASSES))]


class ManifestError(ValueError):
    """The manifest cannot be trusted; the message names the field, the value and the rule."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Feature(_Closed):
    """One input of the model, in the order of the matrix's columns."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Literal["number", "category"]
    vocabulary: tuple[str, ...] = ()
    default: float | str | None = None
    minimum: float | None = None
    maximum: float | None = None
    description: str

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.kind == "category":
            if not self.vocabulary or self.vocabulary[-1] != OTHER:
                raise ValueError(f"vocabulary of {self.name} must end with {OTHER!r}, it is {self.vocabulary}")
            if len(set(self.vocabulary)) != len(self.vocabulary):
                raise ValueError(f"vocabulary of {self.name} repeats a word: {self.vocabulary}")
            if self.default is not None and self.default not in self.vocabulary:
                raise ValueError(f"default {self.default!r} of {self.name} is not in its vocabulary")
        elif self.vocabulary:
            raise ValueError(f"{self.name} is a number and must have no vocabulary")
        elif isinstance(self.default, str):
            raise ValueError(f"default {self.default!r} of {self.name} must be a number")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} of {self.name} is above its maximum {self.maximum}")
        return self


class Training(_Closed):
    """What the model was trained on."""

    source: str
    first_week: int
    last_week: int
    baskets: Annotated[int, Field(ge=1)]
    households: Annotated[int, Field(ge=1)]

    @property
    def window(self) -> str:
        """The weeks as the registry shows them, such as 201701-201738."""
        return f"{self.first_week}-{self.last_week}"


class Histogram(_Closed):
    """How the training window's values fell into bins: what live values are compared with.

    Attributes:
        edges: Inner edges, ascending; bin i holds values v with edges[i - 1] <= v < edges[i]. Empty for a category,
            whose bins are the words of its vocabulary.
        shares: Share of the baskets in each bin.
    """

    edges: tuple[float, ...] = ()
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must ascend, they are {self.edges}")
        if self.edges and len(self.shares) != len(self.edges) + 1:
            raise ValueError(f"{len(self.edges)} edges make {len(self.edges) + 1} bins, shares has {len(self.shares)}")
        if abs(sum(self.shares) - 1.0) > _SHARE_SUM_TOLERANCE:
            raise ValueError(f"shares sum to {sum(self.shares):.6f}, not to 1")
        return self


class Reference(_Closed):
    """The training window, as drift sees it.

    Attributes:
        baskets: How many were counted.
        features: One histogram per feature, in the manifest's order.
        predictions: Share of each class among the model's answers, in the manifest's order.
    """

    baskets: Annotated[int, Field(ge=1)]
    features: tuple[Histogram, ...]
    predictions: Histogram


class GoldenRow(_Closed):
    """Ready features (category values as words) and the probabilities the model must answer."""

    instance: tuple[float | str, ...]
    probabilities: Probabilities


class GoldenBasket(_Closed):
    """Till lines of one basket and the probabilities the model must answer: proves lines -> features as well."""

    lines: Annotated[tuple[Line, ...], Field(min_length=1)]
    probabilities: Probabilities


def _check_number(where: str, feature: Feature, value: float | str) -> None:
    if isinstance(value, str):
        raise ValueError(f"{where}: {feature.name} must be a number, it is {value!r}")  # noqa: TRY004  # pydantic's way
    low = -math.inf if feature.minimum is None else feature.minimum
    high = math.inf if feature.maximum is None else feature.maximum
    if not low <= value <= high:
        raise ValueError(f"{where}: {feature.name} is {value}, allowed are {low} to {high}")


def _check_probabilities(where: str, probabilities: tuple[float, ...]) -> None:
    total = sum(probabilities)
    if abs(total - 1.0) > _PROBABILITY_SUM_TOLERANCE:
        raise ValueError(f"{where}: probabilities sum to {total:.6f}, not to 1")


class Manifest(_Closed):
    """The manifest; see the module."""

    protocol: Literal[3]
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    classes: tuple[str, ...]
    files: dict[str, Sha256]
    libraries: dict[str, str]
    training: Training
    reference: Reference
    metrics: dict[str, float]
    golden: Annotated[tuple[GoldenRow, ...], Field(min_length=8)]
    golden_baskets: tuple[GoldenBasket, ...] = ()
    git_sha: str
    created_at: str

    @field_validator("classes")
    @classmethod
    def _classes_in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != CLASSES:
            raise ValueError(f"classes must be {CLASSES} in this order, they are {value}")
        return value

    @field_validator("files")
    @classmethod
    def _files_are_named(cls, value: dict[str, str]) -> dict[str, str]:
        missing = [name for name in REQUIRED_FILES if name not in value]
        if missing:
            raise ValueError(f"no digest for {', '.join(missing)}; every member but {MANIFEST} has one")
        if MANIFEST in value:
            raise ValueError(f"{MANIFEST} cannot carry its own digest")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        repeated = [name for name, count in Counter(feature.name for feature in self.features).items() if count > 1]
        if repeated:
            raise ValueError(f"feature names repeat: {', '.join(repeated)}")
        self._check_reference()
        for number, row in enumerate(self.golden):
            self._check_instance(number, row.instance)
            _check_probabilities(f"golden[{number}]", row.probabilities)
        for number, basket in enumerate(self.golden_baskets):
            _check_probabilities(f"golden_baskets[{number}]", basket.probabilities)
        return self

    def _check_reference(self) -> None:
        if len(self.reference.features) != len(self.features):
            raise ValueError(
                f"reference has {len(self.reference.features)} histograms for {len(self.features)} features"
            )
        for feature, histogram in zip(self.features, self.reference.features, strict=True):
            if feature.kind == "category" and (histogram.edges or len(histogram.shares) != len(feature.vocabulary)):
                words = len(feature.vocabulary)
                raise ValueError(
                    f"reference of {feature.name} must have a share for each of {words} words and no edges"
                )
        if self.reference.predictions.edges or len(self.reference.predictions.shares) != len(self.classes):
            raise ValueError(f"reference.predictions must have a share for each of {len(self.classes)} classes")

    def _check_instance(self, number: int, instance: tuple[float | str, ...]) -> None:
        if len(instance) != len(self.features):
            raise ValueError(f"golden[{number}] has {len(instance)} values for {len(self.features)} features")
        for feature, value in zip(self.features, instance, strict=True):
            if feature.kind == "category" and value not in feature.vocabulary:
                raise ValueError(f"golden[{number}]: {value!r} is not in the vocabulary of {feature.name}")
            if feature.kind == "number":
                _check_number(f"golden[{number}]", feature, value)

    def to_json(self) -> bytes:
        """The manifest as bytes; equal manifests give equal bytes."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Reads and checks a manifest.

        Raises:
            ManifestError: Not JSON, another protocol, or a field against the rules; all findings are listed.
        """
        try:
            document = json.loads(raw)
        except ValueError as err:
            raise ManifestError(f"{MANIFEST} is not JSON: {err}") from err
        protocol = document.get("protocol") if isinstance(document, dict) else None
        if type(protocol) is not int or protocol != PROTOCOL:
            raise ManifestError(
                f"{MANIFEST} has protocol {protocol!r}, this release reads protocol {PROTOCOL}; "
                "use a predictor of the release that trained the model, or train it again"
            )
        try:
            return cls.model_validate_json(raw)
        except ValidationError as err:
            findings = "; ".join(
                f"{'.'.join(str(part) for part in finding['loc']) or MANIFEST}: {finding['msg']}"
                for finding in err.errors(include_url=False)
            )
            raise ManifestError(f"{MANIFEST} is not valid: {findings}") from err
