"""What can go wrong, as types. One table (hotpath.py) turns request errors into HTTP answers.

PredictorError
|- SettingsError       the environment is wrong: exit at once
|- ArtifactError       the model can never be served as it is: exit, the reason goes to the termination message
|- ArtifactUnavailable the model cannot be fetched just now: try again while not ready
`- RequestError        the client's request cannot be answered: 4xx
"""

from enum import StrEnum
from typing import Any


class PredictorError(Exception):
    """Base of every error of this package."""


class SettingsError(PredictorError):
    """The environment is incomplete or contradictory; the message lists every finding."""


class Reason(StrEnum):
    """Why a model can never be served; first word of the termination message, so it is API."""

    ARTIFACT_MISSING = "ArtifactMissing"
    """Bucket, object or file does not exist."""
    ARTIFACT_FORBIDDEN = "ArtifactForbidden"
    """No credentials, or they do not allow to read the object."""
    ARTIFACT_TOO_LARGE = "ArtifactTooLarge"
    """The archive is larger than the limit, packed or unpacked."""
    DIGEST_MISMATCH = "DigestMismatch"
    """The archive, or a file in it, is not the one that was registered."""
    ARCHIVE_REJECTED = "ArchiveRejected"
    """Not a readable tar.gz, or one with members that no model needs: links, devices, paths that leave it."""
    MANIFEST_INVALID = "ManifestInvalid"
    """manifest.json is missing, breaks its rules, or has another protocol number."""
    MODEL_INVALID = "ModelInvalid"
    """The model or its tables do not load, or do not fit the manifest."""
    GOLDEN_MISMATCH = "GoldenMismatch"
    """The model does not answer a golden row as it did when it was trained."""


UNREACHABLE = frozenset({Reason.ARTIFACT_MISSING, Reason.ARTIFACT_FORBIDDEN})
"""Reasons that say nothing about the archive itself."""


class ArtifactError(PredictorError):
    """The model can never be served as it is; `str()` is the line that an operator reads."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class ArtifactUnavailable(PredictorError):  # noqa: N818  # a state of the outside world, not a fault
    """The model cannot be fetched just now; the message names the endpoint and what it said."""


class RequestError(PredictorError):
    """A request that cannot be answered.

    Attributes:
        status: HTTP status.
        detail: Body of the answer under "detail": a sentence, or a list of findings as FastAPI writes them.
        kind: Label of the rejection in the metrics.
    """

    def __init__(self, status: int, detail: str | list[dict[str, Any]], kind: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
