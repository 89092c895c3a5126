"""The Open Inference Protocol without a process: what is taken, what is answered, what is refused."""

import json
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from loaded_model import INFER, PACKAGE, Desk, instance, model
from numpy.typing import NDArray

from psm_predictor.answer import Reply
from psm_predictor.errors import RequestError
from psm_predictor.openapi import add_hot_routes
from psm_predictor.rows import word_codes
from psm_predictor.settings import RequestLimits

LIMITS = RequestLimits(instances=4)
LENGTH = "inference-header-content-length"


@cache
def desk() -> Desk:
    return Desk(LIMITS)


def rows(count: int = 3) -> list[dict[str, Any]]:
    return [instance(number) for number in range(count)]


def features(count: int = 3, datatype: str = "FP32") -> dict[str, Any]:
    """The one tensor, categories as codes."""
    data = [
        word_codes(feature)[row[feature.name]] if feature.kind == "category" else row[feature.name]
        for row in rows(count)
        for feature in model().manifest.features
    ]
    return {"name": "features", "datatype": datatype, "shape": [count, len(data) // count], "data": data}


def columns(count: int = 3) -> list[dict[str, Any]]:
    """One tensor per feature, categories as words."""
    return [
        {
            "name": feature.name,
            "datatype": "FP64" if feature.kind == "number" else "BYTES",
            "shape": [count],
            "data": [row[feature.name] for row in rows(count)],
        }
        for feature in model().manifest.features
    ]


def column(name: str, **changes: Any) -> list[dict[str, Any]]:
    """All columns, one of them changed."""
    return [{**tensor, **changes} if tensor["name"] == name else tensor for tensor in columns()]


def ask(document: Any, tail: bytes = b"", **headers: str) -> Reply:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if tail:
        named.setdefault(LENGTH, str(len(raw)))
    return desk().ask(INFER, raw + tail, named)


def answer(document: Any, tail: bytes = b"") -> dict[str, Any]:
    reply = ask(document, tail)
    end = dict(reply.headers).get(LENGTH.encode(), b"%d" % len(reply.body))
    told: dict[str, Any] = json.loads(reply.body[: int(end)])
    return told


def refusal(document: Any, tail: bytes = b"", **headers: str) -> str:
    with pytest.raises(RequestError) as caught:
        ask(document, tail, **headers)
    assert caught.value.status == 400
    assert isinstance(caught.value.detail, str)
    return caught.value.detail


def predicted(count: int = 3) -> tuple[NDArray[np.float32], list[str]]:
    """What /predict says of the rows."""
    body = json.dumps({"instances": rows(count)}).encode()
    predictions = json.loads(desk().ask("/predict", body).body)["predictions"]
    probabilities = np.array([list(one["probabilities"].values()) for one in predictions], dtype=np.float32)
    return probabilities, [one["label"] for one in predictions]


def check(told: dict[str, Any], count: int = 3) -> None:
    probabilities, labels = predicted(count)
    first, second = told["outputs"]
    assert (first["name"], first["datatype"], first["shape"]) == ("probabilities", "FP32", [count, 3])
    np.testing.assert_array_equal(np.array(first["data"], dtype=np.float32).reshape(count, 3), probabilities)
    assert second == {"name": "label", "datatype": "BYTES", "shape": [count], "data": labels}


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("count", [1, 3])
def test_one_tensor_holds_all_features(count: int, datatype: str) -> None:
    """The same numbers as /predict, in the order of the rows."""
    told = answer({"inputs": [features(count, datatype)]})

    check(told, count)
    assert (told["model_name"], told["model_version"], told["id"]) == ("price-sensitivity", "7", "id-1")


@pytest.mark.parametrize("shape", [[3], [3, 1]], ids=str)
def test_or_every_feature_has_its_own(shape: list[int]) -> None:
    """Categories by their words, so that no client needs to know the vocabulary."""
    check(answer({"inputs": [{**tensor, "shape": shape} for tensor in columns()]}))


def test_data_may_be_nested_as_the_shape_says() -> None:
    """Row-major either way."""
    flat = features()
    width = flat["shape"][1]
    nested = {**flat, "data": [flat["data"][start : start + width] for start in range(0, 3 * width, width)]}

    check(answer({"inputs": [nested]}))
    check(answer({"inputs": [{**one, "shape": [3, 1], "data": [[v] for v in one["data"]]} for one in columns()]}))


@pytest.mark.parametrize("datatype", ["INT32", "INT64"])
def test_whole_numbers_may_be_integers(datatype: str) -> None:
    """As tables often have them."""
    whole = [int(row["items"]) for row in rows()]

    check(answer({"inputs": column("items", datatype=datatype, data=whole)}))


def test_optional_features_may_be_left_out() -> None:
    """They take the model's default, as in /predict."""
    optional = {feature.name for feature in model().manifest.features if feature.default is not None}
    least = [tensor for tensor in columns() if tensor["name"] not in optional]
    body = {"instances": [{name: value for name, value in row.items() if name not in optional} for row in rows()]}

    told = json.loads(desk().ask("/predict", json.dumps(body).encode()).body)

    assert answer({"inputs": least})["outputs"][1]["data"] == [one["label"] for one in told["predictions"]]


def test_unknown_words_count_as_other() -> None:
    """And are counted."""
    before = desk().unknown("store_format")

    answer({"inputs": column("store_format", data=["HYPER", "LS", "HYPER"])})

    assert desk().unknown("store_format") - before == 2


def test_the_requests_id_is_returned() -> None:
    """Before any header's; null is none."""
    assert answer({"id": "42", "inputs": [features()]})["id"] == "42"
    assert answer({"id": None, "inputs": [features()]})["id"] == "id-1"


def test_outputs_are_those_asked_for_in_that_order() -> None:
    """All where nothing is said."""

    def names(outputs: Any) -> list[str]:
        return [one["name"] for one in answer({"inputs": [features()], "outputs": outputs})["outputs"]]

    assert names([{"name": "label"}]) == ["label"]
    assert names([{"name": "label"}, {"name": "probabilities"}]) == ["label", "probabilities"]
    assert names(None) == names([]) == ["probabilities", "label"]


def binary(tensors: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bytes]:
    """The tensors with their data as bytes."""
    heads, parts = [], []
    for tensor in tensors:
        match tensor["datatype"]:
            case "BYTES":
                texts = [word.encode() for word in tensor["data"]]
                raw = b"".join(struct.pack("<I", len(text)) + text for text in texts)
            case datatype:
                raw = np.array(tensor["data"], dtype={"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}[datatype]).tobytes()
        heads.append({**tensor, "parameters": {"binary_data_size": len(raw)}, "data": None})
        parts.append(raw)
    return heads, b"".join(parts)


@pytest.mark.parametrize("tensors", [lambda: [features()], columns], ids=["one tensor", "one per feature"])
def test_inputs_may_be_bytes_after_the_document(tensors: Callable[[], list[dict[str, Any]]]) -> None:
    """Triton's binary tensor extension; null data is what some clients write beside it."""
    heads, tail = binary(tensors())

    check(answer({"inputs": heads}, tail))


def test_some_inputs_may_be_bytes_and_others_json() -> None:
    """Each tensor says for itself."""
    heads, tail = binary(columns()[:5])

    check(answer({"inputs": [*heads, *columns()[5:]]}, tail))


@pytest.mark.parametrize(
    ("parameters", "outputs", "as_bytes"),
    [
        ({"binary_data_output": True}, None, [True, True]),
        ({"binary_data_output": True}, [("label", False), ("probabilities", None)], [False, True]),
        (None, [("probabilities", True), ("label", False)], [True, False]),
        ({"binary_data_output": False}, [("label", True)], [True]),
    ],
)
def test_outputs_may_be_bytes_after_the_document(
    parameters: Any, outputs: list[tuple[str, bool | None]] | None, as_bytes: list[bool]
) -> None:
    """An output's own word counts before the request's."""
    wanted = [{"name": name, "parameters": {"binary_data": own}} for name, own in outputs or []]
    reply = ask({"inputs": [features()], "parameters": parameters, "outputs": wanted})

    headers = dict(reply.headers)
    assert headers[b"content-type"] == b"application/octet-stream"
    end = int(headers[LENGTH.encode()])
    tail = reply.body[end:]
    probabilities, labels = predicted()
    raw = {
        "probabilities": probabilities.astype("<f4").tobytes(),
        "label": b"".join(struct.pack("<I", len(word)) + word.encode() for word in labels),
    }
    told = json.loads(reply.body[:end])["outputs"]
    assert [one.get("parameters") for one in told] == [
        {"binary_data_size": len(raw[one["name"]])} if given else None
        for one, given in zip(told, as_bytes, strict=True)
    ]
    assert ["data" in one for one in told] == [not given for given in as_bytes]
    assert tail == b"".join(raw[one["name"]] for one, given in zip(told, as_bytes, strict=True) if given)


def change(**changes: Any) -> dict[str, Any]:
    """A request with the one tensor, changed."""
    return {"inputs": [{**features(), **changes}]}


def half_a_category() -> dict[str, Any]:
    """Between two words."""
    data = list(features()["data"])
    data[next(number for number, one in enumerate(model().manifest.features) if len(one.vocabulary) > 1)] = 0.5
    return change(data=data)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param(b"", "is not an inference request", id="nothing"),
        pytest.param(b"[]", "is not an inference request", id="a list"),
        pytest.param(b"{}", "missing required field `inputs`", id="no inputs"),
        pytest.param(b"\xff", "is not an inference request", id="no UTF-8"),
        pytest.param(b'{"inputs":' * 50_000, "is not an inference request", id="nested without end"),
        pytest.param({"inputs": []}, "inputs is empty", id="empty inputs"),
        pytest.param({"id": "x" * 129, "inputs": []}, "length <= 128", id="a long id"),
        pytest.param(lambda: change(datatype="UINT8"), "has datatype 'UINT8', expected one of", id="another datatype"),
        pytest.param(lambda: change(datatype="BYTES", data=["x"]), "holds numbers", id="words for numbers"),
        pytest.param(lambda: change(shape=[3, 47]), "expected [n, 48]", id="too few features"),
        pytest.param(lambda: change(shape=[4]), "expected [n, 48]", id="flat features"),
        pytest.param(lambda: change(shape=[3, 48, 1]), "has 3 dimensions", id="three dimensions"),
        pytest.param(lambda: change(shape=[2**62, 48]), "baskets are too many, the limit is 4", id="a huge shape"),
        pytest.param(lambda: change(shape=[0, 48]), ">= 1", id="no baskets"),
        pytest.param(lambda: change(shape=[2**70, 48]), "is not an inference request", id="no 64-bit number"),
        pytest.param(lambda: change(shape=[10**4200, 48]), "is not an inference request", id="a number without end"),
        pytest.param(lambda: change(shape=[4, 48]), "has 144 elements, its shape [4, 48] makes 192", id="too few data"),
        pytest.param(lambda: change(data=[["x"]]), "has data that is not FP32", id="nested words"),
        pytest.param(lambda: change(data=[[1.0], [2.0], [3.0]]), "nested otherwise", id="nested otherwise"),
        pytest.param(lambda: change(data=[[]]), "nested otherwise", id="nested, empty"),
        pytest.param(lambda: change(data=True), "has data that is not FP32", id="no list"),
        pytest.param(lambda: change(data=None), "must have either data or", id="no data"),
        pytest.param(lambda: change(datatype="INT64", data=[0.5] * 144), "not INT64", id="fractions as integers"),
        pytest.param(lambda: change(datatype="INT32", data=[2**31] * 144), "not INT32", id="integers too large"),
        pytest.param(half_a_category, "whole numbers for categories", id="half a category"),
        pytest.param(lambda: change(data=[-1] * 144), "of basket 0 is -1, allowed are", id="out of bounds"),
        pytest.param(lambda: change(datatype="FP64", data=[1e300] * 144), "of basket 0 is 1e+300", id="beyond float32"),
        pytest.param(lambda: {"inputs": [features(), features()]}, "'features' is there twice", id="twice"),
        pytest.param(lambda: {"inputs": [features(), columns()[0]]}, "the only input", id="both forms"),
        pytest.param(lambda: {"inputs": [{**features(), "name": "x" * 999}]}, "is required", id="another name"),
        pytest.param(lambda: {"inputs": columns()[1:]}, "'spend' is required and was left out", id="a column missing"),
        pytest.param(
            lambda: {"inputs": [*columns(), {**columns()[0], "name": "colour"}]},
            "'colour' is not a feature",
            id="extra",
        ),
        pytest.param(
            lambda: {"inputs": column("items", shape=[2], data=[1, 2])}, "expected [3] or", id="uneven columns"
        ),
        pytest.param(lambda: {"inputs": column("items", shape=[1, 3])}, "expected [3] or [3, 1]", id="a row"),
        pytest.param(lambda: {"inputs": column("basket_size", datatype="FP32")}, "holds words", id="codes as a column"),
        pytest.param(lambda: {"inputs": column("basket_size", data=[1, 2, 3])}, "not BYTES", id="numbers as words"),
        pytest.param(
            lambda: {"inputs": [features()], "outputs": [{"name": "class"}]}, "output 'class' is unknown", id="output"
        ),
        pytest.param(
            lambda: {"inputs": [features()], "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
            "classification and shared memory are not supported",
            id="an extension",
        ),
        pytest.param(
            lambda: change(data=None, parameters={"shared_memory_region": "x"}),
            "must have either data or",
            id="shared memory",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_400_and_says_why(document: Any, said: str) -> None:
    """In one sentence."""
    assert said in refusal(document() if callable(document) else document)


@pytest.mark.parametrize(
    ("size", "tail", "length", "said"),
    [
        (192, bytes(191), None, "add up to 192 bytes, 191 bytes follow"),
        (175, bytes(175), None, "has 175 bytes, FP32 has 4 bytes an element"),
        (192, bytes(193), None, "add up to 192 bytes, 193 bytes follow"),
        (172, bytes(172), None, "has 43 elements"),
        (192, bytes(192), "1e3", "must be the length of the JSON"),
        (192, bytes(192), "99999999999999999999999", "must be the length of the JSON"),
        (192, bytes(192), "-1", "must be the length of the JSON"),
        (192, bytes(192), "10", "is not an inference request"),
        (-1, bytes(192), None, ">= 0"),
        (2**63 - 1, bytes(192), None, "192 bytes follow"),
        (2**63, bytes(192), None, "is not an inference request"),
    ],
)
def test_bytes_that_do_not_add_up_are_400(size: int, tail: bytes, length: str | None, said: str) -> None:
    """Nothing is read past its end, nothing is left over."""
    document = {"inputs": [{**features(1), "data": None, "parameters": {"binary_data_size": size}}]}
    headers = {} if length is None else {LENGTH: length}

    assert said in refusal(document, tail, **headers)


def test_bytes_without_their_header_are_400() -> None:
    """The document alone must be JSON."""
    heads, tail = binary([features()])

    assert "is not an inference request" in refusal(json.dumps({"inputs": heads}).encode() + tail)


@pytest.mark.parametrize("raw", [b"\x02\x00\x00\x00S", b"\x02\x00", b"\x01\x00\x00\x00\xff", b"\xff\xff\xff\xffS"])
def test_words_as_bytes_that_do_not_add_up_are_400(raw: bytes) -> None:
    """Cut off, not UTF-8, longer than the body."""
    other = [tensor for tensor in columns(1) if tensor["name"] != "basket_size"]
    bad = {"name": "basket_size", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}

    assert "a 4-byte length and as many bytes of UTF-8" in refusal({"inputs": [*other, bad]}, raw)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_what_json_cannot_say_is_refused_as_bytes_too(value: float) -> None:
    """Never into the model."""
    document = {"inputs": [{**features(1), "data": None, "parameters": {"binary_data_size": 192}}]}

    assert "of basket 0 is" in refusal(document, np.full(48, value, dtype="<f4").tobytes())


@cache
def described() -> Any:
    document: dict[str, Any] = {"paths": {}}
    add_hot_routes(document, model().manifest, PACKAGE, LIMITS)
    return document


def test_the_examples_of_the_documentation_work() -> None:
    """Tried as they stand, they are answered."""
    operation = described()["paths"]["/v2/models/{model_name}/infer"]["post"]
    by_word, by_code = (
        example["value"] for example in operation["requestBody"]["content"]["application/json"]["examples"].values()
    )

    check(answer(by_word), count=2)
    assert answer(by_word)["id"] == "42"
    assert answer(by_code)["outputs"] == [answer(by_word)["outputs"][1]]


def mutated(draw: Callable[[Any], Any], value: Any) -> Any:
    strange = st.one_of(
        st.none(), st.booleans(), st.integers(-2, 200), st.text(max_size=3), st.just([]), st.just({}), st.just([[1.0]])
    )
    match value:
        case dict() if value and draw(st.booleans()):
            key = draw(st.sampled_from(sorted(value)))
            return {**value, key: mutated(draw, value[key])}
        case list() if value and draw(st.booleans()):
            place = draw(st.integers(0, len(value) - 1))
            return [*value[:place], mutated(draw, value[place]), *value[place + 1 :]]
        case _:
            return draw(strange)


@st.composite
def requests(draw: st.DrawFn) -> Any:
    good = {
        "id": "42",
        "parameters": {"binary_data_output": False},
        "inputs": draw(st.sampled_from([[features(2)], columns(2)])),
        "outputs": [{"name": "label", "parameters": {"binary_data": False}}],
    }
    for _ in range(draw(st.integers(0, 2))):
        good = mutated(draw, good)
        if not isinstance(good, dict):
            break
    return good


@settings(max_examples=200, deadline=None)
@given(requests())
def test_whatever_is_answered_is_what_openapi_describes(document: Any) -> None:
    """And whatever is not, is refused with 400; shapes and bounds are beyond a schema."""
    schemas = described()["components"]["schemas"]
    try:
        told = answer(document)
    except RequestError as err:
        status = err.status
    else:
        status = 200
        for name, value in (("InferenceRequest", document), ("InferenceResponse", told)):
            Draft202012Validator({**schemas[name], "components": {"schemas": schemas}}).validate(value)
    assert status in (200, 400)
