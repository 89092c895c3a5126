"""PURE. One rule's answer about one version, as people read it."""

from dataclasses import dataclass
from enum import StrEnum

from psm_operator.decide.gates import Finding


class Answer(StrEnum):
    """What a rule says of a version."""

    PASS = "pass"  # noqa: S105  # an answer, not a password
    FAIL = "fail"
    """It stands in the way until somebody acts."""
    WAIT = "wait"
    """It stands in the way and ends by itself."""
    UNKNOWN = "unknown"
    """It cannot be told from what is known."""
    SKIP = "skip"
    """It does not count: switched off, or a person has the word."""
    LATER = "later"
    """Its turn has not come."""
    NOTE = "note"
    """It does not stand in the way, and is good to know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule.

    Attributes:
        value: what it found.
        bound: what it asks for.
        message: why, and what to do; empty where value and bound say it all.
    """

    rule: str
    answer: Answer
    value: str = ""
    bound: str = ""
    message: str = ""


def judged(rule: str, finding: Finding | None, value: str = "", bound: str = "") -> Step:
    """What a gate found, as a step."""
    if finding is None:
        return Step(rule, Answer.PASS, value, bound)
    return Step(rule, Answer.FAIL if finding.is_final else Answer.WAIT, value, bound, finding.message)
