"""The user's cache: entries keyed by what they are made of, published whole, one builder at a time."""

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def content_key(parts: Iterable[str | bytes | Path]) -> str:
    """Return a short digest of texts and of files (their bytes) or folders (names and bytes of all files in order)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(_files(part)):
                digest.update(f"{file.relative_to(part) if file != part else file.name}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        else:
            digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock among all processes of this machine that name the same path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def published(target: Path, build: Callable[[Path], None]) -> Path:
    """Return `target`, made by `build` in a neighbouring folder and renamed when whole.

    An entry that exists is returned as it is. A build that fails leaves nothing; concurrent callers wait for the first.
    """
    if target.exists():
        return target
    with locked(target.with_name(f"{target.name}.lock")):
        if target.exists():
            return target
        fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        try:
            build(fresh)
            fresh.chmod(0o755)
            fresh.rename(target)
        except BaseException:  # an interrupted build must leave nothing that looks whole
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return target


def forget_others(entry: Path) -> None:
    """Remove older entries of the same kind (`<kind>-<key>`), so that the cache holds one of each."""
    kind = entry.name.rpartition("-")[0]
    for other in entry.parent.glob(f"{kind}-*"):
        if other.is_dir() and other != entry and other.name.rpartition("-")[0] == kind:
            shutil.rmtree(other, ignore_errors=True)
