"""Which features are kept: the model's input of a basket, and what is known of a household.

Names, types and limits are SageMaker's, so that one definition serves the store here and the one on AWS.
"""

from dataclasses import dataclass
from typing import Final, Literal

from psm_contract.features import FEATURES

FeatureType = Literal["Integral", "Fractional", "String"]

EVENT_TIME: Final = "event_time"
"""When a record became true, as text such as 2017-10-16T00:00:00Z, which sorts as time does."""

WRITE_TIME: Final = "write_time"
IS_DELETED: Final = "is_deleted"
"""What the offline store adds to each record, here and on AWS; no feature may have these names."""

BASKET_FEATURES: Final = "basket-features"

HISTORY_DAYS: Final = 56
"""Eight weeks: a household that shops each week has enough baskets, and habits of last year do not count."""


@dataclass(frozen=True)
class FeatureGroup:
    """A table of features.

    Attributes:
        name: At most 64 letters, digits and hyphens.
        identifier: The feature that names whose record it is.
        features: Name and type of each, without the identifier and the event time.
        description: For people.
    """

    name: str
    identifier: str
    features: tuple[tuple[str, FeatureType], ...]
    description: str

    @property
    def definitions(self) -> tuple[tuple[str, FeatureType], ...]:
        """All of a record: the identifier, the event time, the features."""
        return ((self.identifier, "String"), (EVENT_TIME, "String"), *self.features)


HOUSEHOLD_HISTORY: Final = FeatureGroup(
    name="household-history",
    identifier="household",
    features=(
        ("baskets", "Integral"),
        ("spend", "Fractional"),
        ("items", "Integral"),
        ("spend_per_basket", "Fractional"),
        ("spend_per_item", "Fractional"),
        ("last_basket_date", "Integral"),
    ),
    description=f"what a household bought in the {HISTORY_DAYS} days up to the end of a week",
)


def basket_features(recipe: str) -> FeatureGroup:
    """The model's input as `POST /predict` takes it in `instances`; tables are learned, so every recipe has its own."""
    return FeatureGroup(
        name=f"{BASKET_FEATURES}-{recipe}",
        identifier="basket_id",
        features=tuple((spec.name, "String" if spec.kind == "category" else "Fractional") for spec in FEATURES),
        description=f"features of a basket by the tables of {recipe}",
    )


def group_named(name: str) -> FeatureGroup:
    """A group by its name.

    Raises:
        ValueError: There is none.
    """
    if name == HOUSEHOLD_HISTORY.name:
        return HOUSEHOLD_HISTORY
    prefix, _, recipe = name.rpartition("-")
    if prefix != BASKET_FEATURES or not recipe:
        raise ValueError(f"no feature group {name!r}; there are {HOUSEHOLD_HISTORY.name} and {BASKET_FEATURES}-RECIPE")
    return basket_features(recipe)
