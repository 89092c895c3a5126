"""A pipeline waits for somebody's word."""

import pytest

from psm_training.approved import wait_approved
from psm_training.errors import PipelineError
from psm_training.registry import APPROVED, PENDING, REJECTED, ModelPackage


def waited(*statuses: str, limit_s: float = 60.0) -> tuple[ModelPackage, list[str], list[float]]:
    """What came of it, what was said, and how long each pause was asked to be."""
    seen = iter(statuses)
    said: list[str] = []
    pauses: list[float] = []
    package = wait_approved(
        lambda: ModelPackage(7, "arn:7", next(seen)), limit_s=limit_s, poll_s=5.0, pause=pauses.append, say=said.append
    )
    return package, said, pauses


def test_an_approved_version_is_not_waited_for() -> None:
    package, said, pauses = waited(APPROVED)
    assert (package.status, said, pauses) == (APPROVED, [], [])


def test_people_are_told_once_how_to_approve() -> None:
    _, said, pauses = waited(PENDING, PENDING, PENDING, APPROVED)
    assert said == [f"version 7 is {PENDING}; approve it: psm-train approve 7"]
    assert pauses == [5.0, 5.0, 5.0]


def test_a_rejection_ends_the_wait_at_once() -> None:
    with pytest.raises(PipelineError, match="version 7 was rejected; nothing is released"):
        waited(PENDING, REJECTED, APPROVED)


def test_nobody_decides_for_too_long() -> None:
    with pytest.raises(PipelineError, match=f"version 7 is still {PENDING} after 0 s; approve or reject it"):
        waited(PENDING, APPROVED, limit_s=0.0)
