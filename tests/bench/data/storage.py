"""One large object against the local S3 server: put at once or in parts, read at once or in ranges."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
from bench.data.formats import median_s
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from psm_local.aws import AwsEndpoints

BUCKET: Final = "bench-data"
KEY: Final = "lines.parquet"
PART_MIB: Final = 8
"""boto3's own default, and what readers of Parquet ask for at a time."""

AT_ONCE: Final = 8
MIB: Final = 2**20


def measure_s3(endpoints: AwsEndpoints, mib: int, repeat: int) -> list[dict[str, Any]]:
    """Figures of every way; each is checked to have moved all bytes.

    Args:
        endpoints: Of the server.
        mib: Size of the object.
        repeat: Times of each; the medians are told.

    Raises:
        RuntimeError: Other bytes came back.
    """
    client = boto3.client(
        "s3",
        endpoint_url=endpoints.s3_host_url,
        region_name=endpoints.region,
        aws_access_key_id=endpoints.access_key,
        aws_secret_access_key=endpoints.secret_key,
        config=Config(max_pool_connections=2 * AT_ONCE),
    )
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": endpoints.region})
    body = bytes(range(256)) * (mib * MIB // 256)
    ways: dict[str, Callable[[], object]] = {
        "one PUT": lambda: client.put_object(Bucket=BUCKET, Key=KEY, Body=body),
        f"multipart, {PART_MIB} MiB, {AT_ONCE} at once": lambda: _upload(client, body),
        "one GET": lambda: _same(body, client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()),
        f"ranged GETs, {PART_MIB} MiB, {AT_ONCE} at once": lambda: _same(body, _ranges(client, len(body))),
    }
    entries = []
    for name, way in ways.items():
        seconds = median_s(way, repeat)
        entries.append({"way": name, "mib": mib, "seconds": seconds, "mib_per_s": round(mib / seconds, 1)})
    return entries


def _upload(client: Any, body: bytes) -> None:
    config = TransferConfig(
        multipart_threshold=PART_MIB * MIB, multipart_chunksize=PART_MIB * MIB, max_concurrency=AT_ONCE
    )
    client.upload_fileobj(io.BytesIO(body), BUCKET, KEY, Config=config)


def _ranges(client: Any, size: int) -> bytes:
    def read(first: int) -> bytes:
        last = min(size, first + PART_MIB * MIB) - 1
        part: bytes = client.get_object(Bucket=BUCKET, Key=KEY, Range=f"bytes={first}-{last}")["Body"].read()
        return part

    with ThreadPoolExecutor(AT_ONCE) as readers:
        return b"".join(readers.map(read, range(0, size, PART_MIB * MIB)))


def _same(sent: bytes, got: bytes) -> None:
    if sent != got:
        raise RuntimeError(f"{len(got)} bytes came back of {len(sent)}, or others")
