"""Raw files as they are delivered: .csv, .csv.gz or .zip, one or many, on this machine or in S3.

Finds them, tells whether one changed, and puts each on the local disk as a plain CSV file that is known to be whole.
"""

import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_contract.physical import LineCount
from psm_training.errors import PipelineError
from psm_training.lake.storage import Storage, open_storage
from psm_training.sources.header import MOST_BYTES, header_of
from psm_training.terms import STRICT, Terms

PREFIX: Final = "transactions"
PREFIXES: Final = (PREFIX, "dunnhumby")
ARCHIVE: Final = ".zip"
PACKED: Final = ".gz"
PLAIN: Final = ".csv"
TEXTS: Final = (PLAIN, PLAIN + PACKED)
SUFFIXES: Final = (*TEXTS, ARCHIVE)
CHUNK_BYTES: Final = 1 << 20
TAIL_BYTES: Final = 200
"""Of a file that is cut off: what its message shows."""

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_DEFLATE64: Final = 9
_ENCRYPTED: Final = 0x1
"""Bit of a member's flags."""


@dataclass(frozen=True)
class RawFile:
    """One CSV file as it lies in the source.

    Attributes:
        name: Its whole place below the source: folders, file and, of a zip, the member behind a slash.
        stamp: Changes when the file does: size and time.
        storage: The folder of the source.
        path: Its name there.
        member: Its place among the members of a zip.
    """

    name: str
    stamp: str
    storage: Storage
    path: str
    member: int | None = None

    @property
    def is_packed(self) -> bool:
        """Whether its bytes are gzip's."""
        return self.name.lower().endswith(PACKED)


@dataclass(frozen=True)
class Found:
    """What lies in a source.

    Attributes:
        files: To be read, by name.
        passed_over: Names of what is not, by name.
    """

    files: list[RawFile]
    passed_over: list[str]


@dataclass(frozen=True)
class Staged:
    """A raw file on the local disk, whole, with the columns of the schema.

    Attributes:
        name: Of the raw file.
        path: Plain CSV.
        sha256: Of the plain CSV: the same lines are the same however they are packed.
        header: Names of the columns, in the file's order.
        lines: Physical lines after the header, counted while the file was copied and not by who reads them.
    """

    name: str
    path: Path
    sha256: str
    header: tuple[str, ...]
    lines: int


def discover(data: str | Path) -> Found:
    """Return the raw files of a folder and those below it, or the one file that is named.

    Raises:
        PipelineError: There is none, or a zip cannot be opened.
    """
    text = str(data).rstrip("/")
    is_file = text.lower().endswith(SUFFIXES) and not Path(text).is_dir()
    folder, _, wanted = text.rpartition("/") if is_file else (text, "", "")
    storage = open_storage(folder or ("/" if text.startswith("/") else "."))
    found, passed_over = [], []
    for info in storage.list("", recursive=not is_file):
        name = storage.name_of(info)
        if is_file and name != wanted:
            continue
        if not is_file and not _is_meant(name, SUFFIXES, PREFIXES):
            passed_over.append(name)
            continue
        files, others = _files_of(storage, name, f"{info.size} {info.mtime_ns}")
        found += files
        passed_over += others
    if not found:
        seen = f"; there are {told(passed_over)}" if passed_over else ""
        raise PipelineError(
            f"{data} holds no {PREFIX}*.csv, .csv.gz or .zip{seen}; point --data at the Source Files, a folder, a file "
            "or s3://"
        )
    return Found(sorted(found, key=lambda file: file.name), sorted(passed_over))


def told(names: list[str], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def flat(name: str) -> str:
    """Return the name of one file for a file below folders; no two have the same."""
    return name.replace("~", "~0").replace("/", "~1")


def fingerprint(data: str | Path) -> list[str]:
    """Return name and stamp of every raw file: changes when the data does."""
    return [f"{file.name} {file.stamp}" for file in discover(data).files]


def _is_meant(name: str, suffixes: tuple[str, ...], prefixes: tuple[str, ...]) -> bool:
    base = name.rpartition("/")[2].lower()
    return base.startswith(prefixes) and base.endswith(suffixes)


def _files_of(storage: Storage, name: str, stamp: str) -> tuple[list[RawFile], list[str]]:
    """The CSV files that a file is or holds, and what else it holds."""
    if not name.lower().endswith(ARCHIVE):
        return [RawFile(name, stamp, storage, name)], []
    with _opened(storage, name) as stream, _whole(name), zipfile.ZipFile(stream) as packed:
        members = packed.infolist()
    files, others = [], []
    times: Counter[str] = Counter()
    for place, member in enumerate(members):
        if member.is_dir():
            continue
        times[member.filename] += 1
        again = f" ({times[member.filename]})" if times[member.filename] > 1 else ""
        full = f"{name}/{member.filename}{again}"
        if not _is_meant(member.filename, TEXTS, (PREFIX,)):
            others.append(full)
            continue
        _check_method(full, member)
        files.append(RawFile(full, stamp, storage, name, place))
    return files, others


def _check_method(name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise PipelineError(f"{name} is encrypted; unpack the archive, and point --data at what was in it")
    if member.compress_type not in _METHODS:
        how = "Deflate64" if member.compress_type == _DEFLATE64 else f"method {member.compress_type}"
        raise PipelineError(
            f"{name} is packed by {how}, which is not read here; unpack the archive, or pack it by Deflate"
        )


def stage(file: RawFile, folder: Path, terms: Terms = STRICT) -> Staged:
    """Put a raw file on the local disk and look at its two ends.

    Args:
        file: From `discover`.
        folder: For a copy, where one is needed; of one file at a time.
        terms: Names and columns that are allowed besides the schema's.

    Raises:
        PipelineError: It is cut off, damaged, empty or has other columns.
    """
    is_plain = file.storage.is_local and file.member is None and not file.is_packed
    path = Path(file.storage.path(file.path)) if is_plain else folder / "raw.csv"
    digest, lines = _read(file.name, path) if is_plain else _unpacked(file, path)
    header = _checked_ends(file.name, path, terms)
    if lines <= 1:
        raise PipelineError(f"{file.name} has a header and no lines; deliver it again")
    return Staged(file.name, path, digest, header, lines - 1)


def _read(name: str, path: Path) -> tuple[str, int]:
    """sha256 and number of lines of a file on this machine."""
    try:
        with path.open("rb") as stream:
            return _copied(stream, None)
    except OSError as err:
        raise PipelineError(f"{name} cannot be read: {err}") from err


def _unpacked(file: RawFile, path: Path) -> tuple[str, int]:
    with (
        _opened(file.storage, file.path) as packed,
        _whole(file.name),
        _plain(file, packed) as stream,
        path.open("wb") as out,
    ):
        return _copied(stream, out)


def _copied(stream: Any, out: Any) -> tuple[str, int]:
    digest, count = hashlib.sha256(), LineCount()
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        count.add(chunk)
        if out is not None:
            out.write(chunk)
    return digest.hexdigest(), count.lines


@contextmanager
def _opened(storage: Storage, name: str) -> Iterator[Any]:
    with storage.reached("read", name), storage.files.open_input_file(storage.path(name)) as stream:
        yield stream


@contextmanager
def _plain(file: RawFile, packed: Any) -> Iterator[Any]:
    """The CSV's bytes; gzip and zip check their own sums at the end."""
    if file.member is not None:
        with zipfile.ZipFile(packed) as archive, archive.open(archive.infolist()[file.member]) as stream:
            if file.is_packed:
                with gzip.GzipFile(fileobj=stream) as inner:
                    yield inner
            else:
                yield stream
    elif file.is_packed:
        with gzip.GzipFile(fileobj=packed) as stream:
            yield stream
    else:
        yield packed


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """Say of a damaged archive that it is one: no second try makes it whole."""
    damaged = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, IndexError, UnicodeError)
    try:
        yield
    except damaged as err:
        raise PipelineError(f"{name} is cut off or damaged ({err}); deliver it again") from err
    except NotImplementedError as err:
        raise PipelineError(f"{name} cannot be unpacked here ({err}); unpack it, and deliver what was in it") from err
    except OSError as err:
        if err.errno is not None:  # of the disk or the network, not of the archive
            raise
        raise PipelineError(f"{name} is cut off or damaged ({err}); deliver it again") from err


def _checked_ends(name: str, path: Path, terms: Terms) -> tuple[str, ...]:
    with path.open("rb") as stream:
        start = stream.read(MOST_BYTES)
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, end - TAIL_BYTES))
        tail = stream.read()
    header = header_of(name, start, terms)
    if not tail.endswith((b"\n", b"\r")):
        last = tail.splitlines()[-1].decode("utf-8", errors="replace")
        raise PipelineError(f"{name} is cut off: its last line {last!r} has no line break; deliver it again")
    return header
