"""The two errors the operator expects, and nothing else.

    OperatorError
    ├── Retryable(retry_after_s)   something outside is away or slow: try again, with backoff
    └── Stalled(reason)            a person must change something first: wait for spec or registry to change

Adapters translate what their libraries raise into one of these, with ``from``; the work queue alone decides what follows.
"""

from psm_operator.api.conditions import Reason


class OperatorError(Exception):
    """Base of every error the operator raises on purpose."""


class Retryable(OperatorError):  # noqa: N818  # says what to do, which is what a reader asks
    """A fault that may pass by itself.

    Attributes:
        reason: what a condition shows while the fault lasts.
        retry_after_s: seconds the other side asked us to wait; None leaves it to the backoff.
    """

    def __init__(
        self, message: str, *, reason: Reason = Reason.DEPENDENCY_UNAVAILABLE, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Stalled(OperatorError):  # noqa: N818  # kstatus' word
    """A state that only a change of the spec, the registry or the cluster ends."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
