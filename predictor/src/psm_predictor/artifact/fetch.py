"""First step: brings model.tar.gz to the local disk and computes its digest on the way; judges nothing.

Called by `loading`. Blocking: runs in a thread, never on the event loop.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import PackageRef

_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FetchedArtifact:
    """An archive on the local disk; nothing about it is trusted yet.

    Attributes:
        source: The URL it came from, for messages.
        path: The file.
        sha256: Digest of the bytes that were read.
        expected_sha256: Digest that the package names.
    """

    source: str
    path: Path
    sha256: str
    expected_sha256: str


def fetch(package: PackageRef, *, cache_dir: Path, limit_bytes: int) -> FetchedArtifact:
    """Fetches the package's archive, from the cache if a file with the right digest is there.

    Args:
        package: What to fetch.
        cache_dir: Where archives from S3 are kept, named by their digest.
        limit_bytes: Largest archive.

    Raises:
        ArtifactError: It does not exist, may not be read, or is too large.
        ArtifactUnavailable: The store does not answer; worth another try.
    """
    url = urlsplit(package.data_url)
    if url.scheme == "file":
        path = Path(unquote(url.path))
        return FetchedArtifact(package.data_url, path, _digest(path, limit_bytes), package.sha256)
    cached = cache_dir / f"{package.sha256}.tar.gz"
    if cached.is_file() and _digest(cached, limit_bytes) == package.sha256:
        return FetchedArtifact(package.data_url, cached, package.sha256, package.sha256)
    # botocore is imported only by a process that needs it: 0.3 s of cold start and 25 MB
    from psm_predictor.artifact import s3  # noqa: PLC0415

    chunks = s3.read_object(url.netloc, unquote(url.path.lstrip("/")), chunk_bytes=_CHUNK_BYTES)
    path, digest = _store(chunks, cache_dir, package.data_url, limit_bytes)
    return FetchedArtifact(package.data_url, path, digest, package.sha256)


def _digest(path: Path, limit_bytes: int) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or /dev/zero would never end
            raise ArtifactError(Reason.ARTIFACT_MISSING, f"{path} is not a file")
        if found.st_size > limit_bytes:
            raise _too_large(str(path), limit_bytes)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as err:  # ValueError: a path with a zero byte
        said = getattr(err, "strerror", err)
        raise ArtifactError(Reason.ARTIFACT_MISSING, f"{path} cannot be read: {said}") from err


def _store(chunks: Iterable[bytes], cache_dir: Path, source: str, limit_bytes: int) -> tuple[Path, str]:
    """Writes the chunks beside the cache and renames the file to its own digest, so a broken one is never found."""
    cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache_dir, prefix="incoming-", delete=False) as file:
        incoming = Path(file.name)
        try:
            digest = _copy(chunks, file, source, limit_bytes)
        except BaseException:
            incoming.unlink()
            raise
    path = cache_dir / f"{digest}.tar.gz"
    os.replace(incoming, path)  # noqa: PTH105  # Path.replace does the same; os.replace says that it is atomic
    return path, digest


def _copy(chunks: Iterable[bytes], file: IO[bytes], source: str, limit_bytes: int) -> str:
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(source, limit_bytes)
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


def _too_large(what: str, limit_bytes: int) -> ArtifactError:
    return ArtifactError(
        Reason.ARTIFACT_TOO_LARGE,
        f"{what} is larger than {limit_bytes} bytes; raise PSM_MAX_ARCHIVE_BYTES if it may be",
    )
