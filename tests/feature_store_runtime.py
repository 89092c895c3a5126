"""SageMaker's feature-store runtime as botocore speaks to it; moto has none.

Our model of AWS and not AWS: PutRecord and DeleteRecord count unless the record that is there has a later event time;
BatchGetRecord leaves every second identifier unprocessed when it gets many, as it may.
"""

import threading
from typing import Any
from urllib.parse import unquote

from scripted_server import Answer, Asked

MANY = 10


class Runtime:
    """Answers requests from one dictionary."""

    def __init__(self, identifiers: dict[str, str]) -> None:
        """Knows the identifier's feature of every group."""
        self._identifiers = identifiers
        self._records: dict[tuple[str, str], tuple[str, list[dict[str, str]] | None]] = {}
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        """One request."""
        with self._lock:
            group = unquote(asked.path.rpartition("/")[2])
            if asked.method != "POST" and group not in self._identifiers:
                return Answer({"Message": f"{group} does not exist"}, 404, {"x-amzn-ErrorType": "ResourceNotFound"})
            match asked.method:
                case "PUT":
                    values = {value["FeatureName"]: value["ValueAsString"] for value in asked.body["Record"]}
                    return self._put(
                        group, values[self._identifiers[group]], values["event_time"], asked.body["Record"]
                    )
                case "DELETE":
                    return self._put(
                        group, asked.query["RecordIdentifierValueAsString"], asked.query["EventTime"], None
                    )
                case "POST":
                    (wanted,) = asked.body["Identifiers"]
                    return self._batch(wanted)
                case _:
                    return Answer({"Message": "no such operation"}, 404)

    def _put(self, group: str, identifier: str, event_time: str, record: list[dict[str, str]] | None) -> Answer:
        there = self._records.get((group, identifier))
        if there is None or event_time >= there[0]:
            self._records[group, identifier] = (event_time, record)
        return Answer({})

    def _batch(self, wanted: dict[str, Any]) -> Answer:
        group, keys = wanted["FeatureGroupName"], wanted["RecordIdentifiersValueAsString"]
        done, later = (keys, []) if len(keys) < MANY else (keys[::2], keys[1::2])
        rows = [
            {"FeatureGroupName": group, "RecordIdentifierValueAsString": key, "Record": self._records[group, key][1]}
            for key in done
            if self._records.get((group, key), ("", None))[1] is not None
        ]
        rest = [{"FeatureGroupName": group, "RecordIdentifiersValueAsString": later}] if later else []
        return Answer({"Records": rows, "Errors": [], "UnprocessedIdentifiers": rest})
