"""PURE. What somebody else put into a child that must not be there although we never send it.

What others add is theirs: labels, annotations, sidecars. The exceptions are fields that can stop a roll-out (a paused
Deployment, a node selector that no node has) or that the API server refuses beside ours (`minAvailable` of a budget):
server-side apply cannot take away what another manager owns, so they are removed by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psm_operator.api.names import STAMP
from psm_operator.values import Manifest

Path = tuple[str, ...]

POD: Final[Path] = ("spec", "template", "spec")

OF_A_POD: Final = (
    "affinity",
    "hostNetwork",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
)
"""What keeps a pod from being scheduled, or from counting as ready."""

OF_THE_CONTAINER: Final[tuple[Path, ...]] = (
    ("args",),
    ("command",),
    ("envFrom",),
    ("lifecycle", "postStart"),
    ("readinessProbe", "initialDelaySeconds"),
    ("startupProbe", "initialDelaySeconds"),
)
"""What keeps the predictor from starting, or from saying that it has."""

FIELDS: Final[Mapping[str, tuple[Path, ...]]] = {
    "PodDisruptionBudget": (("spec", "minAvailable"),),
    "Deployment": (
        ("spec", "paused"),
        ("spec", "minReadySeconds"),
        *((*POD, name) for name in OF_A_POD),
    ),
}

DEFAULTS: Final[Mapping[Path, object]] = {(*POD, "schedulerName"): "default-scheduler"}
"""What the API server itself puts there."""


SENT_IF_ASKED: Final[Path] = (*POD, "nodeSelector")
"""What we may have sent before and no longer want: the apply that says so takes it away, without a roll-out of its own."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """One field that must go.

    Attributes:
        pointer: where it is, as a JSON pointer.
        shown: where and what it is, for people.
    """

    pointer: str
    shown: str


def surplus(desired: Manifest, live: Manifest, stamp: str | None) -> tuple[Surplus, ...]:
    """Every field of `live` that must go, in an order in which one after the other can be removed.

    Args:
        desired: what is sent.
        live: what is there.
        stamp: of what is sent.
    """
    is_of_this_stamp = stamp == stamp_of(live)
    return (*_fields(desired, live, is_of_this_stamp=is_of_this_stamp), *_of_containers(desired, live))


def stamp_of(manifest: Manifest) -> str | None:
    """The stamp that an object bears."""
    found: str | None = (manifest["metadata"].get("annotations") or {}).get(STAMP)
    return found


def _fields(desired: Manifest, live: Manifest, *, is_of_this_stamp: bool) -> Iterator[Surplus]:
    for path in FIELDS.get(live["kind"], ()):
        value = _at(live, path) if is_of_this_stamp or path != SENT_IF_ASKED else None
        if value and _at(desired, path) is None and value != DEFAULTS.get(path):
            yield Surplus(_pointer(path), _shown(".".join(path), value))


def _of_containers(desired: Manifest, live: Manifest) -> Iterator[Surplus]:
    if live["kind"] != "Deployment":
        return
    wanted = {container["name"]: container for container in _list(desired, "containers")}
    for index, container in enumerate(_list(live, "containers")):
        for path in OF_THE_CONTAINER if container["name"] in wanted else ():
            value = _at(container, path)
            if value and _at(wanted[container["name"]], path) is None:
                where = ".".join((*POD, f"containers[{container['name']}]", *path))
                yield Surplus(_pointer((*POD, "containers", str(index), *path)), _shown(where, value))
    for index, container in reversed(list(enumerate(_list(live, "initContainers")))):
        if container.get("restartPolicy") != "Always":  # a sidecar is theirs; what must end first can keep us waiting
            where = ".".join((*POD, f"initContainers[{container['name']}]"))
            yield Surplus(_pointer((*POD, "initContainers", str(index))), _shown(where, container))


def _at(manifest: Any, path: Path) -> Any:
    for name in path:
        manifest = manifest.get(name) if isinstance(manifest, Mapping) else None
    return manifest


def _list(manifest: Manifest, name: str) -> Sequence[Manifest]:
    found: Sequence[Manifest] = _at(manifest, (*POD, name)) or ()
    return found


def _pointer(path: Path) -> str:
    return "".join(f"/{name}" for name in path)


def _shown(where: str, value: object) -> str:
    is_plain = not isinstance(value, (Mapping, list, tuple))
    return f"{where} is {value if is_plain else 'present'}, want absent"
