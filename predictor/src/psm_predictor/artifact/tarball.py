"""Reads the two formats of a model archive, gzip and tar, as far as a model needs them; everything else is refused.

Used by `archive`. Python's own tarfile also reads sparse files, long names, several kinds of headers and what follows
an archive's end, and has had endless loops and quadratic searches in them; none of that is reachable here.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from psm_predictor.errors import ArtifactError, Reason

BLOCK_BYTES: Final = 512
_CHUNK_BYTES: Final = 256 * 1024
_GZIP: Final = 31  # zlib: a gzip header and trailer around the largest window

_NAME: Final = re.compile(rb"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?")
_NUMBER: Final = re.compile(rb" *([0-7]{1,12})[ \0]*")
_MAGICS: Final = (b"ustar\x0000", b"ustar  \x00")
"""POSIX and GNU; how the two differ beyond this matters only for what is refused."""

_FILES: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
_EXTENDED: Final = (b"x", b"g")
_MOST_EXTENDED_BYTES: Final = 64 * 1024
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n]{1,128})=")
_HARMLESS: Final = re.compile(
    rb"(atime|ctime|mtime|uid|gid|uname|gname|comment|(SCHILY|LIBARCHIVE)\.(?!realsize|sparse)[!-~]+)"
)
"""Keys of an extended header that change neither name nor size nor content."""


class Unpacked:
    """What comes out of the one gzip member of a file: counted, and hashed as it goes in."""

    def __init__(self, file: IO[bytes], limit_bytes: int) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        self._left = limit_bytes
        self._inflate = zlib.decompressobj(wbits=_GZIP)
        self._digest = hashlib.sha256()
        self._ready = b""
        self._at = 0

    @property
    def sha256(self) -> str:
        """Digest of the packed bytes read so far."""
        return self._digest.hexdigest()

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, piece by piece.

        Raises:
            ArtifactError: More comes out than is allowed.
            ValueError: It ends before.
            zlib.error: It is damaged.
        """
        while size:
            if self._at == len(self._ready) and not self._refill():
                raise ValueError(f"it ends {size} bytes too early")
            piece = self._ready[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def take(self, size: int) -> bytes:
        """The next `size` bytes; raises as `pieces`."""
        return b"".join(self.pieces(size))

    def rest(self) -> Iterator[bytes]:
        """What is left to the end of the file; raises as `pieces`, and ValueError for bytes after the gzip member."""
        yield self._ready[self._at :]
        while self._refill():
            yield self._ready
        self._at = len(self._ready)
        if self._inflate.unused_data or self._file.read(1):
            raise ValueError("bytes follow the gzip data")

    def _refill(self) -> bool:
        """Whether there was more."""
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail
            if not packed:
                packed = self._file.read(_CHUNK_BYTES)
                self._digest.update(packed)
            self._ready = self._inflate.decompress(packed, min(_CHUNK_BYTES, self._left + 1))
            self._at = 0
            self._left -= len(self._ready)
            if self._left < 0:
                raise ArtifactError(
                    Reason.ARTIFACT_TOO_LARGE,
                    f"the archive unpacks to more than {self._limit_bytes} bytes; raise PSM_MAX_UNPACKED_BYTES if it may",
                )
            if self._ready:
                return True
            if not packed and not self._inflate.eof:
                raise ValueError("the gzip data ends too early")
        return False


@dataclass(frozen=True, slots=True)
class Header:
    """One member.

    Attributes:
        name: Relative, plain ASCII, without `.` and `..`; empty for the folder of the whole archive.
        size: Bytes that follow.
        is_folder: A folder, else a file.
    """

    name: str
    size: int
    is_folder: bool


def next_header(stream: Unpacked) -> Header | None:
    """The next member, None at the end of the archive; what stands before it and changes nothing is passed over.

    Raises:
        ArtifactError: It is something that no model needs.
        ValueError: It is no tar header.
    """
    is_described = False
    while True:
        block = stream.take(BLOCK_BYTES)
        if not block.strip(b"\0"):
            _end(stream)
            return None
        size = _plain_header(block)
        kind = block[156:157]
        if kind not in _EXTENDED:
            return _member(block, kind, size)
        if is_described:
            raise rejected("it has an extended header for an extended header")
        is_described = True
        if size > _MOST_EXTENDED_BYTES:
            raise rejected(f"an extended header has {size} bytes, {_MOST_EXTENDED_BYTES} are allowed")
        _check_extended(stream.take(size))
        skip_padding(stream, size)


def skip_padding(stream: Unpacked, size: int) -> None:
    """Passes over what fills a member's last block."""
    stream.take(-size % BLOCK_BYTES)


def rejected(finding: str) -> ArtifactError:
    """The archive holds something that no model needs."""
    return ArtifactError(Reason.ARCHIVE_REJECTED, f"the archive is refused: {finding}; package the model again")


def _plain_header(block: bytes) -> int:
    """The size that a header names, once its checksum is right."""
    if block[257:265] not in _MAGICS:
        raise ValueError("a block is no tar header")
    stated = _number(block[148:156], "checksum")
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("a tar header has a wrong checksum")
    return _number(block[124:136], "size")


def _number(field: bytes, what: str) -> int:
    match = _NUMBER.fullmatch(field)
    if match is None:
        raise ValueError(f"a tar header has the {what} {field!r}, which is no octal number")
    return int(match[1], 8)


def _member(block: bytes, kind: bytes, size: int) -> Header:
    raw = block[:100].partition(b"\0")[0]
    if kind not in _FILES and kind != _FOLDER:
        raise rejected(
            f"member {_shown(raw)} is a link, a device, sparse or has a long name (type {kind!r}); only plain files are allowed"
        )
    is_posix = block[257:265] == _MAGICS[0]
    if is_posix and block[345:500].strip(b"\0"):
        raise rejected(f"a member has a name of more than 100 bytes, ending with {_shown(raw)}")
    is_folder = kind == _FOLDER
    if is_folder and size:
        raise rejected(f"folder {_shown(raw)} has content")
    name = _name(raw)
    if is_folder:
        name = name.rstrip("/")
    elif not name or name.endswith("/"):
        raise rejected(f"member {_shown(raw)} is a file with the name of a folder")
    return Header(name=name, size=size, is_folder=is_folder)


def _name(raw: bytes) -> str:
    relative = b"" if raw in (b".", b"./") else raw.removeprefix(b"./")
    if relative and (not _NAME.fullmatch(relative) or not {b".", b".."}.isdisjoint(relative.split(b"/"))):
        raise rejected(
            f"member {_shown(raw)} points out of the archive or has a name of other than A-Z a-z 0-9 . _ - /"
        )
    return relative.decode()


def _check_extended(raw: bytes) -> None:
    """Passes over a POSIX extended header whose records change nothing."""
    at = 0
    while at < len(raw):
        record = _RECORD.match(raw, at)
        end = at + int(record[1]) if record else 0
        if record is None or end < record.end() or end > len(raw) or raw[end - 1 : end] != b"\n":
            raise ValueError("an extended header has a damaged record")
        if not _HARMLESS.fullmatch(record[2]):
            raise rejected(f"an extended header sets {_shown(record[2])}")
        at = end


def _end(stream: Unpacked) -> None:
    if any(piece.strip(b"\0") for piece in stream.rest()):
        raise rejected("something follows the end of the archive")


def _shown(raw: bytes) -> str:
    return ascii(raw.decode(errors="backslashreplace"))
