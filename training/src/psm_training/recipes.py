"""The models we train, and how: v1 as a careful first release, v2 as the better one, v3 to follow. Imports nothing heavy."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

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
        tiers: Whether the tier of every product is learned; it takes longer than all else together.
    """

    min_lines: int = 3
    encoding_weight: float = 8.0
    price_weight: float = 20.0
    effect_penalty: float = 0.1
    folds: int = 5
    tiers: bool = False


@dataclass(frozen=True)
class LogisticRecipe:
    """Logistic regression on standardised numbers and one column per word: the baseline.

    Attributes:
        inverse_penalty: Larger trusts single features more.
    """

    family: ClassVar[str] = "logistic"

    inverse_penalty: float = 1.0


@dataclass(frozen=True)
class TiersRecipe:
    """What the tiers of a basket's products say, and nothing else: logistic regression on their chances alone.

    Attributes:
        inverse_penalty: Larger trusts the chances more.
    """

    family: ClassVar[str] = "tiers"

    inverse_penalty: float = 100.0


@dataclass(frozen=True)
class TreeRecipe:
    """One decision tree.

    Attributes:
        max_depth: Of the tree.
        min_samples_leaf: Fewest training baskets in a leaf.
    """

    family: ClassVar[str] = "tree"

    max_depth: int = 8
    min_samples_leaf: int = 60


@dataclass(frozen=True)
class ForestRecipe:
    """Size and shape of a random forest; the file's size, and so a pod's start, grows with trees x leaves.

    Attributes:
        trees: How many.
        max_depth: Of a tree.
        min_samples_leaf: Fewest training baskets in a leaf.
        max_features: Share of the features that a split may choose from.
    """

    family: ClassVar[str] = "forest"

    trees: int = 120
    max_depth: int = 12
    min_samples_leaf: int = 15
    max_features: float = 0.3


@dataclass(frozen=True)
class XgboostRecipe:
    """Gradient boosting by XGBoost; every round grows one tree per class.

    Attributes:
        rounds: How many.
        learning_rate: Share of each tree's answer that counts.
        max_depth: Of a tree.
        min_child_weight: Least sum of weights in a leaf.
        subsample: Share of the baskets that a round sees.
        column_sample: Share of the features that a tree sees.
        penalty: L2 penalty on the leaves.
    """

    family: ClassVar[str] = "xgboost"

    rounds: int = 200
    learning_rate: float = 0.06
    max_depth: int = 4
    min_child_weight: float = 20.0
    subsample: float = 0.7
    column_sample: float = 0.5
    penalty: float = 5.0


@dataclass(frozen=True)
class HistgbRecipe:
    """Gradient boosting by scikit-learn; every round grows one tree per class.

    Attributes:
        rounds: How many.
        learning_rate: Share of each tree's answer that counts.
        max_leaves: Of a tree.
        min_samples_leaf: Fewest training baskets in a leaf.
        feature_share: Share of the features that a split may choose from.
        penalty: L2 penalty on the leaves.
    """

    family: ClassVar[str] = "histgb"

    rounds: int = 150
    learning_rate: float = 0.06
    max_leaves: int = 15
    min_samples_leaf: int = 60
    feature_share: float = 0.5
    penalty: float = 5.0


EstimatorRecipe = LogisticRecipe | TiersRecipe | TreeRecipe | ForestRecipe | XgboostRecipe | HistgbRecipe
"""What kind of estimator, and its parameters."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a model learns from given data.

    Attributes:
        name: Of the recipe.
        tables: How the feature tables are learned.
        estimator: What is fitted to the features.
        seed: Of what is random in it.
    """

    name: str
    tables: TableRecipe
    estimator: EstimatorRecipe
    seed: int = 20170101

    @property
    def family(self) -> str:
        """Kind of estimator."""
        return self.estimator.family

    def describe(self) -> dict[str, Any]:
        """The recipe as JSON."""
        return {**asdict(self), "family": self.family}


# v1 trusts only products sold often and shrinks their effects hard: safe, and blunt.
V1: Final = Recipe(
    "v1",
    TableRecipe(min_lines=20, effect_penalty=3.0),
    ForestRecipe(trees=60, max_depth=10, min_samples_leaf=30, max_features=0.3),
)
# v2 learns from nearly every product.
V2: Final = Recipe(
    "v2",
    TableRecipe(min_lines=3, effect_penalty=0.1),
    ForestRecipe(trees=100, max_depth=12, min_samples_leaf=15, max_features=0.3),
)

# v3 was found by tuning on households of training and validation (docs/evaluation.md): boosting on v2's tables.
V3: Final = Recipe(
    "v3",
    V2.tables,
    XgboostRecipe(
        rounds=170,
        learning_rate=0.1,
        max_depth=3,
        min_child_weight=10.0,
        subsample=0.94,
        column_sample=0.92,
        penalty=0.22,
    ),
)

RECIPES: Final = (V1, V2)
"""What `psm-train run` trains unless told otherwise."""

FAMILIES: Final = (
    Recipe("logistic", V2.tables, LogisticRecipe()),
    Recipe("tiers", TableRecipe(min_lines=1, tiers=True), TiersRecipe()),
    Recipe("tree", V2.tables, TreeRecipe()),
    Recipe("forest", V2.tables, ForestRecipe()),
    Recipe("xgboost", V2.tables, XgboostRecipe()),
    Recipe("histgb", V2.tables, HistgbRecipe()),
)
"""One recipe per family on v2's features, its parameters set by hand: where `psm-train tune` starts, what `benchmark` compares."""

KNOWN: Final = {recipe.name: recipe for recipe in (*RECIPES, V3, *FAMILIES)}
"""Every recipe by name; each can be trained, packaged and registered."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        PipelineError: There is none.
    """
    if name not in KNOWN:
        raise PipelineError(f"unknown recipe {name!r}; known are {', '.join(KNOWN)}")
    return KNOWN[name]
