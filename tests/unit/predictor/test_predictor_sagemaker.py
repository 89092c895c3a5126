"""POST /invocations: what SageMaker's own containers take, in each format, and what becomes of mistakes."""

import csv
import io
import json
from functools import cache
from typing import Any

import pytest
from loaded_model import Desk, instance, model

from psm_predictor.answer import Reply
from psm_predictor.errors import RequestError
from psm_predictor.rows import word_codes
from psm_predictor.settings import RequestLimits

LIMITS = RequestLimits(instances=4)
CSV = {"content_type": "text/csv; charset=utf-8"}


@cache
def desk() -> Desk:
    return Desk(LIMITS)


def ask(body: bytes | str | Any, **headers: str) -> Reply:
    """Bytes and text as they are, everything else as JSON."""
    raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else json.dumps(body).encode()
    return desk().ask("/invocations", raw, {name.replace("_", "-"): value for name, value in headers.items()})


def refusal(body: Any, **headers: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ask(body, **headers)
    return caught.value


def rows() -> list[dict[str, Any]]:
    return [instance(number) for number in range(3)]


def values() -> list[list[Any]]:
    return [list(row.values()) for row in rows()]


def predicted() -> list[dict[str, Any]]:
    """What /predict says of the rows."""
    answer = desk().ask("/predict", json.dumps({"instances": rows()}).encode())
    predictions: list[dict[str, Any]] = json.loads(answer.body)["predictions"]
    return predictions


def table(lines: list[list[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()


@pytest.mark.parametrize("wrapped", [False, True], ids=["a bare list", "instances"])
@pytest.mark.parametrize("kind", ["objects", "lists of values", "both"])
def test_json_lists_are_answered_in_their_own_form(kind: str, *, wrapped: bool) -> None:
    """As SageMaker's scikit-learn container takes them; a bare list gets a bare list."""
    kinds: dict[str, list[Any]] = {
        "objects": [*rows()],
        "lists of values": [*values()],
        "both": [rows()[0], *values()[1:]],
    }
    baskets = kinds[kind]

    reply = ask({"instances": baskets} if wrapped else baskets)

    answer = json.loads(reply.body)
    assert (answer["predictions"] if wrapped else answer) == predicted()
    assert dict(reply.headers)[b"content-type"] == b"application/json"
    assert not wrapped or (answer["model_version"], answer["request_id"]) == (7, "id-1")


def test_a_number_stands_for_the_word_at_its_place() -> None:
    """The container's own models take nothing but numbers."""
    codes = [
        [
            word_codes(feature)[value] if feature.kind == "category" else value
            for feature, value in zip(model().manifest.features, row, strict=True)
        ]
        for row in values()
    ]

    assert json.loads(ask(codes).body) == predicted()


def test_null_in_a_list_of_values_is_the_default() -> None:
    """As a field that is left out of an object."""
    features = model().manifest.features
    nulls = [value if feature.default is None else None for feature, value in zip(features, values()[0], strict=True)]
    least = {name: value for name, value in zip(rows()[0], nulls, strict=True) if value is not None}

    assert json.loads(ask([nulls]).body) == json.loads(ask([least]).body)


def test_one_basket_and_till_lines_are_answered_as_predict_answers_them() -> None:
    """Whoever knows /predict need not learn another form."""
    line = {"QUANTITY": 1, "SPEND": 2.5, "PROD_CODE": "PRD0900001"}
    for body in (rows()[0], {"lines": [line]}):
        raw = json.dumps(body).encode()

        assert ask(raw).body == desk().ask("/predict", raw).body


@pytest.mark.parametrize("content_type", ["application/jsonlines", "application/x-ndjson", "application/x-jsonlines"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n"], ids=["no end of line", "one", "blank lines"])
def test_json_lines_are_answered_line_by_line(content_type: str, end: str) -> None:
    """Batch Transform joins lines with lines."""
    body = "\n".join(json.dumps(line) for line in (rows()[0], *values()[1:])) + end

    reply = ask(body, content_type=content_type)

    assert [json.loads(line) for line in reply.body.splitlines()] == predicted()
    assert reply.body.endswith(b"\n")
    assert dict(reply.headers)[b"content-type"] == b"application/jsonlines"


def told(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def as_cells(predictions: list[dict[str, Any]]) -> list[list[str]]:
    return [[one["label"], *map(repr, one["probabilities"].values())] for one in predictions]


def test_csv_without_a_header_has_the_models_order() -> None:
    """And its answer has no header either."""
    reply = ask(table(values()), **CSV)

    assert told(reply.body) == as_cells(predicted())
    assert dict(reply.headers)[b"content-type"] == b"text/csv"
    assert dict(reply.headers)[b"x-request-id"] == b"id-1"


def test_csv_with_a_header_has_the_headers_order() -> None:
    """Its answer has one too, so that lines still belong to lines."""
    shuffled = sorted(rows()[0])
    lines = [shuffled, *([row[name] for name in shuffled] for row in rows())]

    reply = ask(table(lines), **CSV)

    header, *answers = told(reply.body)
    assert header == ["label", "probability_LA", "probability_MM", "probability_UM"]
    assert answers == as_cells(predicted())


def test_an_empty_cell_and_a_column_that_is_not_there_are_the_default() -> None:
    """As null and a field left out."""
    features = model().manifest.features
    required = [feature.name for feature in features if feature.default is None]
    few = table([required, [rows()[0][name] for name in required]])
    empty = table([[rows()[0][feature.name] if feature.default is None else "" for feature in features]])

    assert told(ask(few, **CSV).body)[1:] == told(ask(empty, **CSV).body)


def test_excels_csv_is_read() -> None:
    """A byte order mark, spaces after commas, quotes."""
    text = "﻿" + ", ".join(f'"{value}"' if number else f"{value}" for number, value in enumerate(values()[0]))

    assert told(ask(text.replace(', "', ',"'), **CSV).body) == as_cells(predicted()[:1])


@pytest.mark.parametrize(
    ("content_type", "accept", "answered"),
    [
        ("application/json", "text/csv", "text/csv"),
        ("application/json", "application/jsonlines; charset=utf-8", "application/jsonlines"),
        ("text/csv", "application/json", "application/json"),
        ("text/csv", "text/html, application/json;q=0.5, */*;q=0.1", "application/json"),
        ("text/csv", "*/*", "text/csv"),
        ("text/csv", "", "text/csv"),
        ("application/jsonlines", "TEXT/CSV", "text/csv"),
    ],
)
def test_the_answer_has_the_accepted_format(content_type: str, accept: str, answered: str) -> None:
    """The first one named that we write; that of the body where anything goes."""
    body = table(values()) if content_type == "text/csv" else json.dumps(rows())
    if content_type == "application/jsonlines":
        body = "\n".join(map(json.dumps, rows()))

    reply = ask(body, content_type=content_type, accept=accept)

    assert dict(reply.headers)[b"content-type"].decode() == answered
    match answered:
        case "text/csv":
            assert told(reply.body) == as_cells(predicted())
        case "application/jsonlines":
            assert [json.loads(line) for line in reply.body.splitlines()] == predicted()
        case _:
            assert json.loads(reply.body)["predictions"] == predicted()


def test_other_formats_are_415_and_406() -> None:
    """With the names of those that are understood."""
    body, accept = refusal(b"\x93NUMPY", content_type="application/x-npy"), refusal(rows(), accept="image/png")

    assert (body.status, accept.status) == (415, 406)
    for err in (body, accept):
        assert "application/json, application/jsonlines, text/csv" in str(err.detail)


def faults(err: RequestError) -> list[tuple[list[str | int], str]]:
    assert err.status == 422
    assert isinstance(err.detail, list)
    return [(finding["loc"], finding["msg"]) for finding in err.detail]


def test_a_wrong_value_is_named_with_its_line_and_feature() -> None:
    """In every format."""
    bad = [values()[0], ["much", *values()[1][1:]]]
    named = (["body", 1, "spend"], "must be of type number, it is string")

    assert faults(refusal(bad)) == [named]
    assert faults(refusal({"instances": bad})) == [(["body", "instances", 1, "spend"], named[1])]
    assert faults(refusal("\n".join(map(json.dumps, bad)), content_type="application/jsonlines")) == [named]
    assert faults(refusal(table(bad), **CSV)) == [named]


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        pytest.param("", "text/csv", "must have 1 to 4 baskets, it has 0", id="no CSV"),
        pytest.param("\n\n", "application/jsonlines", "must have 1 to 4 baskets, it has 0", id="no JSON lines"),
        pytest.param("1,2\n", "text/csv", "must have 48 to 48 items, it has 2", id="too few cells"),
        pytest.param(
            "spend,items,line_count\n1,2\n", "text/csv", "must have 3 values as the header has", id="an uneven row"
        ),
        pytest.param("spend,colour\n1,2\n", "text/csv", "is not a feature", id="an unknown column"),
        pytest.param(
            "spend,items,line_count,spend\n1,2,3,4\n", "text/csv", "names a column twice", id="a repeated column"
        ),
        pytest.param("spend,items,line_count\n", "text/csv", "must have 1 to 4 baskets, it has 0", id="only a header"),
        pytest.param(
            "spend,items\n1,2\n",
            "text/csv",
            "is required, and the header does not name it",
            id="a required column missing",
        ),
        pytest.param('"spend', "text/csv", "is not CSV in UTF-8", id="an open quote"),
        pytest.param(b"\xff\xfe1,2", "text/csv", "is not CSV in UTF-8", id="UTF-16"),
        pytest.param("1\n" * 9 + '"', "text/csv", "must have 1 to 4 baskets, it has more than 4", id="too many rows"),
        pytest.param("1\n" * 10_000, "application/jsonlines", "it has more than 4", id="too many lines"),
        pytest.param("{}\nnothing\n", "application/jsonlines", "is not JSON", id="a line that is no JSON"),
        pytest.param("[" * 100_000, "application/jsonlines", "is nested too deeply", id="nested without end"),
        pytest.param(b"\xff", "application/jsonlines", "is not JSON", id="no UTF-8"),
        pytest.param("[]", "application/json", "must have 1 to 4 items, it has 0", id="an empty list"),
        pytest.param("[[]]", "application/json", "must have 48 to 48 items, it has 0", id="an empty row"),
        pytest.param("[3]", "application/json", "must be of type object or array, it is number", id="a number"),
    ],
)
def test_a_body_that_holds_no_baskets_says_why(body: bytes | str, content_type: str, said: str) -> None:
    """One finding or several, in the shape of /predict's."""
    assert said in faults(refusal(body, content_type=content_type))[0][1]


def test_a_missing_required_column_is_named() -> None:
    """Once, not for every row."""
    found = faults(refusal("spend,items\n1,2\n", **CSV))

    assert found == [(["body", "line_count"], "is required, and the header does not name it")]


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "1_0", "0x10", "٣", "-1", "true"])
def test_what_is_no_number_in_bounds_is_no_number_in_csv(number: str) -> None:
    """Python would take some of these."""
    assert refusal(table([[number, *values()[0][1:]]]), **CSV).status == 422


def test_unknown_words_are_counted_in_every_format() -> None:
    """A number that is no place in the vocabulary is refused, not guessed."""
    column = list(rows()[0]).index("store_format")
    strange = [*values()[0][:column], "HYPER", *values()[0][column + 1 :]]
    before = desk().unknown("store_format")

    ask([strange])
    ask(json.dumps(strange), content_type="application/jsonlines")
    ask(table([strange]), **CSV)

    assert desk().unknown("store_format") - before == 3
    words = model().manifest.features[column].vocabulary
    beyond = [*strange[:column], len(words), *strange[column + 1 :]]
    assert faults(refusal([beyond]))[0][0] == ["body", 0, "store_format"]
