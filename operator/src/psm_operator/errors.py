"""The two errors the operator expects, and nothing else.

    OperatorError
    ├── Retryable(retry_after_s)   something outside is away or slow: try again, with backoff
    │   ├── Unreachable            the other side did not answer at all: whatever else is asked of it now would wait too
    │   └── Conflict               somebody else wrote first: read again, decide again
    └── Stalled(reason)            a person must change something first: wait for spec, registry or cluster to change

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


class Unreachable(Retryable):
    """No answer: refused connections, cut connections, time-outs."""


class Conflict(Retryable):
    """What was to be written is not what it was when it was read."""


class Stalled(OperatorError):  # noqa: N818  # kstatus' word
    """A state that only a change of the spec, the registry or the cluster ends.

    Attributes:
        look_again_s: when to look whether it has ended, where no event tells; None where one does.
    """

    def __init__(self, reason: Reason, message: str, *, look_again_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.look_again_s = look_again_s
