"""The Artifacts port: one suite, in memory and on a real S3 server; then what the messages must say."""

import hashlib
import uuid
from dataclasses import replace
from typing import Protocol

import pytest
from timers_by_hand import HandTimer

from psm_local.aws import AwsEndpoints
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.memory import MemoryArtifacts, MemoryClock, MemoryRegistry
from psm_operator.adapters.s3 import PRESENT_FOR_S, S3Artifacts, whole_object_sha256
from psm_operator.adapters.s3_trouble import ObjectUrl
from psm_operator.ports import Artifacts
from psm_operator.values import ArtifactState, GroupRef, ModelPackage

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
GROUP = GroupRef("price-sensitivity", REGION)
CONTENT = b"a model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Bench(Protocol):
    """Artifacts under test, and a store to put them in."""

    port: Artifacts

    def put(self, url: str) -> None:
        """Store CONTENT."""


class InMemory:
    """The in-memory store."""

    def __init__(self) -> None:
        self.store = MemoryArtifacts()
        self.port: Artifacts = self.store

    def put(self, url: str) -> None:
        """Store CONTENT."""
        self.store.put(url, DIGEST)


class OnServer:
    """A real S3 server."""

    def __init__(self, clients: AwsClients) -> None:
        self.timer = HandTimer()
        self.port: Artifacts = S3Artifacts(clients, timer=self.timer)
        self.client = clients.client("s3", REGION)

    def put(self, url: str) -> None:
        """Store CONTENT with its checksum, as registration does."""
        self.put_with(url, "SHA256")

    def put_with(self, url: str, algorithm: str) -> None:
        """Store CONTENT with a checksum of our choice."""
        where = ObjectUrl.parse(url)
        assert where is not None
        self.client.create_bucket(Bucket=where.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client.put_object(Bucket=where.bucket, Key=where.key, Body=CONTENT, ChecksumAlgorithm=algorithm)


@pytest.fixture
def server(s3_clients: AwsClients) -> OnServer:
    """What only S3 does."""
    return OnServer(s3_clients)


@pytest.fixture(params=["memory", "S3"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each implementation in turn."""
    return InMemory() if request.param == "memory" else OnServer(request.getfixturevalue("s3_clients"))


@pytest.fixture
def package() -> ModelPackage:
    """A package whose artifact lies in a bucket of this test."""
    registry = MemoryRegistry(MemoryClock())
    url = f"s3://models-{uuid.uuid4().hex[:8]}/price-sensitivity/{DIGEST}/model.tar.gz"
    return registry.register(GROUP, sha256=DIGEST, model_data_url=url)


async def test_an_artifact_with_its_digest_is_present(bench: Bench, package: ModelPackage) -> None:
    """Nothing to say about it."""
    bench.put(package.model_data_url)
    found = await bench.port.look(package, GROUP)
    assert (found.state, found.message) == (ArtifactState.PRESENT, "")


async def test_a_package_that_names_no_digest_is_taken_at_its_word(bench: Bench, package: ModelPackage) -> None:
    """Existence is all that can be asked; the gates decide whether that is enough."""
    bench.put(package.model_data_url)
    assert (await bench.port.look(replace(package, sha256=""), GROUP)).state is ArtifactState.PRESENT


async def test_another_digest_is_a_mismatch_that_names_both(bench: Bench, package: ModelPackage) -> None:
    """What is there, what the package says, what to do."""
    bench.put(package.model_data_url)
    found = await bench.port.look(replace(package, sha256="0" * 64), GROUP)
    assert found.state is ArtifactState.MISMATCH
    assert package.model_data_url in found.message
    assert f"has sha256 {DIGEST}, the package says {'0' * 64}; register it again" in found.message


async def test_a_missing_artifact_is_missing(bench: Bench, package: ModelPackage) -> None:
    """Not unknown: the store was asked and said no."""
    found = await bench.port.look(package, GROUP)
    assert found.state is ArtifactState.MISSING
    assert found.message


async def test_missing_says_whether_the_bucket_or_the_object_is_wrong(
    server: OnServer, package: ModelPackage, s3: AwsEndpoints
) -> None:
    """With region and endpoint, since those are wrong as often."""
    where = ObjectUrl.parse(package.model_data_url)
    assert where is not None
    found = await server.port.look(package, GROUP)
    assert found.message.startswith(f"bucket {where.bucket} does not exist in region {REGION} at {s3.s3_host_url}")
    server.put(f"s3://{where.bucket}/something-else")
    found = await server.port.look(package, GROUP)
    assert found.message.startswith(f"bucket {where.bucket} in region {REGION} at {s3.s3_host_url} has no object")
    assert where.key in found.message


async def test_without_a_sha256_in_the_store_existence_is_enough(server: OnServer, package: ModelPackage) -> None:
    """The predictor checks every byte before it serves."""
    server.put_with(package.model_data_url, "CRC32")
    assert (await server.port.look(replace(package, sha256="0" * 64), GROUP)).state is ArtifactState.PRESENT


async def test_a_good_look_is_good_for_half_a_minute_and_a_bad_one_for_nothing(
    server: OnServer, package: ModelPackage
) -> None:
    """Many models share one artifact; a repaired one is seen at once."""
    assert (await server.port.look(package, GROUP)).state is ArtifactState.MISSING
    server.put(package.model_data_url)
    assert (await server.port.look(package, GROUP)).state is ArtifactState.PRESENT
    where = ObjectUrl.parse(package.model_data_url)
    assert where is not None
    server.client.delete_object(Bucket=where.bucket, Key=where.key)
    assert (await server.port.look(package, GROUP)).state is ArtifactState.PRESENT
    await server.timer.advance(PRESENT_FOR_S)
    assert (await server.port.look(package, GROUP)).state is ArtifactState.MISSING


async def test_a_store_that_is_away_is_unknown_and_names_the_endpoint(
    package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be concluded from silence."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    clients = AwsClients(AwsLimits(attempts=1), endpoints={"s3": "http://127.0.0.1:1"})
    found = await S3Artifacts(clients, timer=HandTimer()).look(package, GROUP)
    assert found.state is ArtifactState.UNKNOWN
    assert "could not be checked in region ap-southeast-1 at http://127.0.0.1:1" in found.message
    clients.close()


async def test_wrong_keys_are_unknown_and_say_so(
    s3: AwsEndpoints, package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Denied is not missing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    clients = AwsClients(AwsLimits(attempts=1), endpoints={"s3": s3.s3_host_url})
    found = await S3Artifacts(clients, timer=HandTimer()).look(package, GROUP)
    assert found.state is ArtifactState.UNKNOWN
    assert "these credentials are not known there" in found.message
    clients.close()


async def test_a_url_that_is_not_s3_is_missing(package: ModelPackage, s3_clients: AwsClients) -> None:
    """The package is wrong, not the store."""
    port = S3Artifacts(s3_clients, timer=HandTimer())
    found = await port.look(replace(package, model_data_url="https://example.com/model.tar.gz"), GROUP)
    assert found.state is ArtifactState.MISSING
    assert "is not s3://bucket/key" in found.message


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({}, None),
        ({"ChecksumSHA256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="}, "ab" * 32),
        ({"ChecksumSHA256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=-3"}, None),
        ({"ChecksumSHA256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumSHA256": "?"}, None),
    ],
    ids=["none", "of the whole object", "of its parts, by suffix", "of its parts, by type", "garbage"],
)
def test_only_a_digest_of_the_whole_object_counts(head: dict[str, str], expected: str | None) -> None:
    """A multipart upload has a digest of digests."""
    assert whole_object_sha256(head) == expected
