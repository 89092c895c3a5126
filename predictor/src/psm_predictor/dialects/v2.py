"""POST /v2/models/{name}/infer: the Open Inference Protocol over HTTP, with the binary tensor extension.

Inputs are one tensor "features" (categories as the numbers of their words), or one tensor per feature (categories as
words). Outputs are "probabilities" and "label". The protocol: https://github.com/kserve/open-inference-protocol; the
extension: extension_binary_data.md in Triton's documentation.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from psm_contract.cells import LONGEST
from psm_contract.manifest import Feature
from psm_contract.schema import TEXT_PATTERN
from psm_predictor.answer import Head, Question, Reply
from psm_predictor.dialects.tensors import BYTES, Input, Tensor, packed_texts
from psm_predictor.errors import RequestError
from psm_predictor.model import Matrix, Model
from psm_predictor.request import DECODE_ERRORS, RequestSchemas
from psm_predictor.rows import CountUnknown, encoded_default, meaning, word_codes
from psm_predictor.schema import FLOAT32_MAX
from psm_predictor.settings import PackageRef, RequestLimits
from psm_predictor.telemetry import V2_INFER, route_number

FEATURES: Final = "features"
PROBABILITIES: Final = "probabilities"
LABEL: Final = "label"
OUTPUTS: Final = (PROBABILITIES, LABEL)
LONGEST_ID: Final = 128
JSON_LENGTH: Final = b"inference-header-content-length"
_JSON: Final = ((b"content-type", b"application/json"),)
_BINARY: Final = (b"content-type", b"application/octet-stream")
_MANY_DIMENSIONS: Final = 2
TEXT: Final = re.compile(TEXT_PATTERN.removeprefix("^").removesuffix("$"))


class _OutputParameters(msgspec.Struct, gc=False):
    binary_data: bool | None = None
    classification: Any = None
    shared_memory_region: Any = None


class _Wanted(msgspec.Struct, gc=False):
    name: str
    parameters: _OutputParameters | None = None


class _RequestParameters(msgspec.Struct, gc=False):
    binary_data_output: bool = False


class _Request(msgspec.Struct, gc=False):
    inputs: list[Input]
    id: Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] | None = None
    parameters: _RequestParameters | None = None
    outputs: list[_Wanted] | None = None


class _Output(msgspec.Struct, gc=False, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class _Response(msgspec.Struct, gc=False):
    model_name: str
    model_version: str
    id: str
    outputs: list[_Output]


class V2Question(Question, gc=False):
    """A decoded inference request; `outputs` are the names wanted and whether each is wanted as bytes."""

    outputs: tuple[tuple[str, bool], ...]


class V2Dialect:
    """The dialect of the Open Inference Protocol."""

    route: Final = route_number(V2_INFER)
    hint: Final = "POST an inference request; GET /docs shows how"
    in_thread: Final = False

    def __init__(self, package: PackageRef, limits: RequestLimits) -> None:
        self._package = package
        self._most = limits.instances

    def codec(self, model: Model, _schemas: RequestSchemas, count_unknown: CountUnknown) -> "V2Codec":
        """Its bodies for the model."""
        return V2Codec(model, count_unknown, self._package, most=self._most)

    def refusal(self, err: RequestError) -> bytes:
        """As the protocol has it."""
        return msgspec.json.encode({"error": err.detail})


class V2Codec:
    """Bodies of inference requests for one model."""

    def __init__(self, model: Model, count_unknown: CountUnknown, package: PackageRef, *, most: int) -> None:
        self._request = msgspec.json.Decoder(_Request).decode
        self._columns = _Columns(model.manifest.features, count_unknown, most)
        self._classes = model.manifest.classes
        self._packed = packed_texts(self._classes)
        self._name = package.group
        self._version = str(package.version)
        self._encode = msgspec.json.Encoder().encode

    def decode(self, body: bytes, head: Head) -> V2Question:
        """The baskets; raises RequestError 400."""
        document, binary = _split(body, head.headers.get(JSON_LENGTH))
        try:
            request = self._request(document)
            matrix = self._columns.matrix(_tensors(request.inputs, binary))
        except DECODE_ERRORS as err:
            raise _refused(f"the body is not an inference request: {err}") from err
        return V2Question(matrix, request.id or head.request_id, _wanted(request))

    def encode(self, question: V2Question, probabilities: Matrix, labels: Sequence[int]) -> Reply:
        """The wanted outputs, in the wanted order; bytes follow the JSON document."""
        rows, classes = probabilities.shape
        outputs: list[_Output] = []
        tail: list[bytes] = []
        for name, as_bytes in question.outputs:
            is_label = name == LABEL
            output = _Output(name, BYTES, [rows]) if is_label else _Output(name, "FP32", [rows, classes])
            if as_bytes:
                raw = b"".join(self._packed[label] for label in labels) if is_label else _little_endian(probabilities)
                output.parameters = {"binary_data_size": len(raw)}
                tail.append(raw)
            else:
                names = self._classes
                output.data = [names[label] for label in labels] if is_label else probabilities.ravel().tolist()
            outputs.append(output)
        document = self._encode(_Response(self._name, self._version, question.request_id, outputs))
        if not tail:
            return Reply(document, _JSON)
        return Reply(b"".join((document, *tail)), (_BINARY, (JSON_LENGTH, b"%d" % len(document))))


def _refused(text: str) -> RequestError:
    return RequestError(400, text, "validation")


def _little_endian(matrix: Matrix) -> bytes:
    return matrix.astype("<f4", copy=False).tobytes()


def _split(body: bytes, length: bytes | None) -> tuple[bytes, memoryview]:
    """The JSON document and the bytes after it."""
    if length is None:
        return body, memoryview(b"")
    if not length.isdigit() or int(length[:20]) > len(body):
        raise _refused(f"{JSON_LENGTH.decode()} must be the length of the JSON in the body of {len(body)} bytes")
    end = int(length)
    return body[:end], memoryview(body)[end:]


def _tensors(inputs: Sequence[Input], binary: memoryview) -> dict[str, Tensor]:
    """The inputs by name, each with its share of the bytes."""
    tensors: dict[str, Tensor] = {}
    at = 0
    for given in inputs:
        size = given.parameters.binary_data_size if given.parameters else None
        if size is None:
            tensor = Tensor(given, None)
        else:
            tensor = Tensor(given, binary[at : at + size])
            at += size
        if given.name in tensors:
            raise tensor.wrong("is there twice")
        tensors[given.name] = tensor
    if at != len(binary):
        raise _refused(f"the inputs' binary_data_size add up to {at} bytes, {len(binary)} bytes follow the JSON")
    return tensors


def _wanted(request: _Request) -> tuple[tuple[str, bool], ...]:
    """Names of the outputs, and whether as bytes: the output's own word counts before the request's."""
    as_bytes = request.parameters is not None and request.parameters.binary_data_output
    if not request.outputs:
        return tuple((name, as_bytes) for name in OUTPUTS)
    wanted: dict[str, bool] = {}
    for output in request.outputs:
        own = output.parameters or _OutputParameters()
        if output.name not in OUTPUTS or output.name in wanted:
            raise _refused(f"output {output.name[:100]!r} is unknown or there twice, outputs are {', '.join(OUTPUTS)}")
        if own.classification is not None or own.shared_memory_region is not None:
            raise _refused(f"output {output.name!r}: the extensions classification and shared memory are not supported")
        wanted[output.name] = as_bytes if own.binary_data is None else own.binary_data
    return tuple(wanted.items())


class _Columns:
    """Tensors -> the model's input matrix."""

    def __init__(self, features: Sequence[Feature], count_unknown: CountUnknown, most: int) -> None:
        self._features = tuple(features)
        self._most = most
        self._count_unknown = count_unknown
        self._defaults = [encoded_default(feature) for feature in features]
        self._categories = [number for number, feature in enumerate(features) if feature.kind == "category"]
        self._sources = {column: source for source, column in enumerate(self._categories, start=1)}
        self._codes = {column: word_codes(self._features[column]) for column in self._categories}
        bounds = [_bounds(feature) for feature in features]
        self._low = np.array([low for low, _ in bounds])
        self._high = np.array([high for _, high in bounds])
        self._filled = np.array(
            [math.nan if feature.default is None else encoded_default(feature) for feature in features]
        )
        self._longest = {
            column: max(LONGEST, *map(len, self._features[column].vocabulary)) for column in self._categories
        }

    def matrix(self, tensors: Mapping[str, Tensor]) -> Matrix:
        """[n, features], within every feature's bounds; raises RequestError 400."""
        if not tensors:
            raise _refused(f"inputs is empty; send {FEATURES!r}, or a tensor for each feature")
        rows = next(iter(tensors.values())).shape[0]
        if rows > self._most:
            raise _refused(f"{rows} baskets are too many, the limit is {self._most}")
        return self._from_one(tensors) if FEATURES in tensors else self._from_columns(tensors, rows)

    def _from_one(self, tensors: Mapping[str, Tensor]) -> Matrix:
        tensor = tensors[FEATURES]
        if len(tensors) > 1:
            raise tensor.wrong("holds every feature, so it must be the only input")
        if len(tensor.shape) != _MANY_DIMENSIONS or tensor.shape[1] != len(self._features):
            raise tensor.wrong(f"has shape {tensor.shape}, expected [n, {len(self._features)}]")
        matrix = self._within(tensor.numbers().reshape(tensor.shape))
        codes = matrix[:, self._categories]
        if (codes != np.floor(codes)).any():
            raise tensor.wrong("must have whole numbers for categories: places in the vocabulary, see GET /model")
        return matrix

    def _from_columns(self, tensors: Mapping[str, Tensor], rows: int) -> Matrix:
        matrix = np.empty((rows, len(self._features)))
        left = dict(tensors)
        for column, feature in enumerate(self._features):
            tensor = left.pop(feature.name, None)
            if tensor is None:
                if feature.default is None:
                    raise _refused(f"input {feature.name!r} is required and was left out")
                matrix[:, column] = self._defaults[column]
                continue
            if tensor.shape not in ([rows], [rows, 1]):
                raise tensor.wrong(f"has shape {tensor.shape}, expected [{rows}] or [{rows}, 1] like the first input")
            matrix[:, column] = tensor.numbers() if feature.kind == "number" else self._coded(column, tensor)
        if left:
            raise next(iter(left.values())).wrong("is not a feature; GET /model lists them")
        return self._within(matrix)

    def _coded(self, column: int, tensor: Tensor) -> list[float]:
        codes = self._codes[column]
        return [self._looked_up(column, word, tensor) if (code := codes.get(word)) is None else code
                for word in tensor.words()]  # fmt: skip

    def _looked_up(self, column: int, word: str, tensor: Tensor) -> float:
        """As in `rows.RowWriter`: a word with blanks around it, missing, or unknown to training."""
        if len(word) > self._longest[column] or TEXT.fullmatch(word) is None:
            raise tensor.wrong(f"has a word with a control character or more than {self._longest[column]} characters")
        plain = meaning(word)
        if plain is None:
            return float(self._filled[column])
        code = self._codes[column].get(plain)
        if code is None:
            self._count_unknown(self._sources[column])
            return len(self._features[column].vocabulary) - 1.0
        return code

    def _within(self, matrix: NDArray[np.float64]) -> Matrix:
        """The model's input: NaN is a value that was left out."""
        missing = np.isnan(matrix)
        if missing.any():
            matrix = np.where(missing, self._filled, matrix)
        within = (matrix >= self._low) & (matrix <= self._high)  # false for NaN as well
        if within.all():
            return matrix.astype(np.float32)
        row, column = np.argwhere(~within)[0].tolist()
        low, high, value = self._low[column], self._high[column], matrix[row, column]
        name = self._features[column].name
        raise _refused(f"{name} of basket {row} is {value:g}, allowed are {low:g} to {high:g}")


def _bounds(feature: Feature) -> tuple[float, float]:
    if feature.kind == "category":
        return 0.0, len(feature.vocabulary) - 1.0
    low = -FLOAT32_MAX if feature.minimum is None else feature.minimum
    return low, FLOAT32_MAX if feature.maximum is None else feature.maximum
