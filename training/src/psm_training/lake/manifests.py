"""Which files a week consists of. A week is in the lake when its manifest is: readers open what manifests name.

`<table>/SHOP_WEEK=200801/STORE_REGION=E01/<sha256[:16]>.parquet` are the files, `<table>/_weeks/200801.json` the
manifest, written last. A file is named after its content and never changes, so a reader that opened a week before it
was made again goes on reading what it opened: files of the manifest before the last one stay.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from psm_training.errors import PipelineError
from psm_training.lake.storage import Storage

WEEKS: Final = "_weeks"
REMEDY: Final = "remove the lake's folder and ingest again"
NAME_DIGITS: Final = 16
"""Of the sha256 in a file's name: 64 bits tell the files of one partition apart, the manifest has all 256."""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file: its name inside the table, sha256 of its bytes, number of rows."""

    name: str
    sha256: str
    rows: int

    @property
    def region(self) -> str:
        """Of the stores, from the name."""
        return self.name.split("/")[1].removeprefix("STORE_REGION=")


@dataclass(frozen=True)
class Week:
    """A committed week.

    Attributes:
        week: yyyyww.
        inputs: Digest of what it was made from; the same inputs need no second making.
        files: In the order of their names.
        raw: What the raw files of a silver week looked like: "files" with name, sha256 and lines, "lines",
            "quarantined" lines by reason, "duplicates" left out.
    """

    week: int
    inputs: str
    files: tuple[DataFile, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Of all files."""
        return sum(file.rows for file in self.files)

    @property
    def digest(self) -> str:
        """Of the content: what a table made from this week names as its input."""
        return digest_of(f"{file.name} {file.sha256}" for file in self.files)

    def partitions(self) -> dict[tuple[int, str], int]:
        """Rows of each region of the week."""
        return {(self.week, file.region): file.rows for file in self.files}

    def of(self, files: tuple[DataFile, ...]) -> "Week":
        """The same week with its files."""
        return replace(self, files=files)

    def to_json(self) -> bytes:
        """The manifest's bytes."""
        document = {**asdict(self), "rows": self.rows}
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, raw: bytes) -> "Week":
        """Reads a manifest."""
        document = json.loads(raw)
        files = tuple(DataFile(file["name"], file["sha256"], file["rows"]) for file in document["files"])
        return cls(document["week"], document["inputs"], files, document["raw"])


@dataclass(frozen=True)
class Table:
    """Silver or gold.

    Attributes:
        storage: The table's own folder.
    """

    storage: Storage

    def weeks(self, chosen: Collection[int] | None = None) -> dict[int, Week]:
        """Committed weeks, in order.

        Args:
            chosen: Which of them; all by default.
        """
        if chosen is not None:
            names = [name for week in sorted(chosen) if self.storage.exists(name := f"{WEEKS}/{week}.json")]
        else:
            names = [self.storage.name_of(info) for info in self.storage.list(WEEKS)]
        found = [self._read_week(name) for name in names if name.endswith(".json")]
        return {week.week: week for week in sorted(found, key=lambda week: week.week)}

    def _read_week(self, name: str) -> Week:
        try:
            return Week.from_json(self.storage.read(name))
        except (ValueError, KeyError, TypeError) as err:
            raise PipelineError(f"{self.storage.where(name)} is damaged ({err}); {REMEDY}") from err

    def digest(self) -> str:
        """Of the content of all weeks."""
        return digest_of(f"{week.week} {week.digest}" for week in self.weeks().values())

    def write(self, week: int, region: str, rows: Any) -> DataFile:
        """Writes one file of a partition; nobody sees it before its week is committed.

        Args:
            week: yyyyww.
            region: Of the stores.
            rows: A pyarrow.Table without the two columns that the path holds.
        """
        import pyarrow as pa  # noqa: PLC0415  # approve and reject start without Arrow
        import pyarrow.parquet as pq  # noqa: PLC0415  # as above

        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer, compression="snappy", store_schema=False, write_statistics=_numbers(rows))
        raw = memoryview(buffer.getvalue())
        digest = hashlib.sha256(raw).hexdigest()
        name = f"SHOP_WEEK={week}/STORE_REGION={region}/{digest[:NAME_DIGITS]}.parquet"
        if not self.storage.exists(name):
            self.storage.write(name, raw)
        return DataFile(name, digest, rows.num_rows)

    def commit(self, week: Week) -> None:
        """Makes a week visible, then forgets files that neither this manifest nor the one before names."""
        name = f"{WEEKS}/{week.week}.json"
        before = self._read_week(name).files if self.storage.exists(name) else ()
        self.storage.write(name, week.to_json())
        named = {file.name for file in (*week.files, *before)}
        for info in self.storage.list(f"SHOP_WEEK={week.week}", recursive=True):
            if self.storage.name_of(info) not in named:
                self.storage.delete(self.storage.name_of(info))

    def drop(self, weeks: Iterable[int]) -> None:
        """Takes weeks out of the lake, their manifests first."""
        for week in weeks:
            self.storage.delete(f"{WEEKS}/{week}.json")
            for info in self.storage.list(f"SHOP_WEEK={week}", recursive=True):
                self.storage.delete(self.storage.name_of(info))

    def verify(self) -> int:
        """Reads every file and compares it with its manifest; how many there are.

        Raises:
            PipelineError: One is not there or was changed.
        """
        files = [file for week in self.weeks().values() for file in week.files]
        for file in files:
            self.read(file)
        return len(files)

    def read(self, file: DataFile) -> bytes:
        """The bytes of a file, as they were written.

        Raises:
            PipelineError: It is not there or was changed.
        """
        where = self.storage.where(file.name)
        try:
            raw = self.storage.read(file.name)
        except FileNotFoundError:
            raise PipelineError(f"{where} is gone; {REMEDY}") from None
        digest = hashlib.sha256(raw).hexdigest()
        if digest != file.sha256:
            raise PipelineError(f"{where} has sha256 {digest}, its manifest says {file.sha256}; {REMEDY}")
        return raw

    def forget(self, week: int, files: Iterable[DataFile]) -> None:
        """Removes files that were written for a week and are not to be committed."""
        made = self.weeks([week]).get(week)
        for file in set(files) - set(made.files if made is not None else ()):
            self.storage.delete(file.name)


def _numbers(rows: Any) -> list[str]:
    """Columns whose least and greatest values are worth writing: those of texts tell little and cost half the time."""
    import pyarrow as pa  # noqa: PLC0415  # approve and reject start without Arrow

    return [field.name for field in rows.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]


def digest_of(parts: Iterable[str]) -> str:
    """One digest of several texts, in any order."""
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()
