"""Sends a wish to the API server: checked against the very object that is patched, or as a dry run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psm_operator.kubectl.client import FIELD_MANAGER, MERGE_PATCH
from psm_operator.kubectl.errors import ApiError, PluginError
from psm_operator.kubectl.models import full_name, name_of, namespace_of, path, read_one
from psm_operator.kubectl.output import objects
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.session import Session
from psm_operator.kubectl.wishes import Wish

CONFLICT: Final = 409
ATTEMPTS: Final = 5
"""The operator writes the status meanwhile; each attempt reads and checks anew."""

SUFFIXES: Final = {"none": "", "client": " (dry run)", "server": " (server dry run)"}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a write is carried out.

    Attributes:
        wait_s: how long to wait until it came true; None for not at all, 0 for ever.
    """

    dry_run: str = "none"
    output: str = ""
    wait_s: float | None = None


def write_each(session: Session, names: Sequence[str], make: Callable[[Manifest], Wish], manner: Manner) -> None:
    """Write the same wish on several models, then wait for each.

    Raises:
        PluginError: it makes no sense on one of them; those before it are written.
    """
    if manner.wait_s is not None and manner.dry_run != "none":
        raise PluginError("--wait makes no sense with --dry-run; leave one of them out")
    written = [write(session, name, make, manner) for name in names]
    if manner.wait_s is not None:
        from psm_operator.kubectl.waiting import wait  # noqa: PLC0415  # only when asked for

        for model, wish in written:
            wait(session, model, wish, manner.wait_s)


def write(session: Session, name: str, make: Callable[[Manifest], Wish], manner: Manner) -> tuple[Manifest, Wish]:
    """Write one wish on one model; returns the model as it is then.

    Raises:
        PluginError: it makes no sense, or the API server refuses.
    """
    for attempt in range(ATTEMPTS):
        model = read_one(session.client, session.namespace, name)
        wish = make(model)
        try:
            after = _patched(session, model, wish, manner.dry_run)
        except ApiError as err:
            if err.status != CONFLICT or attempt == ATTEMPTS - 1:
                raise
            continue
        break
    for warning in wish.warnings:
        session.warn(f"warning: {warning}")
    if manner.output:
        session.say(objects([after], manner.output, is_list=False))
    else:
        session.say(f"{full_name(after)} {wish.done}{SUFFIXES[manner.dry_run]}")
    return after, wish


def _patched(session: Session, model: Manifest, wish: Wish, dry_run: str) -> Manifest:
    if dry_run == "client":
        return merged(model, wish.patch)
    version = model["metadata"]["resourceVersion"]
    body = merged(wish.patch, {"metadata": {"resourceVersion": version}})
    query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run == "server" else {})
    where = path(namespace_of(model), name_of(model))
    return session.client.send("PATCH", where, query=query, body=body, content_type=MERGE_PATCH)


def merged(value: Manifest, patch: Mapping[str, Any]) -> Manifest:
    """RFC 7386: the value with a JSON merge patch applied; neither is changed."""
    made: Manifest = json.loads(json.dumps(value))
    for key, wanted in patch.items():
        if wanted is None:
            made.pop(key, None)
        elif isinstance(wanted, Mapping):
            there = made.get(key)
            made[key] = merged(there if isinstance(there, dict) else {}, wanted)
        else:
            made[key] = wanted
    return made
