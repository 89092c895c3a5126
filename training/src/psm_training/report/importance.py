"""What does the model look at? How much accuracy it loses when a feature is taken from another household's basket.

Breiman, Random Forests, 2001, with two differences: no basket ever gets a value of its own household, whose baskets
are alike, and the interval comes from drawing households. Features that say nearly the same stand in for one another,
so each alone looks unimportant; groups of them are permuted together too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psm_contract.quality import Floats
from psm_training.households import Ints, Labels, mean

REPEATS: Final = 5
SEED: Final = 20170101

Predict = Callable[[NDArray[np.float32]], Labels]

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "basket: spend, items, lines, unit prices": ("spend", "items", "line_count", "unit_price"),
    "price against product type, category, department": ("price_index_",),
    "target encoding of the products": ("product_",),
    "pull of products and price zones": ("affinity_",),
    "tiers of the products": ("tier_",),
    "time of the purchase": ("shop_",),
    "trip: size, type, mission": ("basket_",),
    "store": ("store_",),
    "customer segments": ("seg_",),
}
"""Beginnings of the names of the features of each group."""


def importance(
    predict: Predict, matrix: NDArray[np.float32], label: Labels, household: Ints, names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Loss of accuracy by group and by feature, the greatest first.

    Args:
        predict: Features -> class numbers.
        matrix: [baskets, features], of households that the model was not trained on.
        label: Number of the class that each basket really has.
        household: Of each basket.
        names: Of the features.
    """
    donors = [strangers(household, np.random.default_rng([SEED, repeat])) for repeat in range(REPEATS)]
    right = (predict(matrix) == label).astype(np.float64)

    def lost(places: Sequence[int]) -> Floats:
        """Of every basket, mean over the repeats."""
        changed = np.concatenate([matrix] * REPEATS)
        changed[:, places] = np.concatenate([matrix[donor][:, places] for donor in donors])
        after = (predict(changed).reshape(REPEATS, -1) == label).mean(axis=0)  # one call: trees are slow to start
        return np.asarray(right - after, dtype=np.float64)

    def losses(columns: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
        found = [
            {"name": name, "accuracy_lost": mean(lost(places), household)} for name, places in columns.items() if places
        ]
        return sorted(found, key=lambda entry: (-entry["accuracy_lost"]["value"], entry["name"]))

    groups = {
        group: [place for place, name in enumerate(names) if name.startswith(beginnings)]
        for group, beginnings in GROUPS.items()
    }
    return {"groups": losses(groups), "features": losses({name: [place] for place, name in enumerate(names)})}


def strangers(household: Ints, rng: np.random.Generator) -> Ints:
    """For every basket a basket of another household, each used once.

    Households are laid out in a random order and everyone takes from those that come half a round later. Should one
    household hold more than half of the baskets, some of its own stay with it.
    """
    number = np.unique(household, return_inverse=True)[1]
    place = rng.permutation(int(number.max()) + 1)[number]
    order = np.lexsort((rng.random(len(household)), place))
    donors = np.empty(len(household), dtype=np.int64)
    donors[order] = np.roll(order, -(len(household) // 2))
    return donors
