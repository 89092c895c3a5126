"""Ours: the flat arrays of trees.npz and the C kernel."""

from pathlib import Path
from typing import Any

from psm_contract.trees import TreeEnsemble
from psm_predictor.engines.trees import TreesEngine


def load(directory: Path) -> Any:
    """The engine."""
    return TreesEngine(TreeEnsemble.from_npz((directory / "trees.npz").read_bytes()))
