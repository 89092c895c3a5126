"""The evaluation JSON that a model package names (`ModelMetrics.ModelQuality.Statistics`), read again at every poll.

A later evaluation job that overwrites the object changes the metrics of a version being served. Each read asks S3 with
the ETag it knows, so that an unchanged document costs one 304. Called by `sagemaker`, in its thread.

Two shapes are understood: SageMaker's model quality (`{"multiclass_classification_metrics": {"accuracy": {"value":
0.8, …}}}`, `binary_…` and `regression_metrics` too) and a flat one (`{"accuracy": 0.8}`). Names are taken as written,
numbers digit by digit; what is neither a number nor has a `value` is no metric.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from psm_operator.adapters.aws import AwsClients
from psm_operator.adapters.roles import RoleNotAssumable
from psm_operator.adapters.s3_trouble import ENDPOINT, ObjectUrl, Search
from psm_operator.adapters.trouble import AWS_ERRORS, code_of
from psm_operator.values import GroupRef

MAX_BYTES: Final = 1024 * 1024
"""A model-quality document of three classes has about 6 KiB."""

MAX_METRICS: Final = 256
"""Per document; more is not a list of a model's metrics, and all of them are kept in memory."""

MAX_NAME: Final = 128
MAX_TEXT: Final = 64
"""Characters of a metric's name and of its value, as in customer metadata; a float64 has at most 25."""

REMEMBERED: Final = 2048
"""Documents kept for their ETag; the one not asked for longest goes first."""

ROOTS: Final = ("multiclass_classification_metrics", "binary_classification_metrics", "regression_metrics")

NOT_MODIFIED: Final = "304"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a document says.

    Attributes:
        metrics: metric name -> number as written.
        error: why it could not be read, with what to do; empty if it could.
        is_away: S3 did not answer.
    """

    metrics: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    error: str = ""
    is_away: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A document as it was at one ETag."""

    etag: str
    evaluation: Evaluation


class Number(str):
    """A JSON number, digit by digit: a float would change it."""

    __slots__ = ()


class DocumentError(ValueError):
    """The document is not what it should be."""


class EvaluationReader:
    """Reads evaluation documents; thread-safe.

    Args:
        remembered: how many documents are kept.
    """

    def __init__(self, clients: AwsClients, *, remembered: int = REMEMBERED) -> None:
        self._clients = clients
        self._remembered = remembered
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str, str], Known] = OrderedDict()

    def read_all(self, urls: Iterable[str], group: GroupRef) -> dict[str, Evaluation]:
        """Every document as it is now, by URL.

        Where S3 does not answer, the rest of the group's are not asked for: a poll must not wait for each of them.
        """
        found: dict[str, Evaluation] = {}
        away: Evaluation | None = None
        for url in urls:
            found[url] = away or self.read(url, group)
            away = found[url] if found[url].is_away else None
        return found

    def read(self, url: str, group: GroupRef) -> Evaluation:
        """The document as it is now; every outcome is an answer."""
        where = ObjectUrl.parse(url)
        if where is None:
            return Evaluation(error=f"evaluation {url!r} is not s3://bucket/key; register the model again")
        try:
            client = self._clients.client("s3", group.region, group.role_arn)
        except AWS_ERRORS as err:
            return Evaluation(error=f"no S3 client for region {group.region}: {err}; check spec.registry.region")
        key = (url, group.region, group.role_arn)
        with self._lock:
            known = self._known.get(key)
        fresh = self._fetch(Search(client, where, group.region, "evaluation", "run the evaluation again"), known)
        if isinstance(fresh, Evaluation):
            return fresh
        with self._lock:
            self._known[key] = fresh
            self._known.move_to_end(key)
            while len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return fresh.evaluation

    def _fetch(self, search: Search, known: Known | None) -> Known | Evaluation:
        """What is there now, or why that is not known."""
        condition = {"IfNoneMatch": known.etag} if known is not None else {}
        try:
            answer = search.client.get_object(Bucket=search.url.bucket, Key=search.url.key, **condition)
            with closing(answer["Body"]) as body:  # as a context it would be the bare stream, with errors of its own
                size = int(answer["ContentLength"])
                content = body.read() if size <= MAX_BYTES else b""
        except (*AWS_ERRORS, RoleNotAssumable) as err:
            if known is not None and code_of(err) == NOT_MODIFIED:
                return known
            complaint = search.complaint(err)
            return Evaluation(error=complaint.text, is_away=complaint.about == ENDPOINT)
        if size > MAX_BYTES:
            error = f"evaluation {search.url} has {size} bytes, {MAX_BYTES} are allowed; write the metrics alone"
            return Known(answer["ETag"], Evaluation(error=error))
        return Known(answer["ETag"], parse_evaluation(content, str(search.url)))


def parse_evaluation(content: bytes, url: str) -> Evaluation:
    """Read one document.

    Args:
        content: JSON.
        url: where it lies; named in the error.
    """
    try:
        document = json.loads(content, parse_float=Number, parse_int=Number, parse_constant=Number)
        return Evaluation(MappingProxyType(_metrics_in(document)))
    except (ValueError, RecursionError) as err:
        why = str(err) if not isinstance(err, RecursionError) else "it is nested too deeply"
        return Evaluation(error=f"evaluation {url} cannot be read: {why}; run the evaluation again")


def _metrics_in(document: Any) -> dict[str, str]:
    if not isinstance(document, dict):
        raise DocumentError("it is no JSON object")
    roots = [document[root] for root in ROOTS if isinstance(document.get(root), dict)]
    found = {name: text for part in roots or [document] for name, text in _numbers(part)}
    if not found:
        raise DocumentError('it holds no metric such as "accuracy": 0.8')
    if len(found) > MAX_METRICS:
        raise DocumentError(f"it holds {len(found)} metrics, {MAX_METRICS} are allowed")
    return found


def _numbers(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A number by itself or as `value`; under `value` SageMaker also writes texts such as "NaN", which are kept."""
    found = []
    for name, value in part.items():
        text = value.get("value") if isinstance(value, dict) else value if isinstance(value, Number) else None
        if isinstance(text, str) and len(name) <= MAX_NAME and len(text) <= MAX_TEXT:
            found.append((name, str(text)))
    return found
