"""Following models across the ends of watches, the server's forgetting and its absences; nothing twice, nothing left out."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Script, scripted, status

from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.environment import Environment
from psm_operator.kubectl.errors import ApiError
from psm_operator.kubectl.kubeconfig import Access
from psm_operator.kubectl.watching import Follower

HERE = Environment({}, Path("/nowhere"), is_terminal=False)
END = Answer(lines=[])


class Told:
    """What a follower said beside its changes."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.pauses: list[float] = []


def follower(server: Script, told: Told, **more: Any) -> Follower:
    client = KubeClient(Access(server=server.url), HERE, timeout_s=2.0)
    return Follower(client, "mlops", pause=told.pauses.append, warn=told.warnings.append, **more)


def model(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "mlops", "name": name, "resourceVersion": version}}


def listed(*models: dict[str, Any], version: str) -> Answer:
    head = {"apiVersion": "retail.mlops/v1alpha1", "kind": "PriceSensitivityModelList"}
    return Answer({**head, "metadata": {"resourceVersion": version}, "items": list(models)})


def watched(*events: tuple[str, dict[str, Any]], is_cut: bool = False) -> Answer:
    return Answer(lines=[{"type": kind, "object": thing} for kind, thing in events], is_cut=is_cut)


def first(following: Follower, count: int) -> list[list[tuple[str, str, str]]]:
    """The first batches, as (kind, name, resourceVersion); ends of watches are left out."""
    batches = (batch for batch in following.changes() if batch)
    return [
        [(kind, m["metadata"]["name"], m["metadata"]["resourceVersion"]) for kind, m in batch]
        for batch in islice(batches, count)
    ]


def test_everything_there_comes_first_and_together_then_every_change() -> None:
    with scripted(
        listed(model("a", "1"), model("b", "2"), version="5"), watched(("MODIFIED", model("a", "6"))), END
    ) as server:
        assert first(follower(server, Told()), 2) == [
            [("ADDED", "a", "1"), ("ADDED", "b", "2")],
            [("MODIFIED", "a", "6")],
        ]
    assert server.asked[1].query["resourceVersion"] == "5"


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    """Bookmarks count: they are how a quiet collection stays young."""
    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    with scripted(
        listed(version="5"), watched(("ADDED", model("a", "6")), bookmark), watched(("MODIFIED", model("a", "10"))), END
    ) as server:
        assert first(follower(server, Told()), 2) == [[("ADDED", "a", "6")], [("MODIFIED", "a", "10")]]
    assert [asked.query.get("resourceVersion") for asked in server.asked[:3]] == [None, "5", "9"]


@pytest.mark.parametrize("is_in_stream", [True, False], ids=["in the stream", "at once"])
def test_after_410_only_what_changed_meanwhile_is_told(is_in_stream: bool) -> None:  # noqa: FBT001  # a parameter of the test
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    with scripted(
        listed(model("same", "1"), model("changed", "2"), model("deleted", "3"), version="5"),
        watched(("ERROR", gone)) if is_in_stream else status(410, "too old", "Expired"),
        listed(model("same", "1"), model("changed", "8"), model("new", "9"), version="10"),
        END,
    ) as server:
        told = Told()
        batches = first(follower(server, told), 2)
    assert sorted(batches[1]) == [("ADDED", "new", "9"), ("DELETED", "deleted", "3"), ("MODIFIED", "changed", "8")]
    assert told.warnings == [], "the server forgets as a matter of course"


def test_a_broken_connection_is_mended_and_told_once() -> None:
    with scripted(
        listed(version="5"),
        watched(("ADDED", model("a", "6")), is_cut=True),
        watched(is_cut=True),
        watched(("MODIFIED", model("a", "7"))),
        END,
    ) as server:
        told = Told()
        assert first(follower(server, told), 2) == [[("ADDED", "a", "6")], [("MODIFIED", "a", "7")]]
    assert server.asked[2].query["resourceVersion"] == "6"
    assert len(told.warnings) == 1
    assert "broke" in told.warnings[0]
    assert told.pauses == sorted(told.pauses), "it waits longer each time"


def test_a_busy_or_broken_server_is_waited_for() -> None:
    with scripted(status(500, "etcd"), listed(model("a", "1"), version="1"), END) as server:
        told = Told()
        assert first(follower(server, told), 1) == [[("ADDED", "a", "1")]]
    assert told.warnings == ["warning: etcd; trying again"]


def test_who_may_not_look_is_told() -> None:
    with scripted(status(403, "forbidden", "Forbidden")) as server, pytest.raises(ApiError, match="forbidden"):
        first(follower(server, Told()), 1)


def test_only_named_models_are_followed() -> None:
    with scripted(
        listed(model("a", "1"), model("b", "1"), version="1"),
        watched(("MODIFIED", model("b", "2")), ("MODIFIED", model("a", "3"))),
        END,
    ) as server:
        assert first(follower(server, Told(), names=frozenset({"a"})), 2) == [
            [("ADDED", "a", "1")],
            [("MODIFIED", "a", "3")],
        ]
    assert server.asked[1].query["fieldSelector"] == "metadata.name=a"
