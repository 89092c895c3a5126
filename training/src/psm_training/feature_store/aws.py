"""SageMaker Feature Store: groups by CreateFeatureGroup, records by the runtime API; the offline store is AWS's own."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from psm_training.errors import PipelineError
from psm_training.feature_store.groups import EVENT_TIME, FeatureGroup, FeatureType
from psm_training.feature_store.ports import Record

GROUP_EXISTS: Final = "ResourceInUse"
MOST_AT_ONCE: Final = 100
"""Identifiers that BatchGetRecord takes."""

WRITERS: Final = 8
"""PutRecord takes one record; so many are under way at once."""

CREATED_WITHIN_S: Final = 300
POLL_S: Final = 2.0
ATTEMPTS: Final = 5
"""Rounds in which records that BatchGetRecord did not process are asked for again."""

CLIENT_CONFIG: Final = Config(
    retries={"mode": "adaptive", "max_attempts": 8}, connect_timeout=5, read_timeout=30, max_pool_connections=WRITERS
)
"""Seconds."""

_FROM_TEXT: Final[Mapping[FeatureType, Callable[[str], Any]]] = {"Integral": int, "Fractional": float, "String": str}


class SageMakerFeatureStore:
    """Both stores on AWS."""

    def __init__(
        self, region: str | None, offline_url: str, role_arn: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Connects.

        Args:
            region: AWS region.
            offline_url: s3:// address under which SageMaker writes the offline store.
            role_arn: That SageMaker writes it with.
            pause: Waits so many seconds.
        """
        if region is None:
            raise PipelineError("no AWS region; set AWS_REGION or pass --region")
        self._sagemaker = boto3.client("sagemaker", region_name=region, config=CLIENT_CONFIG)
        self._runtime = boto3.client("sagemaker-featurestore-runtime", region_name=region, config=CLIENT_CONFIG)
        self._offline_url, self._role_arn, self._pause = offline_url, role_arn, pause

    def create(self, group: FeatureGroup) -> None:
        """Makes the group, or finds it as it is defined, and waits until it takes records."""
        definitions = [{"FeatureName": name, "FeatureType": kind} for name, kind in group.definitions]
        with _translated(f"create feature group {group.name}", ignore=GROUP_EXISTS):
            self._sagemaker.create_feature_group(
                FeatureGroupName=group.name,
                RecordIdentifierFeatureName=group.identifier,
                EventTimeFeatureName=EVENT_TIME,
                FeatureDefinitions=definitions,
                OnlineStoreConfig={"EnableOnlineStore": True},
                OfflineStoreConfig={"S3StorageConfig": {"S3Uri": self._offline_url}},
                RoleArn=self._role_arn,
                Description=group.description,
            )
        described = self._created(group)
        there = [(found["FeatureName"], found["FeatureType"]) for found in described["FeatureDefinitions"]]
        different = sorted(f"{name} {kind}" for name, kind in set(there) ^ set(group.definitions))
        if different:
            raise PipelineError(f"feature group {group.name} is there with other features ({', '.join(different)})")

    def put(self, group: FeatureGroup, records: Any) -> None:
        """Keeps records, one call each; order counts only within one identifier, and that is kept."""
        names = [name for name, _ in group.definitions]
        lanes: list[list[Record]] = [[] for _ in range(WRITERS)]
        for record in records.select(names).to_pylist():
            lanes[hash(record[group.identifier]) % WRITERS].append(record)
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(lambda lane: self._put_all(group, lane), lanes):
                pass

    def get(self, group: FeatureGroup, identifiers: Sequence[str]) -> dict[str, Record]:
        """The newest record of each identifier that has one."""
        found: dict[str, Record] = {}
        wanted = list(identifiers)
        for start in range(0, len(wanted), MOST_AT_ONCE):
            found |= self._get_some(group, wanted[start : start + MOST_AT_ONCE])
        return found

    def delete(self, group: FeatureGroup, identifier: str, event_time: str) -> None:
        """From this time on there is no record, until one with a later event time is put."""
        with _translated(f"delete {identifier} of feature group {group.name}"):
            self._runtime.delete_record(
                FeatureGroupName=group.name, RecordIdentifierValueAsString=identifier, EventTime=event_time
            )

    def _created(self, group: FeatureGroup) -> Mapping[str, Any]:
        for _ in range(int(CREATED_WITHIN_S / POLL_S)):
            with _translated(f"describe feature group {group.name}"):
                described: Mapping[str, Any] = self._sagemaker.describe_feature_group(FeatureGroupName=group.name)
            match described["FeatureGroupStatus"]:
                case "Created":
                    return described
                case "Creating":
                    self._pause(POLL_S)
                case status:
                    raise PipelineError(f"feature group {group.name} is {status}: {described.get('FailureReason')}")
        raise PipelineError(f"feature group {group.name} is not ready after {CREATED_WITHIN_S} s")

    def _put_all(self, group: FeatureGroup, records: Iterable[Record]) -> None:
        for record in records:
            values = [
                {"FeatureName": name, "ValueAsString": str(value)}
                for name, value in record.items()
                if value is not None
            ]
            with _translated(f"put {record[group.identifier]} into feature group {group.name}"):
                self._runtime.put_record(FeatureGroupName=group.name, Record=values)

    def _get_some(self, group: FeatureGroup, identifiers: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        wanted = [{"FeatureGroupName": group.name, "RecordIdentifiersValueAsString": list(identifiers)}]
        for attempt in range(ATTEMPTS):
            with _translated(f"read feature group {group.name}"):
                answer = self._runtime.batch_get_record(Identifiers=wanted)
            if answer["Errors"]:
                raise PipelineError(f"could not read feature group {group.name}: {answer['Errors'][0]['ErrorMessage']}")
            found |= {row["RecordIdentifierValueAsString"]: _record(group, row["Record"]) for row in answer["Records"]}
            wanted = answer["UnprocessedIdentifiers"]
            if not wanted:
                return found
            self._pause(2**attempt / 10)
        raise PipelineError(f"feature group {group.name}: {len(wanted)} requests were not processed; try again later")


def _record(group: FeatureGroup, values: Iterable[Mapping[str, str]]) -> Record:
    types = dict(group.definitions)
    return {value["FeatureName"]: _FROM_TEXT[types[value["FeatureName"]]](value["ValueAsString"]) for value in values}


@contextmanager
def _translated(doing: str, ignore: str = "") -> Iterator[None]:
    """Turns boto3's errors into ours, naming what was being done."""
    try:
        yield
    except ClientError as err:
        if err.response["Error"]["Code"] != ignore:
            raise PipelineError(f"could not {doing}: {err}") from err
    except BotoCoreError as err:
        raise PipelineError(f"could not {doing}: {err}") from err
