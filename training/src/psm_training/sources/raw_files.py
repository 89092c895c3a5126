"""Raw files as they are delivered: .csv, .csv.gz or .zip, one or many, on this machine or in S3.

Finds them, tells whether one changed, and puts each on the local disk as a plain CSV file that is known to be whole.
"""

import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_contract.schema import COLUMN_NAMES
from psm_training.errors import PipelineError
from psm_training.lake.storage import Storage, open_storage

PREFIX: Final = "transactions"
SUFFIXES: Final = (".csv", ".csv.gz", ".zip")
CHUNK_BYTES: Final = 1 << 20
TAIL_BYTES: Final = 200
"""Of a file that is cut off: what its message shows."""


@dataclass(frozen=True)
class RawFile:
    """One CSV file as it lies in the source.

    Attributes:
        name: In the ledger: the file's name, with the member's behind a slash for a zip.
        stamp: Changes when the file does: size and time.
        storage: The folder it lies in.
        path: Its name there.
        member: Of a zip.
    """

    name: str
    stamp: str
    storage: Storage
    path: str
    member: str | None = None


@dataclass(frozen=True)
class Staged:
    """A raw file on the local disk, whole, with the columns of the schema.

    Attributes:
        name: Of the raw file.
        path: Plain CSV.
        sha256: Of the plain CSV: the same lines are the same however they are packed.
        header: Names of the columns, in the file's order.
    """

    name: str
    path: Path
    sha256: str
    header: tuple[str, ...]


def discover(data: str | Path) -> list[RawFile]:
    """The raw files of a folder, or the one file that is named, by name.

    Raises:
        PipelineError: There is none, or a zip is damaged.
    """
    text = str(data).rstrip("/")
    if text.endswith(SUFFIXES):
        folder, _, wanted = text.rpartition("/")
        storage = open_storage(folder or ".")
    else:
        wanted, storage = "", open_storage(text)
    found: list[RawFile] = []
    for info in storage.list(""):
        name = storage.name_of(info)
        if name == wanted or (not wanted and name.endswith(SUFFIXES) and name.startswith((PREFIX, "dunnhumby"))):
            found += _files_of(storage, name, f"{info.size} {info.mtime_ns}")
    if not found:
        raise PipelineError(
            f"{data} holds no {PREFIX}*.csv, .csv.gz or .zip; point --data at the Source Files, a folder, a file or s3://"
        )
    return sorted(found, key=lambda file: file.name)


def fingerprint(data: str | Path) -> list[str]:
    """Name and stamp of every raw file: changes when the data does."""
    return [f"{file.name} {file.stamp}" for file in discover(data)]


def _files_of(storage: Storage, name: str, stamp: str) -> list[RawFile]:
    if not name.endswith(".zip"):
        return [RawFile(name, stamp, storage, name)]
    with _whole(name), _opened(storage, name) as stream, zipfile.ZipFile(stream) as packed:
        members = [member for member in packed.namelist() if Path(member).name.startswith(PREFIX)]
    return [
        RawFile(f"{name}/{Path(member).name}", stamp, storage, name, member)
        for member in members
        if member.endswith(".csv")
    ]


def stage(file: RawFile, folder: Path) -> Staged:
    """Puts a raw file on the local disk and looks at its two ends.

    Args:
        file: From `discover`.
        folder: For a copy, where one is needed; of one file at a time.

    Raises:
        PipelineError: It is cut off, damaged, empty or has other columns.
    """
    plain = file.storage.is_local and file.path.endswith(".csv")
    path = Path(file.storage.path(file.path)) if plain else folder / "raw.csv"
    with _whole(file.name):
        digest = _digest(path) if plain else _unpacked(file, path)
    return Staged(file.name, path, digest, _checked_header(file.name, path))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpacked(file: RawFile, path: Path) -> str:
    digest = hashlib.sha256()
    with _opened(file.storage, file.path) as packed, _plain(file, packed) as stream, path.open("wb") as out:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


@contextmanager
def _opened(storage: Storage, name: str) -> Iterator[Any]:
    with storage.reached("read", name), storage.files.open_input_file(storage.path(name)) as stream:
        yield stream


@contextmanager
def _plain(file: RawFile, packed: Any) -> Iterator[Any]:
    """The CSV's bytes; gzip and zip check their own sums at the end."""
    if file.member is not None:
        with zipfile.ZipFile(packed) as archive, archive.open(file.member) as stream:
            yield stream
    elif file.path.endswith(".gz"):
        with gzip.GzipFile(fileobj=packed) as stream:
            yield stream
    else:
        yield packed


@contextmanager
def _whole(name: str) -> Iterator[None]:
    """Says of a damaged archive that it is one."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as err:
        raise PipelineError(f"{name} is cut off or damaged ({err}); deliver it again") from err


def _checked_header(name: str, path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        first = stream.readline()
        if not first.strip():
            raise PipelineError(f"{name} is empty; deliver it again")
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, end - TAIL_BYTES))
        tail = stream.read()
    header = next(csv.reader([first.decode("utf-8-sig", errors="replace").strip()]))
    missing = [column for column in COLUMN_NAMES if column not in header]
    unknown = [column for column in header if column not in COLUMN_NAMES]
    if missing or unknown or len(set(header)) < len(header):
        differences = [
            f"{what} {', '.join(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names
        ]
        raise PipelineError(
            f"{name} does not have the 22 columns of the schema: {'; '.join(differences) or 'one is there twice'}"
        )
    if not tail.endswith(b"\n"):
        last = tail.splitlines()[-1].decode("utf-8", errors="replace")
        raise PipelineError(f"{name} is cut off: its last line {last!r} has no line break; deliver it again")
    return tuple(header)
