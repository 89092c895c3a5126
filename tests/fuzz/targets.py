"""What is fuzzed: each target takes any bytes and must come back; whatever it raises is a bug.

Used by `python -m fuzz` with atheris, and with the seeds and some random bytes by tests/unit/predictor/test_predictor_fuzz.py.
A target is made once and called millions of times, so it keeps what it can and writes nothing but its one file.
"""

import json
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from artifacts import make_artifact
from fuzz.connections import connection_target
from fuzz.packing import gzipped, npz_of, sound_ensemble

from psm_contract.features import feature_schema
from psm_contract.manifest import Manifest, ManifestError
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble
from psm_predictor.answer import Answerer, Head
from psm_predictor.artifact.archive import read_archive
from psm_predictor.artifact.fetch import fetch
from psm_predictor.artifact.load import load
from psm_predictor.artifact.verify import VerifiedArtifact, verify
from psm_predictor.counters import CounterBlock
from psm_predictor.dialects import dialects
from psm_predictor.engines.trees import TreesEngine
from psm_predictor.errors import ArtifactError, RequestError
from psm_predictor.guard import guard_of
from psm_predictor.model import Matrix, Model
from psm_predictor.request import RequestSchemas
from psm_predictor.requestlog import trace_of
from psm_predictor.settings import ArchiveLimits, GuardSettings, PackageRef, RequestLimits
from psm_predictor.telemetry import Recorder

Target = Callable[[bytes], None]

SEEDS: Final = Path(__file__).parent / "seeds"
_LIMITS: Final = RequestLimits(instances=20, lines=20)
_CLIENT_FAULT: Final = range(400, 500)
_TYPES: Final = (
    b"application/json",
    b"application/jsonlines",
    b"text/csv",
    b"text/csv; header=present",
    b"application/x-ndjson; charset=utf-8",
    b"*/*",
)


@cache
def _verified() -> VerifiedArtifact:
    with tempfile.TemporaryDirectory() as folder:
        artifact = make_artifact(Path(folder))
        package = PackageRef(artifact.url, artifact.sha256, "arn:x", 1)
        return verify(fetch(package, cache_dir=Path(folder), limit_bytes=1 << 30), ArchiveLimits())


@cache
def _model() -> Model:
    return load(_verified(), "auto")


class _Watchful:
    """An engine that lets no number through that the kernel does not expect."""

    name = "watchful"

    def __init__(self, model: Model) -> None:
        self._engine = model.engine
        self._columns = len(model.manifest.features)

    def __call__(self, features: Matrix) -> Matrix:
        assert features.dtype == np.float32, features.dtype
        assert features.shape[1] == self._columns, features.shape
        assert np.isfinite(features).all(), features
        return self._engine(features)


def _answering(path: str) -> Callable[[bytes, Head], None]:
    model = _model()
    package = PackageRef("file:///x", "0" * 64, "arn:aws:sagemaker:r:1:model-package/group/1", 1)
    spoken = dialects(package, _LIMITS, "")
    dialect = spoken.paths[path]
    watched = Model(manifest=model.manifest, tables=model.tables, engine=_Watchful(model), trees=model.trees)
    schemas = RequestSchemas(model.manifest.features, _LIMITS)
    answerer = Answerer(watched, spoken.spoken, schemas, Recorder(CounterBlock(1).row(0)))

    def answer(body: bytes, head: Head) -> None:
        refused: RequestError | None = None
        try:
            assert answerer.answer(dialect, body, head).body
        except RequestError as err:
            refused = err
        if refused is not None:
            assert refused.status in _CLIENT_FAULT, refused
            json.loads(dialect.refusal(refused))

    return answer


def predict() -> Target:
    """Bodies of /predict."""
    answer = _answering("/predict")
    return lambda data: answer(data, Head("id"))


def invocations() -> Target:
    """Bodies of /invocations; the first byte chooses content type and accepted type."""
    answer = _answering("/invocations")

    def run(data: bytes) -> None:
        choice = data[0] if data else 0
        asked, accepted = _TYPES[choice % len(_TYPES)], _TYPES[choice // len(_TYPES) % len(_TYPES)]
        answer(data[1:], Head("id", {b"content-type": asked, b"accept": accepted}))

    return run


def infer() -> Target:
    """Bodies of the Open Inference Protocol; the first two bytes say how many of the others are JSON, if not zero."""
    answer = _answering("/v2/models/group/infer")

    def run(data: bytes) -> None:
        size = int.from_bytes(data[:2], "little")
        answer(data[2:], Head("id", {b"inference-header-content-length": b"%d" % size} if size else {}))

    return run


def archive() -> Target:
    """model.tar.gz: an even first byte gives the bytes as they are, an odd one packs them, to reach the tar reader."""
    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "model.tar.gz"
    limits = ArchiveLimits(unpacked_bytes=1 << 20, files=8)

    def run(data: bytes) -> None:
        raw = gzipped(data[1:]) if data and data[0] % 2 else data[1:]
        path.write_bytes(raw)
        try:
            members = read_archive(path, limits, keep=("a",)).members
        except ArtifactError:
            return
        if not members:
            return  # tarfile calls an archive without members none at all
        with tarfile.open(fileobj=BytesIO(raw)) as tar:  # another reader sees the same files
            theirs = {info.name.removeprefix("./"): info.size for info in tar if info.isfile()}
        assert theirs.keys() == members.keys(), (theirs, members)

    return run


def manifest() -> Target:
    """manifest.json."""

    def run(data: bytes) -> None:
        try:
            read = Manifest.from_json(data)
        except (ManifestError, RecursionError):
            return
        assert Manifest.from_json(read.to_json()) == read

    return run


def tables() -> Target:
    """tables.npz: an even first byte gives the bytes as they are, an odd one changes arrays of sound ones."""
    sound = {name: getattr(Tables.from_npz(_verified().tables), name) for name in Tables.__dataclass_fields__}

    def run(data: bytes) -> None:
        raw = npz_of(sound, data[1:]) if data and data[0] % 2 else data[1:]
        try:
            read = Tables.from_npz(raw)
            feature_schema(read)
        except (ValueError, IndexError):
            return
        read.nodes([["PRD0900001", None], [None, "x"], [None, None], ["G00001", None]])

    return run


def _few_trees(ensemble: TreeEnsemble) -> TreeEnsemble:
    """The first two: small enough to be written thousands of times a second."""
    sizes = ensemble.sizes[:2]
    nodes, leaves = int(sizes.sum()), int((sizes + 1).sum()) // 2
    first = {name: getattr(ensemble, name)[:nodes] for name in ("feature", "threshold", "cover")}
    return replace(ensemble, sizes=sizes, value=ensemble.value[:leaves], **first)


def trees() -> Target:
    """trees.npz, and the kernel on whatever passes; the first byte chooses as for tables, three for a grown tree."""
    sound = _few_trees(TreeEnsemble.from_npz(_verified().trees or b""))
    arrays = {
        name: np.asarray(getattr(sound, name)) for name in ("sizes", "feature", "threshold", "cover", "value", "base")
    }
    arrays |= {"columns": np.array(sound.columns, np.int32), "softmax": np.array(sound.link == "softmax")}

    def run(data: bytes) -> None:
        choice = data[0] % 3 if data else 0
        try:
            if choice == 0:
                ensemble = TreeEnsemble.from_npz(data[1:])
            elif choice == 1:
                ensemble = TreeEnsemble.from_npz(npz_of(arrays, data[1:]))
            else:
                ensemble = sound_ensemble(data[1:])
        except ValueError:
            return
        raw = np.frombuffer((data * 64)[: 4 * ensemble.columns * 16].ljust(4 * ensemble.columns * 16, b"\1"), "<f4")
        matrix = np.nan_to_num(raw.reshape(16, ensemble.columns)).astype(np.float32)
        with np.errstate(all="ignore"):
            expected = ensemble.probabilities(matrix)
        for rows in (matrix[:1], matrix[:5], matrix):
            answered = TreesEngine(ensemble)(rows)
            np.testing.assert_allclose(answered, expected[: len(rows)], rtol=1e-3, atol=1e-3)

    return run


def heads() -> Target:
    """What is read of headers beside bodies: traces, keys, tokens."""
    guard = guard_of(GuardSettings(api_keys=("0" * 64,)), "/models/price")
    assert guard is not None

    def run(data: bytes) -> None:
        values = data.split(b"\n")
        named = (b"traceparent", b"x-api-key", b"authorization")
        headers: list[Any] = [(named[number % len(named)], value) for number, value in enumerate(values)]
        trace = trace_of(headers)
        assert trace_of([(b"traceparent", trace.traceparent.encode())]).trace_id == trace.trace_id
        refusal = guard.admit({"path": "/" + values[0].decode("latin-1"), "headers": headers})
        assert refusal is not None or values[0] in (b"healthz", b"health", b"readyz", b"metrics", b"ping")

    return run


TARGETS: Final[dict[str, Callable[[], Target]]] = {
    "predict": predict,
    "invocations": invocations,
    "infer": infer,
    "archive": archive,
    "manifest": manifest,
    "tables": tables,
    "trees": trees,
    "heads": heads,
    "connection": connection_target,
}
