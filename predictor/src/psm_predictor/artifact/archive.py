"""Reads a tar.gz that nobody trusts, into memory: nothing is ever written where a member's name points.

Called by `verify`. Refuses what a model archive never needs: links, devices, sparse files, absolute paths, paths with
`..`, names of more than plain letters, repeated names, too many members, too many bytes (counted as they come out of
gzip, whatever the headers say), anything after the archive's end.
"""

import hashlib
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from psm_predictor.artifact.tarball import Header, Unpacked, next_header, rejected, skip_padding
from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import ArchiveLimits


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the archive; `data` is None unless it was asked for."""

    sha256: str
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Archive:
    """Every file of an archive by name, and the digest of the packed bytes that they came from."""

    sha256: str
    members: Mapping[str, Member]


def read_archive(path: Path, limits: ArchiveLimits, keep: Collection[str]) -> Archive:
    """Reads the whole archive.

    Args:
        path: The tar.gz.
        limits: What it may hold.
        keep: Names of the files whose bytes are wanted; the others are only hashed.

    Raises:
        ArtifactError: It is damaged, or holds something that is refused.
    """
    try:
        with path.open("rb") as file:
            stream = Unpacked(file, limits.unpacked_bytes)
            members = _members(stream, limits, keep)
            return Archive(sha256=stream.sha256, members=members)
    except (OSError, zlib.error, ValueError) as err:
        raise ArtifactError(Reason.ARCHIVE_REJECTED, f"{path} is not a readable tar.gz: {err}") from err


def _members(stream: Unpacked, limits: ArchiveLimits, keep: Collection[str]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    count = 0
    while (header := next_header(stream)) is not None:
        count += 1
        if count > limits.files:
            raise rejected(f"it has more than {limits.files} members")
        if header.is_folder:
            continue
        if header.name in members:
            raise rejected(f"member {header.name!r} comes twice")
        members[header.name] = _read(stream, header, kept=header.name in keep)
        skip_padding(stream, header.size)
    return members


def _read(stream: Unpacked, header: Header, *, kept: bool) -> Member:
    digest = hashlib.sha256()
    pieces: list[bytes] = []
    for piece in stream.pieces(header.size):
        digest.update(piece)
        if kept:
            pieces.append(piece)
    return Member(digest.hexdigest(), b"".join(pieces) if kept else None)
