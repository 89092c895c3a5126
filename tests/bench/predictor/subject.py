"""What everybody serves and is asked: one forest of v2's size, trained on synthetic baskets, and 100,000 other baskets.

Made once by psm_training and kept in the build folder, under the digest of the code that made it. `Subject` is what
the bench reads; a contestant finds the files in its working directory.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
from artifacts import CREATED_AT, GIT_SHA, ArtifactFile
from bench.results import REPOSITORY
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from psm_contract.features import basket_features
from psm_contract.manifest import JOBLIB, MANIFEST, Feature, Manifest, Training
from psm_contract.tables import Tables
from psm_training.archive import pack
from psm_training.artifact import Fitted, Provenance, artifact_members
from psm_training.gold import UNLABELLED
from psm_training.models.families import fit_estimator
from psm_training.recipes import recipe_named
from psm_training.synthetic import generate
from psm_training.tables import cross_fitted_features, fit_tables

RECIPE: Final = recipe_named("v2")
TRAINING_BASKETS: Final = 50_000  # as many as the real source has in its training window
BASKETS: Final = 100_000
JOBS: Final = 2

ARCHIVE: Final = "model.tar.gz"
PIPELINE: Final = "pipeline.joblib"
"""As the peers' documentation serves a model: encoders and forest over a DataFrame, in one pickle."""
MATRIX: Final = "matrix.npy"
EXPECTED: Final = "expected.npy"

Words = dict[str, float | str]


@dataclass(frozen=True)
class Basket:
    """One basket: its features by name, categories as words, and in order as the numbers the forest takes."""

    words: Words
    numbers: list[float]


@dataclass(frozen=True)
class Subject:
    """The model and the baskets.

    Attributes:
        directory: Where its files are.
        artifact: The archive.
        matrix: [BASKETS, features], float32.
        expected: scikit-learn's probabilities, [BASKETS, classes].
        leaves: Of all trees.
    """

    directory: Path
    artifact: ArtifactFile
    matrix: NDArray[np.float32]
    expected: NDArray[np.float64]

    def baskets(self, first: int, count: int) -> list[Basket]:
        """Some of the baskets as a client would send them."""
        features = self.artifact.manifest.features
        return [_basket(features, row) for row in self.matrix[first : first + count]]


def make_subject(root: Path) -> Subject:
    """The subject; trains if this code has not trained yet."""
    directory = root / _digest()
    done = directory / "complete"
    if not done.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _train(directory)
        done.touch()
    archive = (directory / ARCHIVE).read_bytes()
    manifest = Manifest.from_json((directory / MANIFEST).read_bytes())
    return Subject(
        directory=directory,
        artifact=ArtifactFile(directory / ARCHIVE, hashlib.sha256(archive).hexdigest(), manifest),
        matrix=np.load(directory / MATRIX),
        expected=np.load(directory / EXPECTED),
    )


def _digest() -> str:
    sources = [Path(__file__)]
    for package in ("training", "contract"):
        sources += sorted((REPOSITORY / package / "src").rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _train(directory: Path) -> None:
    """Writes the archive's members, the archive, the pipeline, the other baskets and what scikit-learn answers for them."""
    members, tables = _members()
    for name, content in members.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(content)
    (directory / ARCHIVE).write_bytes(pack(members))
    forest = joblib.load(io.BytesIO(members[JOBLIB]))
    baskets = generate(baskets=BASKETS, households=BASKETS // 10, seed=2).gold
    matrix = basket_features(baskets.lines, tables)
    manifest = Manifest.from_json(members[MANIFEST])
    joblib.dump(_pipeline(manifest.features, forest), directory / PIPELINE)
    np.save(directory / MATRIX, matrix)
    np.save(directory / EXPECTED, forest.predict_proba(matrix))


def _members() -> tuple[dict[str, bytes], Tables]:
    gold = generate(baskets=TRAINING_BASKETS, households=TRAINING_BASKETS // 10, seed=1).gold
    gold = gold.take(gold.label != UNLABELLED)
    held_out = gold.household % 10 == 0
    train, test = gold.take(~held_out), gold.take(held_out)
    tables = fit_tables(train, RECIPE.tables)
    window = cross_fitted_features(train, tables, RECIPE.tables)
    forest = fit_estimator(RECIPE.estimator, window, train.label, seed=RECIPE.seed, jobs=JOBS)
    accuracy = float(forest.score(basket_features(test.lines, tables), test.label))
    provenance = Provenance(
        training=Training(
            source="synthetic",
            first_week=int(train.week.min()),
            last_week=int(train.week.max()),
            baskets=len(train),
            households=train.households,
        ),
        metrics={"accuracy": accuracy},
        git_sha=GIT_SHA,
        created_at=CREATED_AT,
    )
    return artifact_members(Fitted(forest, tables, window), test, provenance), tables


def _pipeline(features: Sequence[Feature], forest: RandomForestClassifier) -> Pipeline:
    """Encoders by name before the forest; numbers come first among the features, so that the order stays."""
    numbers = [feature.name for feature in features if feature.kind == "number"]
    words = [feature for feature in features if feature.kind == "category"]
    if [feature.name for feature in features] != [*numbers, *(feature.name for feature in words)]:
        raise ValueError("the features no longer begin with all numbers; let the pipeline reorder them")
    encode = ColumnTransformer(
        [
            ("numbers", "passthrough", numbers),
            ("words", OrdinalEncoder(categories=[list(feature.vocabulary) for feature in words]), _names(words)),
        ]
    )
    encode.fit(_frame([_basket(features, np.zeros(len(features), dtype=np.float32)).words]))
    return Pipeline([("encode", encode), ("forest", forest)])


def _names(features: Sequence[Feature]) -> list[str]:
    return [feature.name for feature in features]


def _frame(rows: list[Words]) -> Any:
    import pandas as pd  # noqa: PLC0415  # only where the model is made

    return pd.DataFrame(rows)


def _basket(features: Sequence[Feature], row: NDArray[np.float32]) -> Basket:
    """Numbers in the fewest digits that give the same float32, as a client would write them."""
    numbers = [float(str(value)) for value in row]
    words: Words = {
        feature.name: feature.vocabulary[int(value)] if feature.kind == "category" else value
        for feature, value in zip(features, numbers, strict=True)
    }
    return Basket(words, numbers)


def size_of(directory: Path) -> dict[str, Any]:
    """What the page says of the model."""
    forest = joblib.load(directory / JOBLIB)
    manifest = json.loads((directory / MANIFEST).read_bytes())
    return {
        "trees": len(forest.estimators_),
        "leaves": int(sum(tree.get_n_leaves() for tree in forest.estimators_)),
        "depth": int(max(tree.get_depth() for tree in forest.estimators_)),
        "features": len(manifest["features"]),
        "archive_kib": round((directory / ARCHIVE).stat().st_size / 1024),
    }
