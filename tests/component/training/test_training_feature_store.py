"""One suite for both feature stores: the one on this machine, and SageMaker's by boto3.

CreateFeatureGroup goes to the registry emulator; records go to our model of the runtime, which moto does not have.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from feature_store_runtime import Runtime
from scripted_server import scripted

from psm_local.emulator.control import EmulatorControl
from psm_training.errors import PipelineError
from psm_training.feature_store.aws import SageMakerFeatureStore
from psm_training.feature_store.groups import EVENT_TIME, FeatureGroup
from psm_training.feature_store.local import LocalFeatureStore
from psm_training.feature_store.ports import FeatureStore
from psm_training.lake.storage import open_storage

GROUP = FeatureGroup("visits", "household", (("baskets", "Integral"), ("spend", "Fractional"), ("mood", "String")), "x")
ROLE = "arn:aws:iam::123456789012:role/features"


def ticks() -> Iterator[datetime]:
    return (datetime(2026, 1, 1) + timedelta(seconds=number) for number in count())  # noqa: DTZ001  # UTC by contract


@pytest.fixture(params=["here", "on AWS"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeatureStore]:
    """An empty store with the group."""
    if request.param == "here":
        now = ticks()
        made = LocalFeatureStore(open_storage(tmp_path / "offline"), tmp_path / "online.sqlite", lambda: next(now))
        made.create(GROUP)
        yield made
        return
    emulator: EmulatorControl = request.getfixturevalue("registry")
    with scripted(Runtime({GROUP.name: GROUP.identifier})) as runtime:
        monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME", runtime.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        on_aws = SageMakerFeatureStore("ap-southeast-1", "s3://features/offline", ROLE)
        on_aws.create(GROUP)
        yield on_aws


def records(*rows: tuple[str, str, int, float | None, str]) -> Any:
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True))
    return pa.table(dict(zip(["household", EVENT_TIME, "baskets", "spend", "mood"], columns, strict=True)))


MAY, JUNE, JULY = "2017-05-01T00:00:00Z", "2017-06-01T00:00:00Z", "2017-07-01T00:00:00Z"


def test_what_was_put_is_got_with_its_types(store: FeatureStore) -> None:
    """A float comes back to the last bit; what was null is left out; who has no record is left out."""
    store.put(GROUP, records(("1", MAY, 3, 0.1 + 0.2, "good"), ("2", MAY, 0, None, "bad")))
    assert store.get(GROUP, ["1", "2", "3"]) == {
        "1": {"household": "1", EVENT_TIME: MAY, "baskets": 3, "spend": 0.1 + 0.2, "mood": "good"},
        "2": {"household": "2", EVENT_TIME: MAY, "baskets": 0, "mood": "bad"},
    }


def test_the_latest_event_time_counts_and_not_the_last_write(store: FeatureStore) -> None:
    """Late records do not hide newer ones; of equal times the last one written counts."""
    store.put(GROUP, records(("1", JUNE, 2, 2.0, "b")))
    store.put(GROUP, records(("1", MAY, 1, 1.0, "a")))
    assert store.get(GROUP, ["1"])["1"]["baskets"] == 2
    store.put(GROUP, records(("1", JUNE, 3, 2.0, "b"), ("1", JUNE, 4, 2.0, "b")))
    assert store.get(GROUP, ["1"])["1"]["baskets"] == 4


def test_a_deleted_record_is_gone_until_a_later_one(store: FeatureStore) -> None:
    """What is late stays gone."""
    store.put(GROUP, records(("1", MAY, 1, 1.0, "a")))
    store.delete(GROUP, "1", JUNE)
    assert store.get(GROUP, ["1"]) == {}
    store.put(GROUP, records(("1", MAY, 2, 1.0, "a")))
    assert store.get(GROUP, ["1"]) == {}
    store.put(GROUP, records(("1", JULY, 3, 1.0, "a")))
    assert store.get(GROUP, ["1"])["1"]["baskets"] == 3


def test_many_records_at_once(store: FeatureStore) -> None:
    """More than one request holds."""
    store.put(GROUP, records(*((str(number), MAY, number, 1.0, "a") for number in range(230))))
    found = store.get(GROUP, [str(number) for number in range(230)])
    assert {key: record["baskets"] for key, record in found.items()} == {str(number): number for number in range(230)}


def test_a_group_is_made_once_and_keeps_its_features(store: FeatureStore) -> None:
    """Again is nothing; other features are refused with their names."""
    store.create(GROUP)
    other = FeatureGroup(GROUP.name, GROUP.identifier, (*GROUP.features[:2], ("mood", "Integral")), "x")
    with pytest.raises(PipelineError, match=r"feature group visits is there with other features .*mood.*Integral"):
        store.create(other)


def test_a_group_that_is_not_there_is_named(registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's error with what was being done."""
    with scripted(Runtime({})) as runtime:
        monkeypatch.setenv("AWS_ENDPOINT_URL", registry.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME", runtime.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        store = SageMakerFeatureStore("ap-southeast-1", "s3://features/offline", ROLE)
        with pytest.raises(PipelineError, match=r"could not put 1 into feature group visits: .*ResourceNotFound"):
            store.put(GROUP, records(("1", MAY, 1, 1.0, "a")))


@pytest.fixture
def here(tmp_path: Path) -> LocalFeatureStore:
    """The store on this machine."""
    now = ticks()
    made = LocalFeatureStore(open_storage(tmp_path / "offline"), tmp_path / "online.sqlite", lambda: next(now))
    made.create(GROUP)
    return made


def test_putting_the_same_again_adds_nothing_to_the_log(here: LocalFeatureStore, tmp_path: Path) -> None:
    """Only what changed is appended."""
    some = records(("1", MAY, 1, None, "a"), ("2", JUNE, 1, 1.0, "a"))
    here.put(GROUP, some)
    files = sorted((tmp_path / "offline").rglob("*.parquet"))
    assert [path.parent.name for path in files] == ["month=05", "month=06"]
    here.put(GROUP, some)
    assert sorted((tmp_path / "offline").rglob("*.parquet")) == files
    here.put(GROUP, records(("1", MAY, 2, None, "a"), ("2", JUNE, 1, 1.0, "a")))
    here.put(GROUP, some)
    assert here.history(GROUP).to_table().num_rows == 4
    assert here.get(GROUP, ["1"])["1"]["baskets"] == 1


def test_an_online_store_that_was_lost_is_made_again(here: LocalFeatureStore, tmp_path: Path) -> None:
    """By the same put, though the log has it all."""
    some = records(("1", MAY, 1, 1.0, "a"))
    here.put(GROUP, some)
    for path in tmp_path.glob("online.sqlite*"):
        path.unlink()
    assert here.get(GROUP, ["1"]) == {}
    here.put(GROUP, some)
    assert here.get(GROUP, ["1"])["1"]["baskets"] == 1
    (tmp_path / "online.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(PipelineError, match="feature-store ingest` makes it again"):
        here.get(GROUP, ["1"])
