"""Asks a serving model its own golden questions over HTTP: `psm-train smoke`.

A pod asked itself the same before it became ready. What is proven here is the way to it: address, Ingress, Service, and
that the version behind them is the one that was registered.
"""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from psm_contract.manifest import GOLDEN_TOLERANCE, MANIFEST, Manifest
from psm_training.archive import unpack
from psm_training.errors import PipelineError

REQUEST_LIMIT_S: Final = 10.0
POLL_S: Final = 1.0
PASSING: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})
"""What an Ingress answers while it does not know the pods yet."""


class NotYetError(Exception):
    """The model does not answer, or another version does; that may end by itself."""


@dataclass(frozen=True)
class Served:
    """Where a model serves.

    Attributes:
        url: Without /predict.
        host: Host header, where the URL is an address.
    """

    url: str
    host: str | None = None

    def ask(self, path: str, body: Any = None) -> Any:
        """One request; the JSON of its answer.

        Raises:
            NotYetError: It may be answered later.
            PipelineError: It is refused.
        """
        headers = {"Content-Type": "application/json", **({"Host": self.host} if self.host else {})}
        address = f"{self.url.rstrip('/')}{path}"
        if not address.startswith(("http://", "https://")):
            raise PipelineError(f"{self.url!r} is no address; write it like http://localhost:8080")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, headers)  # noqa: S310  # http or https, see above
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S) as answer:  # noqa: S310  # as above
                return json.loads(answer.read())
        except urllib.error.HTTPError as err:
            with err:
                said = err.read(500).decode(errors="replace")
            if err.code in PASSING:
                raise NotYetError(f"{path} answers {err.code}: {said}") from err
            raise PipelineError(f"{address} answers {err.code}: {said}") from err
        except (OSError, ValueError) as err:
            raise NotYetError(f"{address} does not answer: {err}") from err


@dataclass(frozen=True)
class Smoke:
    """What was found.

    Attributes:
        version: That serves.
        asked: Requests.
        largest_difference: Between an expected and an answered probability.
        slowest_ms: The slowest request.
    """

    version: int
    asked: int
    largest_difference: float
    slowest_ms: float


def smoke(
    archive: bytes, served: Served, *, version: int | None = None, limit_s: float, pause: Callable[[float], None]
) -> Smoke:
    """Returns what was found when the archive's model serves and answers as its manifest says.

    Args:
        archive: model.tar.gz.
        served: Where it should serve.
        version: That must serve it; the same archive may be registered more than once.
        limit_s: Seconds until it must.
        pause: Lets seconds pass.

    Raises:
        PipelineError: Another model serves, nothing does, or an answer differs.
    """
    sha256 = hashlib.sha256(archive).hexdigest()
    manifest = Manifest.from_json(unpack(archive)[MANIFEST])
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return _judge(manifest, sha256, version, served)
        except NotYetError as err:
            if time.monotonic() + POLL_S > deadline:
                raise PipelineError(f"after {limit_s:.0f} s: {err}") from err
        pause(POLL_S)


def _judge(manifest: Manifest, sha256: str, version: int | None, served: Served) -> Smoke:
    model = served.ask("/model")
    if model["sha256"] != sha256 or version not in (None, model["version"]):
        wanted = f"sha256 {sha256[:12]}…" if version is None else f"version {version}, sha256 {sha256[:12]}…"
        raise NotYetError(
            f"{served.url} serves version {model['version']}, sha256 {model['sha256'][:12]}…, not {wanted}"
        )
    asked, largest, slowest = 0, 0.0, 0.0
    for path, body, expected in _questions(manifest):
        began = time.monotonic()
        answer = served.ask(path, body)
        slowest = max(slowest, time.monotonic() - began)
        asked += 1
        if answer["model_version"] != model["version"]:
            raise NotYetError(f"version {answer['model_version']} answered, not {model['version']}")
        largest = max(largest, _difference(manifest.classes, answer, expected))
    if largest > GOLDEN_TOLERANCE:
        raise PipelineError(
            f"version {model['version']} answers other than its archive says: a probability is {largest:.6f} off, "
            f"allowed are {GOLDEN_TOLERANCE}"
        )
    return Smoke(model["version"], asked, largest, round(slowest * 1000, 1))


def _questions(manifest: Manifest) -> Iterator[tuple[str, Any, Sequence[Sequence[float]]]]:
    """Path, body and the probabilities that must be answered."""
    names = [feature.name for feature in manifest.features]
    rows = [dict(zip(names, row.instance, strict=True)) for row in manifest.golden]
    yield "/predict", {"instances": rows}, [row.probabilities for row in manifest.golden]
    for basket in manifest.golden_baskets:
        yield "/predict", {"lines": [dict(line) for line in basket.lines]}, [basket.probabilities]


def _difference(classes: Sequence[str], answer: Any, expected: Sequence[Sequence[float]]) -> float:
    predictions = answer.get("predictions", [answer])
    if len(predictions) != len(expected):
        raise PipelineError(f"{len(expected)} answers were expected, {len(predictions)} came")
    return max(
        abs(float(prediction["probabilities"][name]) - probability)
        for prediction, row in zip(predictions, expected, strict=True)
        for name, probability in zip(classes, row, strict=True)
    )
