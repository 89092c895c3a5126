"""The store on this machine: an offline log of Parquet files, in a folder or in S3, and sqlite for the newest records.

Offline: `<group>/year=2017/month=10/<sha256[:16]>.parquet`, partitioned by event time. Files are named after their
content and never change, so writing one is atomic, and a put that is repeated after a crash adds nothing twice.
"""

import hashlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from psm_training.errors import PipelineError
from psm_training.feature_store.groups import EVENT_TIME, IS_DELETED, WRITE_TIME, FeatureGroup
from psm_training.feature_store.history import changed
from psm_training.feature_store.ports import Record
from psm_training.lake.storage import Storage

ARROW_TYPES: Final = {"Integral": pa.int64(), "Fractional": pa.float64(), "String": pa.string()}
NAME_DIGITS: Final = 16
DEFINITION: Final = "definition.json"
BUSY_S: Final = 30.0
"""How long a writer waits for another one."""

_YEAR_AND_MONTH: Final = slice(0, 7)
"""Of an event time: 2017-10."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS record (
    feature_group TEXT, identifier TEXT, event_time TEXT, content TEXT, PRIMARY KEY (feature_group, identifier)
) WITHOUT ROWID
"""
_PUT: Final = """
INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET event_time = excluded.event_time, content = excluded.content
WHERE excluded.event_time >= record.event_time
"""


class LocalFeatureStore:
    """Both stores; several processes may write at once."""

    def __init__(self, offline: Storage, online: Path, now: Callable[[], datetime]) -> None:
        """Opens the store.

        Args:
            offline: Folder of the log.
            online: sqlite file; made when missing.
            now: The time in UTC, without a time zone.
        """
        self._offline, self._online, self._now = offline, online, now

    def create(self, group: FeatureGroup) -> None:
        """Makes the group, or finds it as it is defined."""
        name, wanted = f"{group.name}/{DEFINITION}", [list(pair) for pair in group.definitions]
        if not self._offline.exists(name):
            self._offline.write(name, (json.dumps(wanted, indent=1) + "\n").encode())
        there = json.loads(self._offline.read(name))
        if there != wanted:
            different = sorted({str(pair) for pair in wanted} ^ {str(pair) for pair in there}) or ["their order"]
            raise PipelineError(
                f"feature group {group.name} is there with other features ({', '.join(different)}); use another store"
            )

    def put(self, group: FeatureGroup, records: Any) -> None:
        """Keeps records; first in the log, so that what is online can always be told from the log."""
        wanted = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in group.definitions])
        self._append(group, records.select(wanted.names).cast(wanted))

    def get(self, group: FeatureGroup, identifiers: Sequence[str]) -> dict[str, Record]:
        """The newest record of each identifier that has one."""
        statement = "SELECT event_time, content FROM record WHERE feature_group = ? AND identifier = ?"
        with self._database() as database:
            rows = {key: database.execute(statement, (group.name, key)).fetchone() for key in identifiers}
        return {key: _record(group, key, *row) for key, row in rows.items() if row is not None and row[1] is not None}

    def delete(self, group: FeatureGroup, identifier: str, event_time: str) -> None:
        """From this time on there is no record, until one with a later event time is put."""
        empty = pa.Table.from_pylist(
            [{group.identifier: identifier, EVENT_TIME: event_time}],
            schema=pa.schema([(name, ARROW_TYPES[kind]) for name, kind in group.definitions]),
        )
        self._append(group, empty, deleted=True)

    def history(self, group: FeatureGroup, months: Sequence[str] | None = None) -> Any:
        """The log as a pyarrow Dataset: the features, `write_time`, `is_deleted`.

        Args:
            group: Whose.
            months: Of event times, such as 2017-10; None: all.
        """
        folders = [group.name] if months is None else [_folder(group, month) for month in months]
        files = [
            str(info.path)
            for folder in folders
            for info in self._offline.list(folder, recursive=True)
            if info.path.endswith(".parquet")
        ]
        schema = _log_schema(group)
        if not files:
            return schema.empty_table()
        return pyarrow.dataset.dataset(files, schema=schema, filesystem=self._offline.files, format="parquet")

    def _append(self, group: FeatureGroup, records: Any, *, deleted: bool = False) -> None:
        months = records[EVENT_TIME].to_numpy(zero_copy_only=False).astype("U7") if len(records) else []
        fresh = records if deleted else changed(self.history(group, sorted(set(months))), records, group)
        written = pa.scalar(self._now(), pa.timestamp("us"))
        log = fresh.append_column(WRITE_TIME, pa.repeat(written, len(fresh)))
        log = log.append_column(IS_DELETED, pa.repeat(deleted, len(fresh))).cast(_log_schema(group))
        for month, rows in _by_month(log):
            buffer = io.BytesIO()
            pyarrow.parquet.write_table(rows, buffer, compression="snappy", store_schema=False)
            digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
            self._offline.write(f"{_folder(group, month)}/{digest[:NAME_DIGITS]}.parquet", buffer.getvalue())
        features = [name for name, _ in group.features]
        rows = (
            (group.name, row[group.identifier], row[EVENT_TIME], None if deleted else _content(row, features))
            for row in records.to_pylist()
        )
        with self._database() as database, database:
            database.executemany(_PUT, rows)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        self._online.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self._online, timeout=BUSY_S)) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute(_TABLE)
                yield database
        except sqlite3.Error as err:
            raise PipelineError(
                f"online store {self._online}: {err}; `psm-train feature-store ingest` makes it again"
            ) from err


def _log_schema(group: FeatureGroup) -> Any:
    columns = [(name, ARROW_TYPES[kind]) for name, kind in group.definitions]
    return pa.schema([*columns, (WRITE_TIME, pa.timestamp("us")), (IS_DELETED, pa.bool_())])


def _folder(group: FeatureGroup, month: str) -> str:
    year, _, number = month.partition("-")
    return f"{group.name}/year={year}/month={number}"


def _by_month(log: Any) -> Iterator[tuple[str, Any]]:
    months = [value[_YEAR_AND_MONTH] for value in log[EVENT_TIME].to_pylist()]
    for month in sorted(set(months)):
        yield month, log.filter(pa.array([other == month for other in months]))


def _content(row: Record, features: Sequence[str]) -> str:
    """Values in the order of the definition: names would be most of the file."""
    return json.dumps([row[name] for name in features], separators=(",", ":"))


def _record(group: FeatureGroup, identifier: str, event_time: str, content: str) -> Record:
    values = zip((name for name, _ in group.features), json.loads(content), strict=True)
    known = {name: value for name, value in values if value is not None}
    return {group.identifier: identifier, EVENT_TIME: event_time, **known}
