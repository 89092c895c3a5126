"""The same basket gets the same verdict and the same answer through every door of the predictor, and the same line by ingest."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loaded_model import INFER, Desk, instance, model

from psm_contract import cells
from psm_contract.schema import COLUMN_NAMES, COLUMNS
from psm_predictor.batch.errors import InputError
from psm_predictor.batch.run import Job, run
from psm_predictor.errors import RequestError
from psm_predictor.settings import RequestLimits
from psm_training.lake.quarantine import read_lines
from psm_training.sources.raw_files import discover, stage

FEATURES = model().manifest.features
NUMBERS = [feature.name for feature in FEATURES if feature.kind == "number"]
LIMITS = RequestLimits()
PADDED = ["", "NaN", "nan", "NULL", "null", "NA", " LS", "LS ", "\tLS\t", " null ", "LS", "no such word", "x" * 64, "x" * 65,
          "L\nS", "L\tS", "\x7f", "Ä", "L S", "None", "0"]  # fmt: skip
NUMERALS = ["1.5", ".5", "5.", "+1", "-1", "", "NaN", "NULL", "null", "1_000", "0x3", "1e2", " 1.5 ", "1,5", "inf", "-0", "7.0",
            "007", "0.9999999", "1000000.01", "1e400", "\uff12", "abc", "1 2", "-.5E-3"]  # fmt: skip
REFUSED = "refused"


@cache
def desk() -> Desk:
    return Desk(LIMITS)


def asked(path: str, body: bytes, **headers: str) -> Any:
    """The probabilities, or that there are none."""
    try:
        answer = json.loads(desk().ask(path, body, headers).body)
    except RequestError as err:
        assert err.status in (400, 422)  # noqa: PT017  # and nothing else
        return REFUSED
    if "outputs" in answer:
        return answer["outputs"][0]["data"]
    (one,) = answer.get("predictions", [answer])
    return list(one["probabilities"].values())


def as_json(basket: dict[str, str]) -> dict[str, Any] | None:
    """The basket as a client with JSON has it; None if it has a number that no client could have."""
    typed: dict[str, Any] = dict(basket)
    for name in NUMBERS:
        if name in typed:
            try:
                typed[name] = cells.number(typed[name])
            except cells.CellError:
                return None
    return typed


def tensor(name: str, value: Any) -> dict[str, Any]:
    kind = "FP64" if name in NUMBERS else "BYTES"
    return {"name": name, "datatype": kind, "shape": [1], "data": [value]}


def table(*rows: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def by_batch(raw: bytes) -> Any:
    """What `psm-predict batch` answers to the only basket of a file."""
    with tempfile.TemporaryDirectory() as name:
        source, output, refused = (Path(name) / file for file in ("in.csv", "out.csv", "refused.jsonl"))
        source.write_bytes(raw)
        job = Job(source, output, refused, None, is_sorted=True, limits=LIMITS, about={})
        summary = run(job, model(), io.StringIO())
        if summary.refused:
            assert summary.answered == 0
            return REFUSED
        (row,) = csv.DictReader(io.StringIO(output.read_text()))
        return [float(value) for name, value in row.items() if name.startswith("probability_")]


@st.composite
def baskets(draw: st.DrawFn) -> dict[str, str]:
    """A basket as texts of a file, a few of them odd."""
    basket = {name: str(value) for name, value in instance().items() if value is not None}
    for name in draw(st.lists(st.sampled_from(list(basket)), max_size=3)):
        odd = NUMERALS if name in NUMBERS else PADDED
        text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=5)
        basket[name] = draw(st.sampled_from(odd) | text)
    return basket


def alike(found: Any, wanted: Any) -> bool:
    """The same refusal, or the same numbers as far as a text of float32 tells."""
    if REFUSED in (found, wanted):
        return bool(found == wanted)
    return bool(found == pytest.approx(wanted, abs=1e-6))


@given(baskets())
@settings(deadline=None, max_examples=150)
def test_a_basket_of_features_has_one_verdict_and_one_answer(basket: dict[str, str]) -> None:
    """/predict, /invocations in three formats, /v2 and a file."""
    raw = table(basket)
    wanted = asked("/invocations", raw, **{"content-type": "text/csv", "accept": "application/json"})
    assert alike(by_batch(raw), wanted)
    typed = as_json(basket)
    if typed is None:
        assert wanted == REFUSED
        return
    body = json.dumps(typed).encode()
    assert alike(asked("/predict", body), wanted)
    assert alike(asked("/predict", json.dumps(typed, ensure_ascii=False).encode()), wanted)
    jsonl = {"content-type": "application/jsonlines", "accept": "application/json"}
    assert alike(asked("/invocations", body + b"\n", **jsonl), wanted)
    inputs = [tensor(name, value) for name, value in typed.items() if value is not None]
    required = {feature.name for feature in FEATURES if feature.default is None}
    if required <= {given["name"] for given in inputs}:
        assert alike(asked(INFER, json.dumps({"inputs": inputs}).encode()), wanted)


def taken(basket: dict[str, str]) -> dict[str, Any]:
    """What every door answers to a basket, by its name."""
    typed = as_json(basket)
    inputs = [tensor(name, value) for name, value in (typed or {}).items() if value is not None]
    csv_to_json = {"content-type": "text/csv", "accept": "application/json"}
    return {
        "a file": by_batch(table(basket)),
        "CSV": asked("/invocations", table(basket), **csv_to_json),
        "JSON": asked("/predict", json.dumps(typed).encode()),
        "tensors": asked(INFER, json.dumps({"inputs": inputs}).encode()),
    }


@pytest.mark.parametrize("feature", [one for one in FEATURES if one.kind == "category"], ids=lambda one: one.name)
def test_blanks_around_a_word_mean_nothing_at_any_door(feature: Any) -> None:
    """No door counts it as unknown, and none takes a missing word for another."""
    basket = {name: str(value) for name, value in instance().items() if value is not None}
    unknown = desk().unknown(feature.name)
    for word in feature.vocabulary:
        plain = taken({**basket, feature.name: word})
        assert all(alike(answer, plain["JSON"]) for answer in plain.values()), plain
        for padded in (f" {word}", f"{word}\t"):
            assert taken({**basket, feature.name: padded}) == plain
    left_out = taken({name: value for name, value in basket.items() if name != feature.name})
    for word in cells.MISSING:
        assert taken({**basket, feature.name: word}) == left_out
    assert desk().unknown(feature.name) == unknown


LINE = {
    "SHOP_WEEK": "200801", "SHOP_DATE": "20080226", "SHOP_WEEKDAY": "3", "SHOP_HOUR": "9", "QUANTITY": "2", "SPEND": "1.5",
    "PROD_CODE": "PRD0900001", "PROD_CODE_10": "CL00001", "PROD_CODE_20": "DEP00001", "PROD_CODE_30": "G00001",
    "PROD_CODE_40": "D00001", "CUST_CODE": "CUST1", "seg_1": "LA", "seg_2": "YF", "BASKET_ID": "994100100000001",
    "BASKET_SIZE": "M", "BASKET_PRICE_SENSITIVITY": "MM", "BASKET_TYPE": "Top Up", "BASKET_DOMINANT_MISSION": "Mixed",
    "STORE_CODE": "STORE1", "STORE_FORMAT": "LS", "STORE_REGION": "E01",
}  # fmt: skip
INGEST_NEEDS = ("SHOP_WEEK", "STORE_REGION", "PROD_CODE_10", "PROD_CODE_20", "BASKET_ID")
"""Of a line that trains, but not of one that is predicted."""

ODD = {
    "integer": [
        *NUMERALS,
        "3",
        "23",
        "24",
        "200853",
        "200854",
        "20080230",
        "20990101",
        "9.94E+14",
        "1000000000000000001",
    ],
    "number": NUMERALS,
    "text": [*PADDED, "MM ", "UM", "low"],
}
READ: dict[str, Callable[[str], Any]] = {"integer": cells.integer, "number": cells.number, "text": str}


@st.composite
def till_lines(draw: st.DrawFn) -> dict[str, str]:
    """A till line as texts of a file, a few of them odd."""
    line = dict(LINE)
    kinds = {column.name: column.kind for column in COLUMNS}
    for name in draw(st.lists(st.sampled_from(COLUMN_NAMES), max_size=3)):
        line[name] = draw(st.sampled_from(ODD[kinds[name]]))
    return line


def by_ingest(raw: bytes) -> str:
    """Whether silver takes the only line of a file; one with a line break is two, and neither is taken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "transactions.csv").write_bytes(raw)
        reading = read_lines(stage(discover(folder).files[0], folder), folder)
        return REFUSED if reading.bad else "taken"


@given(till_lines())
@settings(deadline=None, max_examples=200)
def test_a_till_line_has_one_verdict_and_one_answer(line: dict[str, str]) -> None:
    """/predict, /invocations, a file, and ingest where it has what training needs besides."""
    raw = table(line)
    try:
        wanted = by_batch(raw)
    except InputError as err:
        pytest.fail(f"a line is no file: {err}")
    present = [name for name in INGEST_NEEDS if line[name].strip(cells.BLANKS) not in cells.MISSING]
    if len(present) == len(INGEST_NEEDS):
        assert by_ingest(raw) == (REFUSED if wanted == REFUSED else "taken")
    try:
        typed = {column.name: READ[column.kind](line[column.name]) for column in COLUMNS}
    except cells.CellError:
        assert wanted == REFUSED
        return
    if typed["BASKET_ID"] is None:
        return  # a file needs it to know which lines are together
    body = json.dumps({"lines": [typed]}).encode()
    assert alike(asked("/predict", body), wanted)
    assert alike(asked("/invocations", body), wanted)


def test_both_names_of_a_column_are_one() -> None:
    """The vendor's other header, in a request and in a file."""
    other = {
        {"seg_1": "CUST_PRICE_SENSITIVITY", "seg_2": "CUST_LIFESTAGE"}.get(name, name): LINE[name] for name in LINE
    }
    wanted = by_batch(table(LINE))
    assert wanted != REFUSED
    assert by_batch(table(other)) == wanted
    typed = [{**LINE, **{c.name: READ[c.kind](LINE[c.name]) for c in COLUMNS}} for _ in range(1)]
    renamed = [{**typed[0], "CUST_PRICE_SENSITIVITY": typed[0]["seg_1"], "CUST_LIFESTAGE": typed[0]["seg_2"]}]
    for name in ("seg_1", "seg_2"):
        del renamed[0][name]
    assert asked("/predict", json.dumps({"lines": renamed}).encode()) == asked(
        "/predict", json.dumps({"lines": typed}).encode()
    )


BATCH = 200
STRAY = [b'"', b",", b"\n", b"\r", b"\xff", b'""', b"x", b"\0"]


@given(st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(STRAY)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_batch_answers_or_refuses_every_line(spoils: list[tuple[int, bytes]]) -> None:
    """A stray quote costs its own basket and the two beside it: rows are lines, and none is swallowed."""
    header = b"BASKET_ID,PROD_CODE,QUANTITY,SPEND\n"
    body = bytearray(b"".join(b"%d,PRD0900001,1,1.5\n" % number for number in range(1000, 1000 + BATCH)))
    for at, stray in spoils:
        body[at % len(body) : at % len(body)] = stray
    with tempfile.TemporaryDirectory() as name:
        source, output, refused = (Path(name) / file for file in ("in.csv", "out.csv", "refused.jsonl"))
        source.write_bytes(header + bytes(body))
        job = Job(source, output, refused, None, is_sorted=False, limits=LIMITS, about={})
        summary = run(job, model(), io.StringIO())
        lines = [line for line in bytes(body).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n") if line]
        assert summary.rows == len(lines)
        assert summary.answered + summary.refused >= len(lines) - 8 * len(spoils)
        assert summary.answered >= BATCH - 8 * len(spoils)
