"""tables.npz: reads what was written, refuses what does not fit."""

import io
from typing import Any

import numpy as np
import pytest

from psm_contract.tables import Tables
from psm_training.recipes import TableRecipe
from psm_training.synthetic import generate
from psm_training.tables import fit_tables


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Tables learned from synthetic baskets."""
    gold = generate(baskets=500, households=50).gold
    return fit_tables(gold.take(gold.label >= 0), TableRecipe())


def _arrays(tables: Tables) -> dict[str, Any]:
    with np.load(io.BytesIO(tables.to_npz()), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_tables_survive_their_file(tables: Tables) -> None:
    """Equal arrays and equal bytes."""
    again = Tables.from_npz(tables.to_npz())
    for name, array in _arrays(tables).items():
        assert np.array_equal(getattr(again, name), array), name
    assert again.to_npz() == tables.to_npz()


def test_parents_lead_to_the_root(tables: Tables) -> None:
    """Four steps up from any product is the prior."""
    node = tables.parent[: int(tables.level_ends[0])]
    for _ in range(3):
        node = tables.parent[node]
    assert set(node.tolist()) == {tables.root}


def test_products_carry_no_price_of_their_own(tables: Tables) -> None:
    """The label is defined by product prices, so the model may not have them."""
    products = np.arange(int(tables.level_ends[0]))
    assert np.array_equal(tables.price_mean[products], tables.price_mean[tables.parent[products]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("encoding"), "expected"),
        (lambda a: a.update(extra=np.zeros(1)), "expected"),
        (lambda a: a.update(price_mean=a["price_mean"][:-1]), "price_mean has shape"),
        (lambda a: a.update(zone_effect=a["zone_effect"][:, :-1]), "zone_effect has shape"),
        (lambda a: a.update(parent=a["parent"][::-1].copy()), "parent must point"),
        (lambda a: a.update(price_spread=a["price_spread"] * 0), "price_spread must be positive"),
        (lambda a: a.update(level_ends=a["level_ends"][::-1].copy()), "level_ends|shape"),
        (lambda a: a.update(codes=a["codes"].astype(object)), "codes has no header of a plain array"),
        (lambda a: a.update(effect=a["effect"] * np.nan), "effect must be finite"),
        (lambda a: a.update(parent=a["parent"].astype(float)), "parent has type float64"),
        (lambda a: a.update(defaults=np.float64(1)), "defaults has type float64 and 0 dimensions"),
        (lambda a: a.update(level_ends=a["level_ends"][:3]), "level_ends .* has another shape"),
        (lambda a: a.update(level_ends=np.r_[a["level_ends"][:1], np.full(3, -(2**63))]), "zone_effect has shape"),
        (lambda a: a.update(level_ends=a["level_ends"] - a["level_ends"][0] - 1), "level_ends .* has another shape"),
        (lambda a: a.update(vocabulary_ends=a["vocabulary_ends"][:-1]), "vocabulary_ends .* does not cover"),
        (lambda a: a.update(vocabulary_ends=a["vocabulary_ends"] * 0), "vocabulary_ends .* does not cover"),
    ],
    ids=[
        "missing array", "extra array", "short prices", "missing zone", "parents upside down", "no spread",
        "levels upside down", "pickled codes", "no number", "parents that are no whole numbers", "a single default",
        "a level missing", "levels beyond reckoning", "a level of less than nothing", "a vocabulary missing",
        "vocabularies without words",
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(tables: Tables, change: Any, message: str) -> None:
    """The error names the array."""
    arrays = _arrays(tables)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        Tables.from_npz(_npz(**arrays))


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 cut off", b"not an npz file"], ids=["empty", "cut off", "text"])
def test_what_is_no_npz_is_refused(raw: bytes) -> None:
    """Garbage gives a ValueError that says so."""
    with pytest.raises(ValueError, match="npz"):
        Tables.from_npz(raw)
