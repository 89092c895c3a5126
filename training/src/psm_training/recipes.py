"""The models we train: v1 as a careful first release, v2 as the better one that replaces it. Imports nothing heavy."""

from dataclasses import asdict, dataclass
from typing import Any, Final

from psm_training.errors import PipelineError


@dataclass(frozen=True)
class TableRecipe:
    """How the tables are learned.

    Attributes:
        min_lines: A product sold on fewer training lines is left to its product type.
        encoding_weight: Lines that the parent's class shares count for in a node's own.
        price_weight: Lines that the parent's prices count for in a node's own.
        effect_penalty: Ridge penalty on the effects of products and price zones; smaller trusts single products more.
        folds: Household folds of the cross-fitting.
    """

    min_lines: int = 3
    encoding_weight: float = 8.0
    price_weight: float = 20.0
    effect_penalty: float = 0.1
    folds: int = 5


@dataclass(frozen=True)
class ForestRecipe:
    """Size and shape of the forest; the file's size, and so a pod's start, grows with trees x leaves.

    Attributes:
        trees: How many.
        max_depth: Of a tree.
        min_samples_leaf: Fewest training baskets in a leaf.
        max_features: Share of the features that a split may choose from.
    """

    trees: int = 120
    max_depth: int = 12
    min_samples_leaf: int = 15
    max_features: float = 0.3


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a model learns from given data.

    Attributes:
        name: Of the recipe.
        tables: How the feature tables are learned.
        forest: How the forest is grown.
        seed: Of the forest.
    """

    name: str
    tables: TableRecipe
    forest: ForestRecipe
    seed: int = 20170101

    def describe(self) -> dict[str, Any]:
        """The recipe as JSON."""
        return asdict(self)


RECIPES: Final = (
    # v1 trusts only products sold often and shrinks their effects hard: safe, and blunt.
    Recipe(
        "v1",
        TableRecipe(min_lines=20, effect_penalty=3.0),
        ForestRecipe(trees=60, max_depth=10, min_samples_leaf=30, max_features=0.3),
    ),
    # v2 learns from nearly every product.
    Recipe(
        "v2",
        TableRecipe(min_lines=3, effect_penalty=0.1),
        ForestRecipe(trees=100, max_depth=12, min_samples_leaf=15, max_features=0.3),
    ),
)


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        PipelineError: There is none.
    """
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    raise PipelineError(f"unknown recipe {name!r}; known are {', '.join(recipe.name for recipe in RECIPES)}")
