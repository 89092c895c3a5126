"""How good a served version is on live traffic: logged predictions joined with labels -> document -> registry.

What is written makes the operator act: psm.live.<metric> of the package is the newest word on a metric, and a version
that serves is judged by it at every poll. Writing the same again changes nothing.
"""

import glob
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from psm_contract.metadata import LIVE_EVALUATION, LIVE_PREFIX, format_metric
from psm_contract.quality import Floats
from psm_training.errors import PipelineError
from psm_training.live_predictions import Joined, join, read_labels
from psm_training.registry import ModelRegistry
from psm_training.report import DRAWS, ROOT, document_of, metrics_of

LEAST_LABELS: Final = 200
"""The 95 % interval of an accuracy of 0.78 is then 0.06 to either side."""

RECORDED: Final = ("accuracy", "macro_f1", "precision_min_class")
"""What training registers too, so that every version has it and a gate can ask for it."""

Connect = Callable[[], ModelRegistry]


@dataclass(frozen=True)
class LiveOrder:
    """What is to be evaluated.

    Attributes:
        predictions: Path or s3:// address, maybe with wildcards, of a predictor's log.
        labels: Likewise, of what the baskets turned out to be.
        group: Model package group.
        version: Of the model; None: the newest that was logged.
        least_labels: Fewer are refused.
        write: Whether the registry is told.
    """

    predictions: str
    labels: str
    group: str
    version: int | None = None
    least_labels: int = LEAST_LABELS
    write: bool = False


def evaluate_live(order: LiveOrder, connect: Connect) -> dict[str, Any]:
    """Evaluates, and writes if told to.

    Args:
        order: What.
        connect: Makes the registry's client; called only where S3 or the registry is needed.

    Returns:
        The metrics, what was counted, and what was written.

    Raises:
        PipelineError: Too few labels match, or something cannot be read or written.
    """
    with _local(order.labels, connect) as files:
        labels = read_labels(files, order.group)
    with _local(order.predictions, connect) as files:
        joined = join(files, labels, group=order.group, version=order.version)
    matched = joined.counts["matched"]
    if matched < max(order.least_labels, 1):
        raise PipelineError(
            f"{matched} labels match a prediction of version {joined.version}, {order.least_labels} are needed for a "
            f"judgement ({_told(joined.counts)}); wait for more, or lower --min-labels"
        )
    document = live_document(joined)
    result = {
        "version": joined.version,
        "metrics": recorded_metrics(document),
        "accuracy_interval_95": document[ROOT]["accuracy"]["confidence_interval_95"],
        "counts": joined.counts,
        "kpis_met": document["kpis_met"],
    }
    return {**result, "written": _write(order, joined.version, document, connect()) if order.write else None}


def live_document(joined: Joined) -> dict[str, Any]:
    """The evaluation document; the same joined baskets give the same."""
    document = document_of(joined.confusion, _bootstrap(joined.confusion))
    live = {"model_version": joined.version, "first": joined.first, "last": joined.last, **joined.counts}
    return {**document, "live": live}


def recorded_metrics(document: dict[str, Any]) -> dict[str, float]:
    """What the registry is told, by bare name; accuracy_upper is for gates that act only on what is sure."""
    metrics = metrics_of(document)
    upper: float = document[ROOT]["accuracy_upper"]["value"]
    return {name: metrics[name] for name in RECORDED} | {"accuracy_upper": upper}


def live_properties(document: dict[str, Any], url: str) -> dict[str, str]:
    """Customer metadata of an evaluation that lies at `url`."""
    metrics = {LIVE_PREFIX + name: format_metric(value) for name, value in recorded_metrics(document).items()}
    return metrics | {LIVE_EVALUATION: url}


def _write(order: LiveOrder, version: int, document: dict[str, Any], registry: ModelRegistry) -> dict[str, Any]:
    """First the document, then the metadata that points to it: who reads the one finds the other."""
    package = registry.find(order.group, str(version))
    content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
    url = f"{registry.folder(package)}/live/{hashlib.sha256(content).hexdigest()[:16]}.json"
    registry.put(url, content, "application/json")
    properties = live_properties(document, url)
    return {"arn": package.arn, "properties": properties, "changed": registry.add_properties(package, properties)}


def _bootstrap(confusion: Floats) -> Floats:
    """Confusions of samples of baskets drawn with replacement, [draws, actual, predicted].

    The log knows no households, so baskets are drawn: where households buy often, the interval is too narrow.
    """
    baskets = int(confusion.sum())
    drawn = np.random.default_rng(0).multinomial(baskets, confusion.ravel() / baskets, size=DRAWS)
    return drawn.reshape(DRAWS, *confusion.shape).astype(np.float64)


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())


@contextmanager
def _local(where: str, connect: Connect) -> Iterator[Iterator[Path]]:
    """The files of a path or an s3:// address with wildcards; objects are brought here one at a time."""
    if not where.startswith("s3://"):
        paths = sorted(glob.glob(where, recursive=True))  # noqa: PTH207  # the pattern may be absolute
        if not paths:
            raise PipelineError(f"no file matches {where}")
        yield (Path(path) for path in paths)
        return
    registry = connect()
    urls = registry.objects(where)
    if not urls:
        raise PipelineError(f"no object matches {where}")
    with tempfile.TemporaryDirectory(prefix="psm-live-") as folder:
        yield _downloads(urls, Path(folder), registry)


def _downloads(urls: list[str], folder: Path, registry: ModelRegistry) -> Iterator[Path]:
    for url in urls:
        path = folder / url.rpartition("/")[2]
        registry.download(url, path)
        yield path
        path.unlink()
