"""The verdict on a workspace's data: checks by name, kept in validation.json, where `package` finds it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psm_contract.metadata import VALIDATION_FAILED, VALIDATION_PASSED
from psm_training.errors import PipelineError
from psm_training.workspace import Workspace, write_json


class ValidationFailedError(PipelineError):
    """The data was judged, the verdict is written, and it is bad."""


@dataclass(frozen=True)
class Check:
    """One check's outcome.

    Attributes:
        name: Layer and rule, such as "silver ranges".
        passed: Whether the data is as expected.
        message: What was expected and, where it failed, what was seen.
    """

    name: str
    passed: bool
    message: str


def verdict_of(checks: Iterable[Check]) -> str:
    """What the model package will say."""
    return VALIDATION_PASSED if all(check.passed for check in checks) else VALIDATION_FAILED


def write_verdict(space: Workspace, checks: Sequence[Check]) -> None:
    """Writes validation.json."""
    document: dict[str, Any] = {"verdict": verdict_of(checks), "checks": [asdict(check) for check in checks]}
    write_json(space.validation, document)


def failures(checks: Iterable[Check]) -> str:
    """The failed checks in one line."""
    return "; ".join(f"{check.name}: {check.message}" for check in checks if not check.passed)
