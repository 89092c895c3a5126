"""What pods complain of, as one sentence that stays the same while the complaint does."""

from typing import Any

import pytest

from psm_operator.adapters.pod_complaints import MESSAGE_LIMIT, complaint_of
from psm_operator.values import Manifest, PodFailure


def pod(*containers: Manifest, **status: Any) -> Manifest:
    """A pod whose predictor has the given states."""
    spec = {"containers": [{"name": "predictor", "image": "predictor:1"}]}
    return {
        "metadata": {"creationTimestamp": "2025-01-01T00:00:00Z"},
        "spec": spec,
        "status": {"containerStatuses": list(containers), **status},
    }


def container(*, ready: bool = False, **states: Any) -> Manifest:
    """One container's status."""
    return {"name": "predictor", "ready": ready, **states}


def waiting(reason: str, message: str = "") -> Manifest:
    """A container that waits."""
    return container(state={"waiting": {"reason": reason, "message": message}})


def ended(code: int, reason: str = "Error", message: str = "") -> Manifest:
    """A container that ended and is about to be restarted."""
    last = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return container(state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}, lastState=last)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pod(container(ready=True, state={"running": {}})), None),
        (pod(container(state={"running": {}})), None),
        (pod(waiting("ContainerCreating")), None),
        (pod(container(ready=True, state={"running": {}}, lastState={"terminated": {"exitCode": 1}})), None),
        (
            pod(waiting("ErrImagePull", "rpc error: code = NotFound")),
            "container predictor cannot pull image predictor:1; check its name and spec.predictor.imagePullSecrets",
        ),
        (
            pod(waiting("ImagePullBackOff", "Back-off pulling image")),
            "container predictor cannot pull image predictor:1; check its name and spec.predictor.imagePullSecrets",
        ),
        (
            pod(waiting("CreateContainerConfigError", 'secret "aws" not found')),
            'container predictor: CreateContainerConfigError: secret "aws" not found',
        ),
        (
            pod(ended(1, message="Traceback\n  no such bucket")),
            "container predictor ended with exit code 1 (Error): Traceback no such bucket",
        ),
        (
            pod(ended(137, "OOMKilled")),
            "container predictor ended with exit code 137 (OOMKilled): raise spec.predictor.resources.limits.memory",
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]),
            "no node takes the pod: 0/3",
        ),
        (pod(reason="Evicted", message="low on memory"), "pod Evicted: low on memory"),
    ],
    ids=[
        "ready",
        "running and not ready yet",
        "starting",
        "recovered from an earlier crash",
        "image cannot be pulled",
        "the same complaint between two pulls",
        "a secret is missing",
        "crashed, with its last words on one line",
        "out of memory",
        "unschedulable",
        "evicted",
    ],
)
def test_complaints(given: Manifest, expected: str | None) -> None:
    """Each state and its sentence."""
    found = complaint_of([given])
    assert found == (None if expected is None else PodFailure(expected))


def test_the_exit_code_for_an_unservable_artifact_is_final() -> None:
    """The predictor itself said so; it counts above a newer pod's lesser complaint."""
    older = pod(ended(65, message="golden row 3 differs"))
    newer = pod(waiting("ErrImagePull"))
    newer["metadata"]["creationTimestamp"] = "2025-01-02T00:00:00Z"
    found = complaint_of([newer, older])
    assert found is not None
    assert found.is_final
    assert found.message == "container predictor ended with exit code 65 (Error): golden row 3 differs"


def test_pods_being_deleted_are_not_heard() -> None:
    """Their end is wanted."""
    leaving = pod(ended(65))
    leaving["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    assert complaint_of([leaving]) is None


def test_last_words_are_cut_to_what_a_status_can_show() -> None:
    """The kubelet keeps 4 KiB of them."""
    found = complaint_of([pod(ended(1, message="x" * 4096))])
    assert found is not None
    assert len(found.message) == MESSAGE_LIMIT
