"""PURE. What a person asks for by an annotation on the resource: go back, or forget a rejection.

`kubectl psm` and Argo CD actions write these texts; the operator only reads them. Each names exactly what it is about, so that
an annotation left behind does nothing: a rollback is acted upon once, and a rejection is named with the moment it was made.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psm_operator.api.status import ModelStatus, Rejection
from psm_operator.values import Observation

ROLLBACK: Final = "retail.mlops/rollback"
UNREJECT: Final = "retail.mlops/unreject"

ROLLBACK_PATTERN: Final = re.compile(r"([1-9][0-9]{0,8})(?:->([1-9][0-9]{0,8}))?@(\S+)")
UNREJECT_PATTERN: Final = re.compile(r"([1-9][0-9]{0,8})@(\S+)")


@dataclass(frozen=True, slots=True)
class RollbackWish:
    """A person wants version `from_` gone; `to` names where to go, None leaves that to the operator."""

    text: str
    from_: int
    to: int | None


def rollback_text(from_: int, to: int | None, at: datetime) -> str:
    """The annotation that asks for a rollback."""
    return f"{from_}{'' if to is None else f'->{to}'}@{at.isoformat(timespec='seconds')}"


def unreject_text(rejections: tuple[Rejection, ...]) -> str:
    """The annotation that clears these rejections."""
    return ",".join(f"{entry.version}@{entry.at.isoformat(timespec='seconds')}" for entry in rejections)


def rollback_wish(annotations: Mapping[str, str], status: ModelStatus) -> RollbackWish | None:
    """A rollback that was asked for and not acted upon yet."""
    text = annotations.get(ROLLBACK, "")
    match = ROLLBACK_PATTERN.fullmatch(text)
    if match is None or text == status.last_handled_rollback:
        return None
    return RollbackWish(text, int(match[1]), int(match[2]) if match[2] else None)


def is_forgiven(seen: Observation, rejection: Rejection) -> bool:
    """Whether a person cleared exactly this rejection; a word spoken earlier cannot be about one made just now."""
    return rejection.at < seen.now and (rejection.version, rejection.at) in set(_forgiven(seen))


def unreadable_wish(seen: Observation) -> str:
    """What is wrong with an annotation that cannot be understood; empty if nothing."""
    text = seen.annotations.get(ROLLBACK)
    if text and ROLLBACK_PATTERN.fullmatch(text) is None:
        return (
            f"annotation {ROLLBACK} is {text!r}, not like 18@2026-01-31T12:00:00Z or 18->17@...: correct or remove it"
        )
    text = seen.annotations.get(UNREJECT)
    if text and len(list(_forgiven(seen))) < len(text.split(",")):
        return f"annotation {UNREJECT} is {text!r}, not versions like 18@<at of its rejection>: correct or remove it"
    return ""


def _forgiven(seen: Observation) -> Iterator[tuple[int, datetime]]:
    for part in seen.annotations.get(UNREJECT, "").split(","):
        match = UNREJECT_PATTERN.fullmatch(part.strip())
        moment = _moment(match[2]) if match is not None else None
        if match is not None and moment is not None:
            yield int(match[1]), moment


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
