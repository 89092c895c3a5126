"""PURE. Whether a live object already is what a manifest asks for, and if not, where it first differs.

The manifest must be contained in the live object: what the API server defaults, and what others add, is no
difference. That is server-side apply's own view of the world: a field that we do not send is not ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from psm_operator.values import Manifest

Path = tuple[str, ...]

IDENTITY: Final[frozenset[Path]] = frozenset(
    {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
)
"""What a live object was found by; list responses leave some of it out."""

ITEM_KEYS: Final[Mapping[Path, tuple[str, ...]]] = {
    ("metadata", "ownerReferences"): ("uid",),
    ("spec", "containers"): ("name",),
    ("spec", "imagePullSecrets"): ("name",),
    ("spec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("spec", "volumes"): ("name",),
    ("containers", "env"): ("name",),
    ("containers", "ports"): ("containerPort", "protocol"),
    ("containers", "volumeMounts"): ("mountPath",),
    ("spec", "ports"): ("port", "protocol"),
}
"""Lists that Kubernetes merges item by item, by their last two field names. Every other list is one value."""

ONE_VALUE: Final = frozenset({"selector", "podSelector", "labelSelector", "nodeSelector"})
"""Maps that Kubernetes treats as one value: a label that somebody adds to a selector changes what it selects."""

NEVER_OMITTED: Final = frozenset(
    {"automountServiceAccountToken", "allowPrivilegeEscalation", "enableServiceLinks", "replicas"}
)
"""Fields whose zero value differs from their absence. Elsewhere Kubernetes drops zero values on the way in."""

QUANTITY_PARENTS: Final = frozenset({"requests", "limits"})
QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "averageValue", "divisor"})
METRIC_VALUE: Final[Path] = ("target", "value")

MULTIPLIERS: Final[Mapping[str, Decimal]] = (
    {unit: Decimal(10) ** power for unit, power in zip(("n", "u", "m", ""), (-9, -6, -3, 0), strict=True)}
    | {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)}
    | {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}
)


def difference(desired: Manifest, live: Manifest) -> str | None:
    """The first place where `live` does not have what `desired` asks for, as text with both values; None if nowhere."""
    return _mapping(desired, live, Place())


def quantity(value: Any) -> Decimal | None:
    """The amount that a Kubernetes quantity stands for: `250m` and `0.25` are equal; None if it is none."""
    match = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]?))", str(value), re.ASCII)
    if match is None:
        return None
    number, exponent, unit = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * MULTIPLIERS[unit or ""]


@dataclass(slots=True)
class Place:
    """Where in the object the comparison is. Made for every field of every pass; put into words only for a difference.

    Attributes:
        path: field names, without list indexes.
        steps: the same with them: a field is a text, an item of a list a tuple of one.
        is_whole: inside a value that Kubernetes replaces as a whole, so that what others add there is a difference.
    """

    path: Path = ()
    steps: tuple[str | tuple[object], ...] = ()
    is_whole: bool = False

    def field(self, key: str) -> "Place":
        """The field `key` of the map that is here."""
        return Place((*self.path, key), (*self.steps, key), self.is_whole or key in ONE_VALUE)

    def item(self, name: object, *, is_whole: bool) -> "Place":
        """One item of the list that is here."""
        return Place(self.path, (*self.steps, (name,)), self.is_whole or is_whole)

    @property
    def shown(self) -> str:
        """The place for people."""
        return "".join(map(_step, self.steps)).lstrip(".")


def _step(step: str | tuple[object]) -> str:
    if isinstance(step, tuple):
        return f"[{step[0]}]"
    return f".{step}" if re.fullmatch(r"\w+", step, re.ASCII) else f"[{step}]"


def _value(desired: Any, live: Any, at: Place) -> str | None:
    if desired == live:
        return None
    if isinstance(desired, dict) and isinstance(live, dict):
        return _mapping(desired, live, at)
    if _is_list(desired) and _is_list(live):
        keys = ITEM_KEYS.get(at.path[-2:])
        return _list(desired, live, at) if keys is None else _keyed(desired, live, at, keys)
    if _is_omitted(desired, live, at.path) or _is_same_amount(desired, live, at.path):
        return None
    return f"{at.shown} is {_text(live)}, want {_text(desired)}"


def _mapping(desired: Mapping[str, Any], live: Mapping[str, Any], at: Place) -> str | None:
    for key, value in desired.items():
        here = at.field(key)
        if here.path in IDENTITY:
            continue
        found = _value(value, live.get(key), here)
        if found is not None:
            return found
    added = next((key for key, value in live.items() if at.is_whole and value and key not in desired), None)
    return f"{at.field(added).shown} is {_text(live[added])}, want absent" if added is not None else None


def _list(desired: Sequence[Any], live: Sequence[Any], at: Place) -> str | None:
    if len(desired) != len(live):
        return f"{at.shown} has {len(live)} items, want {len(desired)}"
    differences = (
        _value(wanted, there, at.item(index, is_whole=True))
        for index, (wanted, there) in enumerate(zip(desired, live, strict=True))
    )
    return next((found for found in differences if found is not None), None)


def _keyed(desired: Sequence[Any], live: Sequence[Any], at: Place, keys: tuple[str, ...]) -> str | None:
    there = {tuple(item.get(key) for key in keys): item for item in live}
    for item in desired:
        identity = tuple(item.get(key) for key in keys)
        found = _value(item, there.get(identity), at.item("/".join(map(str, identity)), is_whole=False))
        if found is not None:
            return found
    return None


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_omitted(desired: Any, live: Any, path: Path) -> bool:
    return live is None and not desired and path[-1] not in NEVER_OMITTED


def _is_same_amount(desired: Any, live: Any, path: Path) -> bool:
    *_, parent, name = ("", *path)
    is_quantity = parent in QUANTITY_PARENTS or name in QUANTITY_FIELDS or (parent, name) == METRIC_VALUE
    return is_quantity and quantity(desired) is not None and quantity(desired) == quantity(live)


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    return "present" if isinstance(value, Mapping) or _is_list(value) else str(value)
