"""Finished steps in SageMaker's checkpoint folder, so that a job whose spot instance was taken away goes on where it was.

A step is published as one small document that names its files by their digests; the files were there before it. Whatever
moment the folder is copied at, what a document names is complete or visibly damaged, and then the step runs again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 1024 * 1024

Stamp = tuple[int, int]
"""Size and time of change: whether a file may have been written since."""


@dataclass(frozen=True)
class Checkpoints:
    """The steps that one job finished.

    Attributes:
        folder: That SageMaker copies.
        key: Of everything that decides the outcome: what another order left is not looked at.
    """

    folder: Path
    key: str

    @property
    def _own(self) -> Path:
        return self.folder / self.key[:16]

    def save(self, step: str, root: Path, before: dict[str, Stamp]) -> None:
        """Publishes a step: every file of the workspace that changed since `before`."""
        objects = self._own / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        for name, stamp in stamps(root).items():
            if before.get(name) == stamp:
                continue
            files[name] = digest = _sha256(root / name)
            if not (objects / digest).exists():
                partial = objects / f"{digest}.partial"
                shutil.copyfile(root / name, partial)
                partial.replace(objects / digest)
        document = self._own / f"{step}.json"
        partial = document.with_suffix(".partial")
        partial.write_text(json.dumps({"step": step, "files": files}, indent=1, sort_keys=True), encoding="utf-8")
        partial.replace(document)

    def restore(self, steps: Sequence[str], root: Path) -> list[str]:
        """Brings the files of finished steps back.

        Returns:
            The steps that need not run: the first ones of `steps`, up to one that is missing or damaged.
        """
        done: list[str] = []
        for step in steps:
            files = self._files_of(step)
            if files is None:
                break
            for name, digest in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._own / "objects" / digest, root / name)
            done.append(step)
        return done

    def _files_of(self, step: str) -> dict[str, str] | None:
        """Files of a step by name; None when it is not complete here."""
        try:
            document = json.loads((self._own / f"{step}.json").read_text(encoding="utf-8"))
            files = {str(name): str(digest) for name, digest in document["files"].items()}
            intact = all(_sha256(self._own / "objects" / digest) == digest for digest in files.values())
        except (OSError, ValueError, KeyError):
            return None
        return files if intact else None


def stamps(root: Path) -> dict[str, Stamp]:
    """Every file below a folder, by its path from there."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            status = path.stat()
            found[path.relative_to(root).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
