"""Ours: the pipeline's own steps, with quarantine, manifests and content hashes."""

from pathlib import Path

from psm_training.ingest import ingest
from psm_training.split import split
from psm_training.workspace import Workspace


def gold(source: Path, out: Path) -> None:
    """See the package."""
    space = Workspace(out)
    ingest(space, "source-files", source)
    split(space)
