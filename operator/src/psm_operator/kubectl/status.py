"""`kubectl psm status`: one line per model, or everything about those that are named."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psm_operator.kubectl.history import rows as history_rows
from psm_operator.kubectl.models import (
    condition,
    git_owner,
    is_suspended,
    known_versions,
    name_of,
    namespace_of,
    pin_of,
    rejection_of,
    rejections,
    status_of,
    version_in,
)
from psm_operator.kubectl.output import colored, paint
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.table import age, cell, lines_of

SHORT = ("NAME", "READY", "VERSION", "LATEST", "PHASE", "REPLICAS", "AGE", "MESSAGE")
WIDE = (*SHORT[:-1], "STABLE", "CANDIDATE", "REJECTED", "ACCURACY", "F1", "GROUP", "URL", "MESSAGE")

SHOWN_HISTORY = 5


def headers(*, is_wide: bool, has_namespace: bool) -> tuple[str, ...]:
    """Of the table of models."""
    columns = WIDE if is_wide else SHORT
    return ("NAMESPACE", *columns) if has_namespace else columns


def row(model: Manifest, now: datetime, *, is_wide: bool, has_namespace: bool) -> tuple[str, ...]:
    """One model as a line of the table."""
    status = status_of(model)
    head = [namespace_of(model)] if has_namespace else []
    cells = [
        name_of(model),
        cell(condition(model, "Ready").get("status")),
        cell(version_in(model, "current")),
        cell(version_in(model, "desired")),
        cell(status.get("phase")),
        _replicas(status),
        age(model["metadata"]["creationTimestamp"], now),
    ]
    if is_wide:
        cells += [
            cell(version_in(model, "stable")),
            cell(version_in(model, "candidate")),
            cell(",".join(str(entry["version"]) for entry in rejections(model))),
            cell(_metric(status, "accuracy")),
            cell(_metric(status, "macro_f1")),
            cell(model["spec"]["registry"]["modelPackageGroupName"]),
            cell(status.get("url")),
        ]
    return (*head, *cells, _message(model))


def _message(model: Manifest) -> str:
    return cell(" ".join(str(status_of(model).get("message") or "").split()))


def _replicas(status: Mapping[str, Any]) -> str:
    return f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}" if status else cell(None)


def _metric(status: Mapping[str, Any], name: str) -> str | None:
    metrics = (status.get("current") or {}).get("metrics") or []
    return next((metric["value"] for metric in metrics if metric["name"] == name), None)


def painted(line: str, cells: Sequence[str], *, has_color: bool) -> str:
    """A line of the table with READY and PHASE in colour."""
    return paint(line, [text for text in cells if " " not in text], has_color=has_color)


def details(model: Manifest, now: datetime, *, has_color: bool) -> list[str]:
    """Everything about one model that a person on call asks first."""
    status = status_of(model)
    phase = status.get("phase") or "Pending"
    registry = model["spec"]["registry"]
    facts = [
        ("Name", name_of(model)),
        ("Namespace", namespace_of(model)),
        ("Group", f"{registry['modelPackageGroupName']} ({registry['region']})"),
        ("Version policy", _policy(model)),
        ("Phase", colored(phase, phase, has_color=has_color)),
        ("Message", _message(model)),
        ("Replicas", f"{status.get('readyReplicas', 0)} of {status.get('replicas', 0)} answer"),
        ("URL", cell(status.get("url"))),
    ]
    facts += [("Off-hours", _off_hours(status["offHours"], now))] if status.get("offHours") else []
    facts += [("Managed by", git_owner(model))] if git_owner(model) else []
    facts += (
        [("Not seen yet", "the operator has not acted upon the last change of the spec")] if _is_stale(model) else []
    )
    width = max(len(name) for name, _ in facts) + len(":  ")
    made = [f"{name + ':':<{width}}{text}" for name, text in facts]
    made += _section("Versions", ("VERSION", "ROLE", "SINCE", "DETAIL"), _version_rows(model, now), has_color=has_color)
    made += _section(
        "Conditions",
        ("TYPE", "STATUS", "REASON", "AGE", "MESSAGE"),
        [_condition_row(entry, now) for entry in status.get("conditions") or []],
        has_color=has_color,
    )
    newest = [cells for _, cells in history_rows(model, now)][:SHOWN_HISTORY]
    return made + _section("History", ("AGE", "VERSION", "RESULT", "REASON", "FROM", "TO"), newest, has_color=has_color)


def _policy(model: Manifest) -> str:
    choice = model["spec"].get("version") or {}
    text = f"range {choice['range']}" if choice.get("range") else choice.get("policy") or "LatestApproved"
    text = f"pinned to {pin_of(model)}" if pin_of(model) is not None else text
    return f"{text}, suspended" if is_suspended(model) else text


def _off_hours(window: Mapping[str, Any], now: datetime) -> str:
    until = datetime.fromisoformat(window["until"])
    return f"{window.get('replicas', 0)} replicas until {window['until']} (in {age(now, until)})"


def _is_stale(model: Manifest) -> bool:
    return int(status_of(model).get("observedGeneration") or 0) < int(model["metadata"].get("generation") or 0)


def _version_rows(model: Manifest, now: datetime) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for version in known_versions(model):
        roles = roles_of(model, version)
        if roles:
            since, detail = _since(model, version, now), _detail(model, version)
            found.append((str(version), ",".join(roles), since, detail))
    return found


def roles_of(model: Manifest, version: int) -> list[str]:
    """What a version is to a model: latest, candidate, current, stable, rejected, pinned."""
    names = (("latest", "desired"), ("candidate", "candidate"), ("current", "current"), ("stable", "stable"))
    roles = [word for word, name in names if version_in(model, name) == version]
    roles += ["rejected"] if rejection_of(model, version) is not None else []
    return roles + (["pinned"] if pin_of(model) == version else [])


def _since(model: Manifest, version: int, now: datetime) -> str:
    status = status_of(model)
    rejection = rejection_of(model, version)
    if rejection is not None:
        return age(rejection["at"], now)
    served = [status.get(name) or {} for name in ("candidate", "current", "stable")]
    moments = [part.get("startedAt") or part.get("deployedAt") for part in served if part.get("version") == version]
    return age(next((moment for moment in moments if moment), None), now)


def _detail(model: Manifest, version: int) -> str:
    status = status_of(model)
    rejection = rejection_of(model, version)
    if rejection is not None:
        return f"{rejection['reason']}: {rejection['message']}"
    candidate = status.get("candidate") or {}
    stage = f"{candidate['stage']} " if candidate.get("version") == version else ""
    current = status.get("current") or {}
    metrics = current.get("metrics") or [] if current.get("version") == version else []
    text = ", ".join(f"{metric['name']} {metric['value'] or 'missing'} {metric['verdict']}" for metric in metrics)
    return cell((stage + text).strip())


def _condition_row(entry: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    since = age(entry["lastTransitionTime"], now)
    return entry["type"], entry["status"], entry["reason"], since, " ".join(str(entry["message"]).split())


def _section(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], *, has_color: bool) -> list[str]:
    if not cells:
        return [f"{title}:  <none>"]
    first, *lines = lines_of(columns, cells)
    telling = [painted(line, row[1:3], has_color=has_color) for line, row in zip(lines, cells, strict=True)]
    return [f"{title}:", f"  {first}", *(f"  {line}" for line in telling)]
