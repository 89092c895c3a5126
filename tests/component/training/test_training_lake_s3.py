"""Source files and the lake in S3, against a real S3 server, also one that dies in the middle of an upload."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from psm_local.aws import AwsEndpoints
from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake import storage
from psm_training.lake.place import lake_at, lake_of
from psm_training.lake.views import open_lake
from psm_training.load import load_gold
from psm_training.sources.raw_files import fingerprint
from psm_training.split import split
from psm_training.synthetic_files import Order, synthesize
from psm_training.workspace import Workspace

BUCKET = "lake"


class Cable:
    """A cable to a server that can be cut after some bytes, and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.bytes_left: int | None = None
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        """Ends every thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self._cut()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            if self.bytes_left == 0:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            for source, sink, counted in ((client, server, True), (server, client, False)):
                threads.append(threading.Thread(target=self._carry, args=(source, sink, counted), daemon=True))
                threads[-1].start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:  # noqa: FBT001  # a thread's
        with contextlib.suppress(OSError):
            while raw := source.recv(65536):
                if counted and self.bytes_left is not None:
                    raw = raw[: self.bytes_left]
                    self.bytes_left -= len(raw)
                sink.sendall(raw)
                if self.bytes_left == 0:
                    self._cut()
                    return
            sink.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open = []


@pytest.fixture
def cable(s3: AwsEndpoints) -> Iterator[Cable]:
    """Between the pipeline and the S3 server."""
    made = Cable(int(s3.s3_host_url.rpartition(":")[2]))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def bucket(s3: AwsEndpoints, cable: Cable, monkeypatch: pytest.MonkeyPatch) -> str:
    """Found through the standard variables alone; empty."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3.s3_host_url)
    if BUCKET not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.region})
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=item["Key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{cable.port}")
    return f"s3://{BUCKET}"


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weeks that train and weeks that test, few lines."""
    folder = tmp_path_factory.mktemp("till")
    synthesize(folder, Order(lines=6000, weeks=6, first_week=200837))
    return folder


def uploaded(till: Path, url: str) -> str:
    place = storage.open_storage(f"{url}/till")
    for path in till.glob("transactions*.csv"):
        place.write(path.name, path.read_bytes())
    return place.url


def content(space: Workspace) -> list[str]:
    lake = lake_of(space)
    return [file.sha256 for table in (lake.silver, lake.gold) for week in table.weeks().values() for file in week.files]


def test_a_lake_in_s3_is_the_lake_on_disk(bucket: str, till: Path, tmp_path: Path) -> None:
    """Files from S3 into a lake in S3: the same bytes, the same baskets; nothing is read twice."""
    there, here = Workspace(tmp_path / "there"), Workspace(tmp_path / "here")
    data = uploaded(till, bucket)
    assert len(fingerprint(data)) == 6
    assert "6 files read" in ingest(there, "source-files", data, f"{bucket}/psm")
    assert "0 files read" in ingest(there, "source-files", data, f"{bucket}/psm")
    ingest(here, "source-files", str(till))
    assert split(there) == split(here)
    assert content(there) == content(here)
    lake_of(there).silver.verify()
    with open_lake(there) as one, open_lake(here) as other:
        for query in ("FROM silver ORDER BY ALL", "FROM gold ORDER BY BASKET_ID"):
            assert one.execute(query).fetchall() == other.execute(query).fetchall()
    assert (load_gold(there)[0].basket == load_gold(here)[0].basket).all()


@pytest.fixture
def _one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that is dead on purpose."""
    monkeypatch.setattr(storage, "ATTEMPTS", 1)


@pytest.mark.usefixtures("_one_attempt")
@pytest.mark.parametrize("after_bytes", [3_000, 100_000])
def test_an_s3_that_dies_in_the_middle_of_a_write_leaves_whole_weeks(
    bucket: str, cable: Cable, till: Path, tmp_path: Path, after_bytes: int
) -> None:
    """A clear error; every week that is visible is whole; the next run completes to the same bytes."""
    space, direct = Workspace(tmp_path / "out"), Workspace(tmp_path / "direct")
    lake = f"{bucket}/died-{after_bytes}"
    ingest(direct, "source-files", str(till))
    cable.bytes_left = after_bytes
    with pytest.raises(
        PipelineError, match=r"cannot .* s3://lake/.*nothing half-written is visible, run the same command"
    ):
        ingest(space, "source-files", str(till), lake)
    cable.bytes_left = None
    want = lake_of(direct).silver.weeks()
    seen = lake_at(lake).silver.weeks()
    assert all(seen[week] == want[week] for week in seen)
    assert len(seen) < len(want)
    lake_at(lake).silver.verify()
    ingest(space, "source-files", str(till), lake)
    assert lake_of(space).silver.weeks() == want
