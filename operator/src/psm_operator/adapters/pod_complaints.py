"""PURE. What the pods of a Deployment complain of, as one sentence that stays the same while the complaint does.

Pod names and back-off times are left out: the sentence goes into status, and status must not change at every look.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from psm_contract.environment import EXIT_SETTINGS, EXIT_UNREACHABLE, EXIT_UNSERVABLE
from psm_operator.decide.desired.model import VERSION_LABEL
from psm_operator.values import Manifest, PodFailure, PodReport

PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"})
WAITING_IS_FINE: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
MESSAGE_LIMIT: Final = 500
"""Characters of a termination message worth showing; the kubelet keeps 4,096."""


OUTSIDE: Final = frozenset({EXIT_SETTINGS, EXIT_UNREACHABLE})
"""Exit codes by which a predictor says that something around it is at fault."""
NOT_BEGUN: Final = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})
"""Ends of a container in which nothing of the predictor ran, or of which nothing is known."""


def report_of(pods: Sequence[Manifest], version: int) -> PodReport:
    """What the pods of one role say of a version that they run, and which versions answer."""
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    its_own = [pod for pod in living if _version(pod) == version]
    answering = sorted({_version(pod) for pod in pods if _is_ready(pod)} - {0})
    is_tried = any(_is_tried(pod) for pod in its_own if not _is_ready(pod))
    return PodReport(complaint_of(its_own), is_tried, tuple(answering))


def _version(pod: Manifest) -> int:
    text = (pod["metadata"].get("labels") or {}).get(VERSION_LABEL, "")
    return int(text) if text.isdecimal() else 0


def _conditions(pod: Manifest) -> Mapping[str, str]:
    return {condition["type"]: condition["status"] for condition in (pod.get("status") or {}).get("conditions") or ()}


def _is_ready(pod: Manifest) -> bool:
    return _conditions(pod).get("Ready") == "True"


def _is_tried(pod: Manifest) -> bool:
    """Whether the predictor of a pod runs, or ended by its own doing: not by an eviction, and not for want of something outside."""
    status = pod.get("status") or {}
    if status.get("reason") or _conditions(pod).get("DisruptionTarget") == "True":
        return False
    return any(_is_container_tried(container) for container in status.get("containerStatuses", ()))


def _is_container_tried(container: Mapping[str, Any]) -> bool:
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended is None:
        return "running" in state
    return ended.get("exitCode") not in OUTSIDE and ended.get("reason") not in NOT_BEGUN


def complaint_of(pods: Sequence[Manifest]) -> PodFailure | None:
    """The gravest complaint of pods that are not being deleted; of equals, the newest pod's. None if all is well."""
    living = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    newest_first = sorted(living, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    complaints = [complaint for pod in newest_first for complaint in _of_pod(pod)]
    return next((c for c in complaints if c.is_final), complaints[0] if complaints else None)


def _of_pod(pod: Manifest) -> Iterator[PodFailure]:
    status = pod.get("status") or {}
    if status.get("reason") in {"Evicted", "NodeLost", "UnexpectedAdmissionError"}:
        yield PodFailure(_short(f"pod {status['reason']}: {status.get('message', '')}"))
    images = {container["name"]: container.get("image", "") for container in _containers(pod)}
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        yield from _of_container(container, images.get(container["name"], ""))
    for condition in status.get("conditions", ()):
        is_unplaced = condition["type"] == "PodScheduled" and condition["status"] == "False"
        if is_unplaced and condition.get("reason") == "Unschedulable":
            yield PodFailure(_short(f"no node takes the pod: {condition.get('message', '')}"))


def _containers(pod: Manifest) -> Iterable[Mapping[str, Any]]:
    spec = pod.get("spec") or {}
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def _of_container(container: Mapping[str, Any], image: str) -> Iterator[PodFailure]:
    name = container["name"]
    if container.get("ready"):
        return
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended is not None and (ended.get("exitCode") != 0 or state.get("terminated") is None):
        yield _of_ended(name, ended)
        return
    waiting = (state.get("waiting") or {}).get("reason", "")
    if waiting in PULLING:
        yield PodFailure(
            f"container {name} cannot pull image {image}; check its name and spec.predictor.imagePullSecrets"
        )
    elif waiting not in WAITING_IS_FINE:
        yield PodFailure(_short(f"container {name}: {waiting}: {state['waiting'].get('message', '')}"))


def _of_ended(name: str, ended: Mapping[str, Any]) -> PodFailure:
    code, reason = ended.get("exitCode"), ended.get("reason", "Error")
    said = " ".join(str(ended.get("message") or "").split())
    if reason == "OOMKilled":
        said = said or "raise spec.predictor.resources.limits.memory"
    text = f"container {name} ended with exit code {code} ({reason})"
    return PodFailure(_short(f"{text}: {said}" if said else text), is_final=code == EXIT_UNSERVABLE)


def _short(text: str) -> str:
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
