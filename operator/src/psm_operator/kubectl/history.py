"""`kubectl psm history`: what happened to a model's versions, newest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psm_operator.kubectl.models import name_of, namespace_of, rejection_of, status_of
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.table import age, cell

HEADERS = ("AGE", "VERSION", "RESULT", "REASON", "FROM", "TO")
WIDE = (*HEADERS, "AT", "SHA256", "MESSAGE")

Row = tuple[Mapping[str, Any], tuple[str, ...]]


def rows(model: Manifest, now: datetime, *, is_wide: bool = False) -> list[Row]:
    """Every entry with its line of the table."""
    return [(entry, _row(model, entry, now, is_wide=is_wide)) for entry in status_of(model).get("history") or []]


def _row(model: Manifest, entry: Mapping[str, Any], now: datetime, *, is_wide: bool) -> tuple[str, ...]:
    cells = (
        age(entry["at"], now),
        str(entry["version"]),
        entry["result"],
        entry["reason"],
        cell(entry.get("from")),
        cell(entry.get("to")),
    )
    if not is_wide:
        return cells
    rejection = rejection_of(model, entry["version"]) or {}
    message = rejection["message"] if rejection.get("at") == entry["at"] else None
    digest = (entry.get("served") or {}).get("sha256") or ""
    return (*cells, entry["at"], cell(digest[:12]), cell(message))


def documents(models: Sequence[Manifest]) -> list[dict[str, Any]]:
    """For `-o json|yaml`: the history of each model under its name."""
    return [
        {"namespace": namespace_of(m), "name": name_of(m), "history": list(status_of(m).get("history") or [])}
        for m in models
    ]
