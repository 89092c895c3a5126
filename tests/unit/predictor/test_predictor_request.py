"""What POST /predict takes, and that its decoder, its findings and its OpenAPI description say the same."""

import json
import math
from functools import cache
from typing import Any

import pydantic
import pytest
from documented import pydantic_type
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from loaded_model import PACKAGE, Desk, instance, model

from psm_predictor.errors import RequestError
from psm_predictor.golden import golden_instance, golden_lines
from psm_predictor.openapi import add_hot_routes
from psm_predictor.settings import RequestLimits

LIMITS = RequestLimits(instances=4, lines=5)


@cache
def desk() -> Desk:
    return Desk(LIMITS)


def described(limits: RequestLimits) -> dict[str, Any]:
    """The OpenAPI description of the hot routes."""
    document: dict[str, Any] = {"paths": {}}
    add_hot_routes(document, model().manifest, PACKAGE, limits)
    return document


def json_body(path: str, limits: RequestLimits = LIMITS) -> dict[str, Any]:
    """What the description says of a JSON body, with all that it refers to."""
    document = described(limits)
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return {**content["schema"], "components": document["components"]}


@cache
def by_json_schema(path: str) -> Draft202012Validator:
    """The description as one library reads it."""
    return Draft202012Validator(json_body(path))


@cache
def by_pydantic(path: str) -> pydantic.TypeAdapter[Any]:
    """The description as another reads it."""
    return pydantic_type(json_body(path))


def good_instance() -> dict[str, Any]:
    return instance()


def good_lines() -> list[dict[str, Any]]:
    """At most as many till lines as are allowed here."""
    lines: list[dict[str, Any]] = golden_lines(model().manifest.golden_baskets[0])["lines"]
    return [dict(line) for line in lines[: LIMITS.lines]]


def ask(document: Any) -> dict[str, Any]:
    return ask_raw(json.dumps(document).encode())


def ask_raw(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(desk().ask("/predict", body).body)
    return answer


def refusal(body: Any) -> list[dict[str, Any]]:
    """The findings of a refused document (or of raw bytes)."""
    with pytest.raises(RequestError) as caught:
        ask_raw(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert caught.value.status == 422
    assert isinstance(caught.value.detail, list)
    return caught.value.detail


def test_one_basket_gets_one_answer() -> None:
    """Label, probabilities in the order of the classes, model version, request id."""
    answer = ask(good_instance())

    assert list(answer) == ["label", "probabilities", "model_version", "request_id"]
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert list(answer["probabilities"]) == ["LA", "MM", "UM"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (answer["model_version"], answer["request_id"]) == (7, "id-1")


def test_several_baskets_get_a_list_in_their_order() -> None:
    """The same numbers as one by one."""
    rows = [golden_instance(model().manifest, row) for row in model().manifest.golden[:3]]

    answer = ask({"instances": rows})

    one_by_one = [ask(row) for row in rows]
    assert answer["predictions"] == [{key: one[key] for key in ("label", "probabilities")} for one in one_by_one]


def test_a_list_of_one_is_answered_with_a_list() -> None:
    """The form of the answer follows the form of the question, not the number of baskets."""
    assert len(ask({"instances": [good_instance()]})["predictions"]) == 1


@pytest.mark.parametrize("form", ["instances", "lines"])
def test_white_space_does_not_change_the_form(form: str) -> None:
    """The form is told by the first key, wherever it stands."""
    items = [good_instance()] if form == "instances" else good_lines()
    loose = json.dumps({form: items}, indent=2, separators=(" ,", " : "))

    assert ask_raw(b"\r\n\t " + loose.encode()) == ask({form: items})


def test_left_out_and_null_take_the_default() -> None:
    """Both mean that the client does not know."""
    features = model().manifest.features
    least = {name: value for name, value in good_instance().items() if not _default(name)}
    nulls = {feature.name: None for feature in features if feature.default is not None}
    given_defaults = {feature.name: feature.default for feature in features if feature.default is not None}

    answers = [ask({**least, **rest})["probabilities"] for rest in ({}, nulls, given_defaults)]

    assert answers[0] == answers[1] == answers[2]
    assert 0 < len(least) < len(features)


def _default(name: str) -> bool:
    return next(feature.default is not None for feature in model().manifest.features if feature.name == name)


def test_whole_numbers_may_be_written_as_floats_in_lines() -> None:
    """JSON knows one kind of number; table libraries make whole columns float."""
    lines = good_lines()
    floats = [{**line, "QUANTITY": float(line["QUANTITY"])} for line in lines]

    assert ask({"lines": floats}) == ask({"lines": lines})


def test_every_field_at_fault_is_named_with_its_value() -> None:
    """A client mends all of them at once."""
    instance = {**good_instance(), "spend": "12", "items": -3, "colour": "red"}
    del instance["line_count"]

    found = {tuple(finding["loc"]): finding for finding in refusal(instance)}

    assert found.keys() == {("body", "spend"), ("body", "items"), ("body", "colour"), ("body", "line_count")}
    assert found["body", "spend"]["msg"] == "must be of type number, it is string"
    assert found["body", "spend"]["input"] == "12"
    assert found["body", "items"]["msg"] == "must be at least 1, it is -3"
    assert found["body", "colour"]["type"] == "extra_forbidden"
    assert found["body", "line_count"]["type"] == "missing"


def test_a_fault_in_a_list_is_named_with_its_place() -> None:
    """Which of the baskets, which field."""
    bad = {**good_instance(), "spend": True}

    assert [(finding["loc"], finding["msg"]) for finding in refusal({"instances": [good_instance(), bad]})] == [
        (["body", "instances", 1, "spend"], "must be of type number, it is boolean")
    ]


def test_lines_of_two_baskets_are_refused() -> None:
    """They would be answered as one basket, wrongly."""
    first, second = good_lines()[:2]

    found = refusal({"lines": [{**first, "BASKET_ID": 1}, {**second, "BASKET_ID": 2}]})

    assert found[0]["loc"] == ["body", "lines", 1, "BASKET_ID"]
    assert found[0]["input"] == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "is not JSON", id="nothing"),
        pytest.param(b"spend=12", "is not JSON", id="a form"),
        pytest.param(b'{"spend": NaN}', "NaN is not JSON", id="NaN"),
        pytest.param(b'{"spend": 1}}', "is not JSON", id="text after the end"),
        pytest.param(b'{"basket_type": "\xff"}', "is not JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "is nested too deeply", id="nested without end"),
        pytest.param(b'{"instances":' * 10_000, "is", id="nested objects without end"),
        pytest.param(b"[]", "must be of type object, it is array", id="a bare list"),
        pytest.param(b"12", "must be of type object, it is number", id="a bare number"),
        pytest.param(b'{"instances": []}', "must have 1 to 4 items, it has 0", id="an empty list"),
        pytest.param(b'{"instances": [1,2,3,4,5]}', "must have 1 to 4 items, it has 5", id="too long a list"),
        pytest.param(b'{"instances": 3}', "must be of type array, it is number", id="a list that is none"),
        pytest.param(b'{"lines": []}', "must have 1 to 5 items, it has 0", id="no lines"),
    ],
)
def test_a_body_that_is_no_basket_says_what_it_is(body: bytes, message: str) -> None:
    """One finding, the same shape as all others."""
    found = refusal(body)

    assert message in found[0]["msg"]


def test_half_a_surrogate_pair_is_refused() -> None:
    """JSON can write it, UTF-8 cannot; the decoder's own words are the finding."""
    body = json.dumps({**good_instance(), "basket_type": "\ud800"}).encode()

    assert refusal(body)[0]["type"] == "json_invalid"


def test_numbers_that_no_float_holds_are_refused_and_named() -> None:
    """Never infinity into the model."""
    body = json.dumps(good_instance()).replace('"spend": ', '"spend": 1e999, "spend": ').encode()
    only = json.dumps({**good_instance(), "spend": 10**400}).encode()

    assert refusal(only)[0]["input"] == "a number beyond 64 bits"
    assert refusal(body)


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 12_000),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 0.5, 1, 1.0, 7, 7.5, 8, 23, 24, 1e6, 1e7, -0.0, 1e-300, 3.5e38, 201701, 20170101]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    st.sampled_from(["LA", "XX", "L", "x" * 64, "x" * 65, "Fresh", "PRD0900001", "other"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


@st.composite
def changed(draw: st.DrawFn, make: Any, extra: tuple[str, ...] = ("colour", "instances", "lines")) -> dict[str, Any]:
    """A good object with a few fields exchanged, dropped or added."""
    document: dict[str, Any] = make()
    for name in draw(st.lists(st.sampled_from([*document, *extra]), max_size=3)):
        if draw(st.booleans()):
            document[name] = draw(values)
        else:
            document.pop(name, None)
    return document


def one_line() -> dict[str, Any]:
    """A line without a basket's id: that all ids are one is beyond JSON Schema."""
    return {**good_lines()[0], "SHOP_WEEK": 201701, "SHOP_DATE": 20170101, "BASKET_PRICE_SENSITIVITY": None}


bodies = st.one_of(
    changed(good_instance),
    st.fixed_dictionaries({"instances": st.lists(changed(good_instance), max_size=5)}),
    st.fixed_dictionaries({"lines": st.lists(changed(one_line), max_size=6)}),
    changed(lambda: {"instances": [good_instance()]}),
    changed(lambda: {"lines": [one_line()]}),
    values,
)


def finding_kinds(path: str, document: Any) -> list[str]:
    """What the hot route has against the document; nothing if it answers."""
    try:
        desk().ask(path, json.dumps(document).encode())
    except RequestError as err:
        kinds = [finding["type"] if isinstance(finding, dict) else finding for finding in err.detail]
        return [kind for kind in kinds if kind != "calendar"]  # that a day exists is beyond JSON Schema
    return []


def pydantic_takes(path: str, document: Any) -> bool:
    try:
        by_pydantic(path).validate_json(json.dumps(document))
    except pydantic.ValidationError:
        return False
    return True


def check_agreement(path: str, document: Any) -> None:
    kinds = finding_kinds(path, document)

    assert (not kinds) == by_json_schema(path).is_valid(document)
    assert (not kinds) == pydantic_takes(path, document)
    assert "json_invalid" not in kinds, "the findings do not explain what the decoder refused"


@settings(max_examples=400, deadline=None)
@given(bodies)
def test_the_hot_route_takes_exactly_what_openapi_says(document: Any) -> None:
    """The decoder is compiled from the documented schema; two other validators of the same schema must agree."""
    check_agreement("/predict", document)


def edges(schema: dict[str, Any]) -> list[Any]:
    """Values at the bounds of a schema and just beyond them."""
    if "anyOf" in schema:
        return [value for option in schema["anyOf"] for value in edges(option)]
    found: list[Any] = [None, True, "", "x"]
    for bound, towards in (("minimum", -math.inf), ("maximum", math.inf), ("exclusiveMinimum", math.inf)):
        if bound in schema:
            found += [schema[bound], math.nextafter(schema[bound], towards), schema[bound] + 0.5]
    if "maxLength" in schema:
        found += ["x" * schema["maxLength"], "x" * (schema["maxLength"] + 1)]
    return [*found, *schema.get("enum", [])]


def test_bounds_are_exactly_those_that_openapi_says() -> None:
    """Of every feature as a field and in a list of values, and of every column of a till line."""
    schemas = described(LIMITS)["components"]["schemas"]
    row = good_row()
    for place, (name, schema) in enumerate(schemas["Instance"]["properties"].items()):
        for value in edges(schema):
            check_agreement("/predict", {**good_instance(), name: value})
        for value in edges(schemas["InvocationList"]["items"]["anyOf"][1]["prefixItems"][place]):
            check_agreement("/invocations", [[*row[:place], value, *row[place + 1 :]]])
    for name, schema in schemas["Lines"]["properties"]["lines"]["items"]["properties"].items():
        for value in edges(schema):
            check_agreement("/predict", {"lines": [{**one_line(), name: value}]})


def good_row() -> list[Any]:
    """A basket as a list of values."""
    return list(good_instance().values())


@st.composite
def changed_row(draw: st.DrawFn) -> list[Any]:
    """A good list of values with a few exchanged, dropped or added."""
    row = good_row()
    for place in draw(st.lists(st.integers(0, len(row) - 1), max_size=3)):
        row[place] = draw(st.one_of(values, st.integers(-1, 8), st.sampled_from([0.0, 1.0, 1.5])))
    return row[: draw(st.sampled_from([len(row), len(row), len(row) - 1]))] + draw(st.sampled_from([[], [], [1]]))


listed = st.lists(st.one_of(changed(good_instance), changed_row()), max_size=5)


@settings(max_examples=400, deadline=None)
@given(st.one_of(listed, st.fixed_dictionaries({"instances": listed}), bodies))
def test_invocations_take_exactly_what_openapi_says(document: Any) -> None:
    """Lists of objects and of values, on their own and as instances, and what /predict takes."""
    check_agreement("/invocations", document)


def test_the_examples_of_the_documentation_work() -> None:
    """Tried as they stand, they are answered; they are golden, so with the golden answer."""
    paths = described(RequestLimits())["paths"]
    examples = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]

    one, several, lines = (example["value"] for example in examples.values())
    lines["lines"] = lines["lines"][: LIMITS.lines]

    golden = model().manifest.golden[0].probabilities
    assert list(ask(one)["probabilities"].values()) == pytest.approx(golden, abs=1e-5)
    assert len(ask(several)["predictions"]) == 2
    assert ask(lines)["label"] in model().manifest.classes
