"""Reads a tar.gz that nobody trusts, into memory: nothing is ever written where a member's name points.

Called by `verify`. Refuses what a model archive never needs: links, devices, sparse files, absolute paths, paths with
`..`, repeated names, too many members, too many bytes (counted as they come out of gzip, whatever the headers say).
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import ArchiveLimits

_FILE_TYPES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive; `data` is None unless it was asked for."""

    sha256: str
    data: bytes | None


class _Bounded(io.RawIOBase):
    """The unpacked stream, which ends with an error where a gzip bomb would go on."""

    def __init__(self, stream: gzip.GzipFile, limit_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._left = limit_bytes

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or as many as are allowed."""
        data = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ArtifactError(
                Reason.ARTIFACT_TOO_LARGE,
                f"the archive unpacks to more than {self._limit_bytes} bytes; raise PSM_MAX_UNPACKED_BYTES if it may",
            )
        return data


def read_archive(path: Path, limits: ArchiveLimits, keep: Collection[str]) -> dict[str, Member]:
    """Every file of the archive by name, with its digest.

    Args:
        path: The tar.gz.
        limits: What it may hold.
        keep: Names of the files whose bytes are wanted; the others are only hashed.

    Raises:
        ArtifactError: It is damaged, or holds something that is refused.
    """
    try:
        with (
            gzip.open(path) as stream,
            tarfile.open(fileobj=_Bounded(stream, limits.unpacked_bytes), mode="r|") as archive,
        ):
            return _members(archive, limits, keep)
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as err:
        raise ArtifactError(Reason.ARCHIVE_REJECTED, f"{path} is not a readable tar.gz: {err}") from err


def _members(archive: tarfile.TarFile, limits: ArchiveLimits, keep: Collection[str]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for number, info in enumerate(archive, start=1):
        if number > limits.files:
            raise _rejected(f"it has more than {limits.files} members")
        if info.isdir():
            _safe_name(info)
            continue
        if info.type not in _FILE_TYPES:
            raise _rejected(f"member {info.name!r} is a link, a device or sparse; only plain files are allowed")
        name = _safe_name(info)
        if name in members:
            raise _rejected(f"member {name!r} comes twice")
        members[name] = _read(archive, info, kept=name in keep)
    return members


def _safe_name(info: tarfile.TarInfo) -> str:
    path = PurePosixPath(info.name)
    if path.is_absolute() or ".." in path.parts or "\\" in info.name or "\0" in info.name:
        raise _rejected(f"member {info.name!r} points out of the archive")
    return str(path)


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo, *, kept: bool) -> Member:
    file = archive.extractfile(info)
    if file is None:  # cannot be: the type was checked
        raise _rejected(f"member {info.name!r} has no content")
    with file:
        if kept:
            data = file.read()
            return Member(hashlib.sha256(data).hexdigest(), data)
        digest = hashlib.sha256()
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
        return Member(digest.hexdigest(), None)


def _rejected(finding: str) -> ArtifactError:
    return ArtifactError(Reason.ARCHIVE_REJECTED, f"the archive is refused: {finding}; package the model again")
