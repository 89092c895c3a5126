"""Every family of estimators: fitted to the same bytes, packed with its proof, and served."""

import io
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from artifacts import _members, make_artifact

from psm_contract import manifest as contract
from psm_contract.features import Lines, basket_features
from psm_contract.manifest import Manifest
from psm_contract.schema import CLASSES
from psm_contract.tables import Tables
from psm_contract.trees import TreeEnsemble
from psm_predictor.artifact.fetch import fetch
from psm_predictor.artifact.load import load
from psm_predictor.artifact.verify import verify
from psm_predictor.settings import ArchiveLimits, PackageRef
from psm_training.archive import unpack
from psm_training.artifact import joblib_bytes
from psm_training.models.families import fit_estimator, size_of
from psm_training.recipes import (
    FAMILIES,
    KNOWN,
    RECIPES,
    V2,
    V3,
    EstimatorRecipe,
    ForestRecipe,
    HistgbRecipe,
    LogisticRecipe,
    TiersRecipe,
    TreeRecipe,
    XgboostRecipe,
)
from psm_training.synthetic import generate
from psm_training.tables import fit_tables

SMALL: tuple[EstimatorRecipe, ...] = (
    LogisticRecipe(),
    TiersRecipe(),
    TreeRecipe(max_depth=5),
    ForestRecipe(trees=8, max_depth=6),
    XgboostRecipe(rounds=8),
    HistgbRecipe(rounds=8),
)
families = pytest.mark.parametrize("recipe", SMALL, ids=lambda recipe: recipe.family)


@families
def test_an_archive_of_the_family_is_what_the_predictor_serves(tmp_path: Path, recipe: EstimatorRecipe) -> None:
    """Flat trees where it has trees, ONNX always; the predictor's own checks pass and every golden basket agrees."""
    artifact = make_artifact(tmp_path, estimator=recipe)
    members = unpack(artifact.path.read_bytes())
    assert (contract.TREES in members) == (recipe.family not in {"logistic", "tiers"})
    assert ("xgboost-cpu" in artifact.manifest.libraries) == (recipe.family == "xgboost")

    package = PackageRef(data_url=artifact.url, sha256=artifact.sha256, arn="arn", version=1)
    fetched = fetch(package, cache_dir=tmp_path, limit_bytes=ArchiveLimits().packed_bytes)
    model = load(verify(fetched, ArchiveLimits()))
    assert model.manifest == artifact.manifest

    baskets = artifact.manifest.golden_baskets
    matrix = basket_features(
        Lines.from_baskets([basket.lines for basket in baskets]), Tables.from_npz(members[contract.TABLES])
    )
    estimator = joblib.load(io.BytesIO(members[contract.JOBLIB]))
    expected = [basket.probabilities for basket in baskets]
    np.testing.assert_allclose(estimator.predict_proba(matrix), expected, atol=contract.GOLDEN_TOLERANCE)
    if contract.TREES in members:
        answered = TreeEnsemble.from_npz(members[contract.TREES]).probabilities(matrix)
        np.testing.assert_allclose(answered, expected, atol=contract.GOLDEN_TOLERANCE)


@families
def test_the_same_training_gives_the_same_archive(tmp_path: Path, recipe: EstimatorRecipe) -> None:
    """Fitted again from nothing; another seed of data and estimator is another model."""
    once = make_artifact(tmp_path, estimator=recipe).sha256
    _members.cache_clear()
    assert make_artifact(tmp_path, estimator=recipe).sha256 == once
    assert make_artifact(tmp_path, estimator=recipe, seed=1).sha256 != once


@families
def test_threads_change_nothing(recipe: EstimatorRecipe) -> None:
    """A machine with more cores trains the same bytes."""
    gold = generate(baskets=3000, households=200).gold
    gold = gold.take(gold.label >= 0)
    recipe_of_tables = replace(V2.tables, tiers=recipe.family == "tiers")
    matrix = basket_features(gold.lines, fit_tables(gold, recipe_of_tables))
    one, two = (fit_estimator(recipe, matrix, gold.label, seed=1, jobs=jobs) for jobs in (1, 2))
    assert joblib_bytes(one) == joblib_bytes(two)
    assert size_of(one) == size_of(two)


def test_the_manifest_names_the_classes_in_order() -> None:
    """Every family orders its probabilities as the labels are numbered."""
    for recipe in SMALL:
        manifest = Manifest.from_json(_members(0, recipe)[contract.MANIFEST])
        assert manifest.classes == CLASSES


def test_there_is_one_recipe_per_family_on_the_same_features() -> None:
    """So the comparison compares estimators, and nothing else; only tiers has what it alone decides by."""
    assert [recipe.name for recipe in FAMILIES] == [recipe.family for recipe in FAMILIES]
    assert {recipe.family for recipe in FAMILIES} == {recipe.family for recipe in SMALL}
    assert {recipe.tables for recipe in FAMILIES if recipe.family != "tiers"} == {V2.tables}
    assert [recipe.family for recipe in KNOWN.values() if recipe.tables.tiers] == ["tiers"]
    assert list(KNOWN) == [recipe.name for recipe in (*RECIPES, V3, *FAMILIES)]


def test_a_recipe_tells_its_family_and_parameters() -> None:
    """On the card of a model."""
    told = replace(V2, estimator=XgboostRecipe(rounds=7)).describe()
    assert (told["family"], told["estimator"]["rounds"], told["tables"]["min_lines"]) == ("xgboost", 7, 3)
