"""Real model archives for tests, trained on synthetic baskets in well under two seconds and cached per process."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from psm_contract.features import basket_features
from psm_contract.manifest import MANIFEST, Manifest, Training
from psm_training.archive import pack
from psm_training.artifact import Fitted, Provenance, artifact_members
from psm_training.models.families import fit_estimator
from psm_training.recipes import EstimatorRecipe, ForestRecipe, TableRecipe, TiersRecipe
from psm_training.synthetic import generate
from psm_training.tables import cross_fitted_features, fit_tables

Members = dict[str, bytes]
CREATED_AT = "2026-01-01T00:00:00Z"
GIT_SHA = "0" * 40
SMALL = ForestRecipe(trees=10, max_depth=6)
LARGE = ForestRecipe(trees=100, max_depth=12, min_samples_leaf=1)
"""As large as the v2 that is trained on real data: some 60,000 leaves."""


@dataclass(frozen=True)
class ArtifactFile:
    """An archive on disk.

    Attributes:
        path: Of model.tar.gz.
        sha256: Its real digest.
        manifest: As trained; a `mutate` that rewrites manifest.json does not show here.
    """

    path: Path
    sha256: str
    manifest: Manifest

    @property
    def url(self) -> str:
        """The archive as a file:// address."""
        return self.path.absolute().as_uri()


def make_artifact(
    tmp_path: Path,
    *,
    seed: int = 0,
    estimator: EstimatorRecipe = SMALL,
    mutate: Callable[[Members], None] | None = None,
) -> ArtifactFile:
    """Writes tmp_path/model.tar.gz.

    Args:
        tmp_path: An existing folder.
        seed: Of the data and the estimator: another seed is another model.
        estimator: Its family and size.
        mutate: Changes the members (relative path -> content) before they are packed; digests in the manifest are
            left as they were, so that a test can break any of them.
    """
    members = dict(_members(seed, estimator))
    manifest = Manifest.from_json(members[MANIFEST])
    if mutate is not None:
        mutate(members)
    raw = pack(members)
    path = tmp_path / "model.tar.gz"
    path.write_bytes(raw)
    return ArtifactFile(path=path, sha256=hashlib.sha256(raw).hexdigest(), manifest=manifest)


@cache
def _members(seed: int, recipe: EstimatorRecipe) -> Members:
    gold = generate(baskets=2500, households=250, seed=seed).gold
    gold = gold.take(gold.label >= 0)
    held_out = gold.household % 4 == 0
    train, test = gold.take(~held_out), gold.take(held_out)
    of_tables = TableRecipe(tiers=isinstance(recipe, TiersRecipe))
    tables = fit_tables(train, of_tables)
    window = cross_fitted_features(train, tables, of_tables)
    estimator = fit_estimator(recipe, window, train.label, seed=seed)
    accuracy = float(estimator.score(basket_features(test.lines, tables), test.label))
    provenance = Provenance(
        training=Training(
            source="synthetic",
            first_week=int(train.week.min()),
            last_week=int(train.week.max()),
            baskets=len(train),
            households=train.households,
        ),
        metrics={"accuracy": accuracy, "macro_f1": accuracy, "precision_min_class": accuracy},
        git_sha=GIT_SHA,
        created_at=CREATED_AT,
    )
    return artifact_members(Fitted(estimator, tables, window), test, provenance)
