"""What pods complain of, as one sentence that stays the same while the complaint does."""

from typing import Any

import pytest

from psm_operator.adapters.pod_complaints import MESSAGE_LIMIT, complaint_of, report_of
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


def placed(version: int, *containers: Manifest, **status: Any) -> Manifest:
    """A pod that runs a version."""
    made = pod(*containers, **status)
    made["metadata"]["labels"] = {"retail.mlops/version": str(version)}
    return made


RUNNING = container(state={"running": {}})
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize(
    ("given", "is_tried"),
    [
        (placed(2, RUNNING), True),
        (placed(2, ended(1)), True),
        (placed(2, ended(137, "OOMKilled")), True),
        (placed(2, ended(0, "Completed")), True),
        (placed(2, ended(75)), False),
        (placed(2, ended(2)), False),
        (placed(2, container(state={"running": {}}, lastState={"terminated": {"exitCode": 75}})), False),
        (placed(2, ended(128, "StartError")), False),
        (placed(2, waiting("ImagePullBackOff")), False),
        (placed(2, waiting("CreateContainerConfigError")), False),
        (placed(2), False),
        (placed(2, RUNNING, reason="Evicted"), False),
        (placed(2, RUNNING, conditions=[{"type": "DisruptionTarget", "status": "True"}]), False),
        (placed(1, RUNNING), False),
        (placed(2, container(ready=True, state={"running": {}}), **READY), False),
    ],
    ids=[
        "it runs",
        "it crashed",
        "it ran out of its memory",
        "the startup probe stopped it",
        "it could not get its archive",
        "its environment is wrong",
        "it tries again to get its archive",
        "its container could not be started",
        "its image cannot be pulled",
        "a secret is missing",
        "nothing is known of its container",
        "it was evicted",
        "it is about to be evicted",
        "another version's",
        "it is ready",
    ],
)
def test_what_counts_as_a_try(given: Manifest, *, is_tried: bool) -> None:
    """Only what comes of the version itself."""
    assert report_of([given], 2).is_tried is is_tried


def test_ready_pods_tell_which_versions_answer() -> None:
    """Of every version, also while they are being deleted: they answer still."""
    ready = container(ready=True, state={"running": {}})
    pods = [placed(2, ready, **READY), placed(1, ready, **READY), placed(1, ready, **READY), placed(3, RUNNING)]
    assert report_of(pods, 3).answering == (1, 2)
