"""Till lines -> features: one function for training and serving."""

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psm_contract.features import CATEGORIES, FEATURES, Lines, basket_features, feature_schema
from psm_contract.schema import Line
from psm_contract.tables import Tables
from psm_training.gold import Gold
from psm_training.recipes import TableRecipe
from psm_training.synthetic import generate
from psm_training.tables import fit_tables

NAMES = [spec.name for spec in FEATURES]


def _learn() -> tuple[Gold, Tables]:
    gold = generate(baskets=800, households=80).gold
    gold = gold.take(gold.label >= 0)
    return gold, fit_tables(gold, TableRecipe())


GOLD, TABLES = _learn()
KNOWN = {level: sorted(set(codes)) for level, codes in enumerate(GOLD.lines.codes)}


def features(*baskets: list[Line]) -> dict[str, list[float]]:
    """Features of baskets by name."""
    matrix = basket_features(Lines.from_baskets(baskets), TABLES)
    return dict(zip(NAMES, matrix.T.tolist(), strict=True))


def line(**columns: Any) -> Line:
    """A line of a product that no table knows, unless said otherwise."""
    return cast("Line", {"QUANTITY": 1, "SPEND": 2.0, "PROD_CODE": "PRD-NEW", **columns})


def _codes(level: int) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*KNOWN[level][:20], "UNSEEN", None])


LINES = st.fixed_dictionaries(
    {
        "QUANTITY": st.integers(1, 50),
        "SPEND": st.floats(0.01, 500),
        "PROD_CODE": st.sampled_from([*KNOWN[0][:40], "UNSEEN"]),
    },
    optional={
        "PROD_CODE_10": _codes(1),
        "PROD_CODE_20": _codes(2),
        "PROD_CODE_30": _codes(3),
        "SHOP_HOUR": st.none() | st.integers(0, 23),
        "STORE_FORMAT": st.sampled_from(["LS", "XLS", "MOON", None]),
        "seg_1": st.sampled_from(["AZ", "??", None]),
    },
)
BASKETS = st.lists(st.lists(LINES, min_size=1, max_size=12), min_size=1, max_size=8)


@given(BASKETS)
@settings(max_examples=150, deadline=None)
def test_many_baskets_at_once_are_the_same_bits_as_one_by_one(baskets: list[list[Line]]) -> None:
    """Training computes a hundred thousand baskets in one call and the predictor one: same numbers, to the bit."""
    together = basket_features(Lines.from_baskets(baskets), TABLES)
    alone = np.concatenate([basket_features(Lines.from_baskets([basket]), TABLES) for basket in baskets])
    assert together.dtype == np.float32
    assert np.array_equal(together, alone)


@given(BASKETS)
@settings(max_examples=150, deadline=None)
def test_every_feature_is_finite_and_within_the_schemas_limits(baskets: list[list[Line]]) -> None:
    """Whatever valid lines come in, what goes out could be sent as an instance."""
    schema = feature_schema(TABLES)
    matrix = basket_features(Lines.from_baskets(baskets), TABLES)
    assert np.isfinite(matrix).all()
    for feature, values in zip(schema, matrix.T, strict=True):
        if feature.kind == "category":
            assert set(values.tolist()) <= set(range(len(feature.vocabulary)))
        else:
            assert values.min() >= (-math.inf if feature.minimum is None else feature.minimum)
            assert values.max() <= (math.inf if feature.maximum is None else feature.maximum)


@given(st.lists(LINES, min_size=2, max_size=12), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_lines_does_not_matter(basket: list[dict[str, Any]], random: Any) -> None:
    """A till's order of scanning says nothing; the context is the same on all lines."""
    same = [{**item, "SHOP_HOUR": 9, "STORE_FORMAT": "LS", "seg_1": "AZ"} for item in basket]
    other = same.copy()
    random.shuffle(other)
    one, two = (basket_features(Lines.from_baskets([cast("list[Line]", rows)]), TABLES) for rows in (same, other))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_simple_features_are_what_their_names_say() -> None:
    """Two lines, five items, 8.00 spent."""
    seen = features([line(QUANTITY=4, SPEND=6.0), line(QUANTITY=1, SPEND=2.0)])
    assert seen["spend"] == [8.0]
    assert seen["items"] == [5.0]
    assert seen["line_count"] == [2.0]
    assert seen["unit_price"] == pytest.approx([1.6])
    assert (seen["unit_price_min"], seen["unit_price_max"], seen["unit_price_mean"]) == ([1.5], [2.0], [1.75])


def test_a_known_product_does_not_need_its_category() -> None:
    """A client that sends PROD_CODE only gets the features of one that sends all codes."""
    with_codes = GOLD.records(0)
    bare = [{key: value for key, value in item.items() if not key.startswith("PROD_CODE_")} for item in with_codes]
    assert features(cast("list[Line]", bare)) == features(list(with_codes))


def test_an_unknown_product_falls_back_level_by_level() -> None:
    """PROD_CODE -> 10 -> 20 -> 30 -> prior, each with what the tables learned there."""
    codes = {name: GOLD.lines.codes[level][0] for level, name in enumerate(("10", "20", "30"), start=1)}
    columns = [
        {f"PROD_CODE_{name}": code for name, code in codes.items()},
        {"PROD_CODE_20": codes["20"], "PROD_CODE_30": codes["30"]},
        {"PROD_CODE_30": codes["30"]},
        {},
    ]
    seen = features(*([line(**given)] for given in columns))["product_la_mean"]
    nodes = [int(TABLES.known(level, [codes[name]])[0]) for level, name in enumerate(("10", "20", "30"), start=1)]
    expected = [*TABLES.encoding[nodes, 0], TABLES.encoding[TABLES.root, 0]]
    assert seen == pytest.approx(expected, abs=1e-6)
    assert expected[-1] == 0.0


def test_an_unknown_code_is_treated_like_a_missing_one() -> None:
    """A category that training never saw says no more than none."""
    assert features([line(PROD_CODE_10="UNSEEN", PROD_CODE_20="UNSEEN")]) == features([line()])


def test_unknown_words_become_other_and_missing_ones_the_default() -> None:
    """The two are different: one is news, the other is silence."""
    vocabulary = dict(zip((spec.name for spec in CATEGORIES), TABLES.vocabularies, strict=True))["store_format"]
    default = next(feature.default for feature in feature_schema(TABLES) if feature.name == "store_format")
    unknown, missing = features([line(STORE_FORMAT="MOON")], [line()])["store_format"]
    assert vocabulary[int(unknown)] == "other"
    assert vocabulary[int(missing)] == default != "other"


def test_context_is_read_from_the_first_line() -> None:
    """Later lines cannot change what shop it was."""
    basket = [line(SHOP_HOUR=9), line(SHOP_HOUR=20)]
    assert features(basket)["shop_hour"] == [9.0]


def test_a_dearer_basket_has_a_higher_price_index() -> None:
    """Same product type, twice the price."""
    kind = {"PROD_CODE_10": GOLD.lines.codes[1][0]}
    cheap, dear = features([line(SPEND=1.0, **kind)], [line(SPEND=2.0, **kind)])["price_index_type_mean"]
    assert cheap < dear


def test_an_empty_basket_is_refused_with_its_number() -> None:
    """There is nothing to classify, and no feature would be a number."""
    with pytest.raises(ValueError, match="basket 1 has no lines"):
        Lines.from_baskets([[line()], []])


def test_no_baskets_give_no_rows() -> None:
    """An empty batch is not an error of the transformation."""
    assert basket_features(Lines.from_baskets([]), TABLES).shape == (0, len(FEATURES))


def test_the_schema_follows_the_matrix() -> None:
    """One manifest feature per column, in order, with the learned words."""
    schema = feature_schema(TABLES)
    assert [feature.name for feature in schema] == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert [feature.vocabulary for feature in schema if feature.kind == "category"] == list(TABLES.vocabularies)


def test_tables_of_another_release_are_refused() -> None:
    """Another number of features would shift every column."""
    with pytest.raises(ValueError, match="the tables hold 1 defaults"):
        feature_schema(replace(TABLES, defaults=TABLES.defaults[:1]))
