"""What a command writes on a model, decided from the model alone: the patch, in words, or why it makes no sense.

No request is sent here. What may be served, and what a rejection is, is asked of the operator's own rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psm_operator.api.status import ModelStatus, Served
from psm_operator.decide.rollback import earlier_versions
from psm_operator.decide.scene import REQUESTED_AT, is_rejected, is_rolling_back, serving_target
from psm_operator.decide.wishes import ROLLBACK, UNREJECT, rollback_text, unreject_text
from psm_operator.kubectl.errors import PluginError
from psm_operator.kubectl.models import git_owner, is_suspended, known_versions, name_of, parsed, pin_of, status_of
from psm_operator.kubectl.plain import Manifest


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that makes sense.

    Attributes:
        patch: a JSON merge patch, without the resourceVersion.
        done: what was done, as kubectl says it behind the object's name.
        target: the version that should serve afterwards; None if the wish names none.
        rollback: the rollback annotation's text, if it is one.
        version: the version that the wish is about.
        warnings: what a person should know all the same.
        is_from_registry: an approval asks for it: the operator may not have looked since, so a stall is no verdict.
    """

    patch: Manifest
    done: str
    target: int | None = None
    rollback: str = ""
    version: int | None = None
    warnings: tuple[str, ...] = field(default=())
    is_from_registry: bool = False


def rollback(model: Manifest, to: int | None, now: datetime) -> Wish:
    """Go back from what serves to an earlier version."""
    spec, status = parsed(model)
    name, serving = name_of(model), serving_target(status)
    if spec.version.pin is not None:
        raise PluginError(
            f"{name} is pinned to version {spec.version.pin}; `kubectl psm unpin {name}` first, or pin another"
        )
    _refuse_while_suspended(model, "rollback")
    if serving is None:
        raise PluginError(f"{name} serves nothing yet; there is nothing to go back from")
    if is_rolling_back(status) and status.rollback is not None:
        way = f"from {status.rollback.from_} to {status.rollback.to.version}"
        raise PluginError(f"{name} is rolling back {way} already; follow it with `kubectl psm status {name} -w`")
    ways = [served for served in earlier_versions(status) if served.version != serving.version]
    open_ways = [w for w in ways if not is_rejected(status, w.version) and spec.version.admits(w.version)]
    if to is not None:
        there = ", ".join(str(way.version) for way in open_ways) or "none"
        refusal = _why_not_to(to, serving.version, status, ways) if to not in [w.version for w in open_ways] else ""
        if refusal:
            raise PluginError(f"version {to} {refusal} (ways back of {name}: {there})")
    if not open_ways:
        reasons = ("is rejected" if is_rejected(status, way.version) else "is out of range" for way in ways)
        closed = [f"version {way.version} {why}" for way, why in zip(ways, reasons, strict=True)]
        why = ", ".join(closed) or "no other version has served"
        raise PluginError(f"{name} has no way back from version {serving.version}: {why}; pin a version instead")
    goal = f"to version {to}" if to is not None else f"to version {open_ways[0].version} or the next that may be served"
    text = rollback_text(serving.version, to, now)
    return Wish(
        patch=_annotate({ROLLBACK: text}),
        done=f"rollback requested from version {serving.version} {goal}",
        target=to,
        rollback=text,
        version=serving.version,
    )


def _why_not_to(to: int, serving: int, status: ModelStatus, ways: Sequence[Served]) -> str:
    if to == serving:
        return "serves already; leave --to out, or name an earlier version"
    if to not in [way.version for way in ways]:
        return "is not in the history; pin it to serve it all the same"
    if is_rejected(status, to):
        return "is rejected; unreject it first, or pin it"
    return "is outside spec.version.range; pin it instead"


def unreject(model: Manifest, versions: Sequence[int]) -> Wish:
    """Forget that versions were rejected."""
    _, status = parsed(model)
    name = name_of(model)
    entries = {entry.version: entry for entry in status.rejected}
    strangers = [str(version) for version in versions if version not in entries]
    if strangers:
        there = ", ".join(map(str, entries)) or "none"
        raise PluginError(
            f"version {', '.join(strangers)} of {name} is not rejected (rejected are: {there}); name one of those"
        )
    wanted = tuple(entries[version] for version in dict.fromkeys(versions))
    pending = set((model["metadata"].get("annotations") or {}).get(UNREJECT, "").split(","))
    others = tuple(entry for entry in status.rejected if entry not in wanted and unreject_text((entry,)) in pending)
    words = ", ".join(str(entry.version) for entry in wanted)
    return Wish(
        patch=_annotate({UNREJECT: unreject_text((*wanted, *others))}),
        done=f"rejection of version {words} cleared",
        version=wanted[0].version,
        warnings=_waits_for_resume(model),
    )


def retry(model: Manifest, now: datetime) -> Wish:
    """Let the version that the policy would pick be tried again."""
    name, desired = name_of(model), (status_of(model).get("desired") or {}).get("version")
    if desired is None:
        raise PluginError(
            f"{name} has no version to try: {status_of(model).get('message') or 'not seen by the operator yet'}"
        )
    if desired == (status_of(model).get("current") or {}).get("version"):
        raise PluginError(f"{name} serves version {desired}, the newest approved; there is nothing to retry")
    _, status = parsed(model)
    if not is_rejected(status, desired):
        raise PluginError(
            f"version {desired} of {name} is not rejected; ask `kubectl psm explain {name}` what it waits for"
        )
    wish = unreject(model, [desired])
    asked = {**wish.patch["metadata"]["annotations"], REQUESTED_AT: now.isoformat(timespec="seconds")}
    return Wish(
        patch=_annotate(asked),
        done=f"retry of version {desired} requested",
        target=desired,
        version=desired,
        warnings=wish.warnings,
    )


def pin(model: Manifest, version: int) -> Wish:
    """Serve exactly one version; the policy or range stays where it is, for whoever wrote it."""
    name = name_of(model)
    if pin_of(model) == version:
        raise PluginError(f"{name} is pinned to version {version} already; nothing to do")
    warnings = [*_warn_of_git(model), *_waits_for_resume(model)]
    rejection = next((e for e in status_of(model).get("rejected") or [] if e["version"] == version), None)
    if rejection is not None:
        warnings.append(f"version {version} was rejected ({rejection['message']}); the pin ends that and serves it")
    elif version not in known_versions(model):
        warnings.append(
            f"version {version} is not in the status of {name}; if it is not in the registry, nothing changes"
        )
    done = f"pinned to version {version}"
    return Wish(patch=_choose({"pin": version}), done=done, target=version, version=version, warnings=tuple(warnings))


def unpin(model: Manifest, choice: Manifest | None) -> Wish:
    """Follow approvals again: by the policy or range that stands beside the pin, or by `choice` from now on."""
    name, before = name_of(model), pin_of(model)
    if before is None:
        raise PluginError(f"{name} is not pinned; nothing to do")
    wanted = choice if choice is not None else model["spec"]["version"]
    text = f"range {wanted['range']}" if wanted.get("range") else "policy LatestApproved"
    others = dict.fromkeys(model["spec"]["version"]) if choice is not None else {}
    return Wish(
        patch=_choose({**others, "pin": None, **(choice or {})}),
        done=f"unpinned from version {before}, follows {text}",
        warnings=(*_warn_of_git(model), *_waits_for_resume(model)),
    )


def suspend(model: Manifest, *, is_wanted: bool) -> Wish:
    """Stop acting, or act again."""
    name = name_of(model)
    if is_suspended(model) == is_wanted:
        raise PluginError(f"{name} is {'suspended already' if is_wanted else 'not suspended'}; nothing to do")
    return Wish(
        patch={"spec": {"suspend": is_wanted}},
        done="suspended" if is_wanted else "resumed",
        warnings=_warn_of_git(model),
    )


def _annotate(annotations: dict[str, str | None]) -> Manifest:
    return {"metadata": {"annotations": annotations}}


def _choose(version: dict[str, Any]) -> Manifest:
    return {"spec": {"version": version}}


def _refuse_while_suspended(model: Manifest, what: str) -> None:
    if is_suspended(model):
        name = name_of(model)
        raise PluginError(f"{name} is suspended: a {what} would wait unseen; `kubectl psm resume {name}` first")


def _waits_for_resume(model: Manifest) -> tuple[str, ...]:
    name = name_of(model)
    text = f"{name} is suspended: nothing changes until `kubectl psm resume {name}`"
    return (text,) if is_suspended(model) else ()


def _warn_of_git(model: Manifest) -> tuple[str, ...]:
    owner = git_owner(model)
    text = f"{name_of(model)} is managed by {owner}: its next sync may undo this change; make it in Git too"
    return (text,) if owner else ()
