"""A file's column is judged as POST /predict judges the same values."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_contract.features import FEATURES
from psm_contract.manifest import OTHER, Feature
from psm_predictor.batch.columns import Rule, plain_value
from psm_predictor.batch.errors import InputError
from psm_predictor.findings import findings
from psm_predictor.schema import Schema, instance_schema, line_schema

FEATURE_SCHEMA = instance_schema(
    [
        Feature(
            name=spec.name,
            kind=spec.kind,
            vocabulary=("S", "M", OTHER) if spec.kind == "category" else (),
            default=None if spec.required else "S" if spec.kind == "category" else 1.0,
            minimum=spec.minimum,
            maximum=spec.maximum,
            description=spec.description,
        )
        for spec in FEATURES
    ]
)
LINE_SCHEMA = line_schema()
PROPERTIES = [
    *((name, FEATURE_SCHEMA) for name in FEATURE_SCHEMA["properties"]),
    *((name, LINE_SCHEMA) for name in LINE_SCHEMA["properties"]),
]
NUMBERS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(2**53), 2**53).map(float),
    st.sampled_from(
        [0.0, 1.0, 7.0, 8.0, 23.0, 24.0, 0.5, 10_000.0, 10_001.0, 1e6, 1000001.0, -0.1, 201701.0, 20170101.0]
    ),
)
TEXTS = st.one_of(
    st.none(), st.text(max_size=70), st.sampled_from(["", "LA", "XX", "x" * 64, "x" * 65, "é" * 64, "\U0001f9fa" * 65])
)
NUMBER_TEXTS = st.one_of(
    st.none(),
    NUMBERS.filter(lambda number: number is not None).map(str),
    st.sampled_from(["abc", "1_0", "1,5", " 3 ", "0x1", "1e400", "-inf", "nan", "٣", "+4"]),
)


def is_refused(name: str, schema: Schema, rule: Rule, value: Any) -> bool:
    """What /predict says of an object that holds this one value."""
    required = [name] if name in schema["required"] else []
    single = {"type": "object", "properties": {name: schema["properties"][name]}, "required": required}
    return bool(findings({name: plain_value(rule, value)}, single))


@pytest.mark.parametrize(("name", "schema"), PROPERTIES, ids=[name for name, _ in PROPERTIES])
@given(data=st.data())
def test_a_column_is_judged_as_predict_judges_its_values(name: str, schema: Schema, data: st.DataObject) -> None:
    """Every feature and every till column: bounds, words, lengths, whole numbers, what must be there."""
    rule = Rule.of(name, schema["properties"][name], required=name in schema["required"])
    values = data.draw(st.lists(TEXTS if rule.is_text else NUMBERS, min_size=1, max_size=8))
    column = pa.array(values, pa.string() if rule.is_text else pa.float64())

    bad = rule.texts(column)[1] if rule.is_text else rule.numbers(column)[1]

    assert bad.tolist() == [is_refused(name, schema, rule, value) for value in values]


@given(values=st.lists(NUMBER_TEXTS, min_size=1, max_size=8))
def test_numbers_of_a_csv_are_judged_one_by_one(values: list[str | None]) -> None:
    """A text that spells no number costs its own row; the others keep their values."""
    rule = Rule.of("spend", FEATURE_SCHEMA["properties"]["spend"], required=True)

    numbers, bad = rule.numbers(pa.array(values, pa.string()))

    assert bad.tolist() == [is_refused("spend", FEATURE_SCHEMA, rule, value) for value in values]
    for value, number, is_bad in zip(values, numbers.tolist(), bad.tolist(), strict=True):
        if not is_bad:
            assert number == float(value or "nan")


def test_what_only_python_takes_for_a_number_is_none() -> None:
    """Underscores and the digits of other scripts."""
    rule = Rule.of("spend", FEATURE_SCHEMA["properties"]["spend"], required=True)

    assert rule.numbers(pa.array(["1_0", "٣", " 3 ", "0x1", "1e2"]))[1].tolist() == [True, True, False, True, False]


def test_nan_is_no_value() -> None:
    """Where JSON says null, tables of numbers often say NaN."""
    optional = Rule.of("shop_hour", FEATURE_SCHEMA["properties"]["shop_hour"], required=False)
    required = Rule.of("spend", FEATURE_SCHEMA["properties"]["spend"], required=True)
    column = pa.array([math.nan, 3.0])

    assert optional.numbers(column)[1].tolist() == [False, False]
    assert required.numbers(column)[1].tolist() == [True, False]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(12, 2), pa.null()], ids=str)
def test_any_kind_of_number_is_one(kind: pa.DataType) -> None:
    """Whatever the writer's library chose."""
    rule = Rule.of("items", FEATURE_SCHEMA["properties"]["items"], required=True)
    rule.check_type(kind, is_text_file=False)
    column = pa.array([None if pa.types.is_null(kind) else 3, None], kind)

    numbers, bad = rule.numbers(column)

    assert bad.tolist() == [pa.types.is_null(kind), True]
    assert pa.types.is_null(kind) or numbers[0] == 3.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [("spend", pa.string()), ("spend", pa.bool_()), ("seg_1", pa.int64()), ("seg_1", pa.binary())],
    ids=str,
)
def test_a_column_that_can_never_hold_the_feature_refuses_the_file(name: str, kind: pa.DataType) -> None:
    """Before the first row, and with both types."""
    rule = Rule.of(name, FEATURE_SCHEMA["properties"][name], required=False)

    with pytest.raises(InputError, match=f"column {name} is {kind}, expected (text|a number)"):
        rule.check_type(kind, is_text_file=False)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_any_kind_of_text_is_one(kind: pa.DataType) -> None:
    """Dictionaries too, which is how categories are often written."""
    rule = Rule.of("seg_1", FEATURE_SCHEMA["properties"]["seg_1"], required=False)
    plain = pa.array(["S", None, "L", "S"], kind)

    for column in (plain, plain.cast(pa.string()).dictionary_encode()):
        rule.check_type(column.type, is_text_file=False)
        texts, bad = rule.texts(column)
        assert texts.to_pylist() == ["S", None, "L", "S"]
        assert not np.any(bad)
