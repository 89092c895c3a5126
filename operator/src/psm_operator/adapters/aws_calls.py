"""Counts every call to AWS where botocore makes it, whichever adapter asked: service, operation, outcome, duration.

Hooked into each client by `aws`. An outcome is the trouble in lower case, so that its values are a closed set; error
codes are in the log. Retries within a call are counted too: adaptive retries hide throttling from whoever only looks at
outcomes.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from botocore.exceptions import ClientError

from psm_operator.adapters.trouble import Trouble, trouble_of
from psm_operator.api.conditions import Reason
from psm_operator.errors import Retryable

STARTED = "psm_started"


class CallMetrics(Protocol):
    """What is told to telemetry, from the thread that made the call."""

    def aws_called(self, service: str, operation: str, outcome: str, seconds: float, retries: int) -> None:
        """One call to AWS ended."""


def count_calls(client: Any, metrics: CallMetrics, time: Callable[[], float]) -> None:
    """Tell `metrics` of every call of a boto3 client; `time` is a monotonic clock in seconds."""

    def begin(context: dict[str, Any], **_: Any) -> None:
        context[STARTED] = time()

    def end(event_name: str, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        told = parsed.get("ResponseMetadata") or {}
        tell(event_name, outcome_of_answer(parsed), context, int(told.get("RetryAttempts") or 0))

    def fail(event_name: str, exception: Exception, context: dict[str, Any], **_: Any) -> None:
        tell(event_name, outcome_of_error(exception), context, 0)

    def tell(event_name: str, outcome: str, context: dict[str, Any], retries: int) -> None:
        _, service, operation = event_name.split(".")
        now = time()
        metrics.aws_called(service, operation, outcome, now - context.get(STARTED, now), retries)

    events = client.meta.events
    events.register("before-call", begin)
    events.register("after-call", end)
    events.register("after-call-error", fail)


def outcome_of_answer(parsed: dict[str, Any]) -> str:
    """`ok`, or what trouble the answer tells of; an object that is as it was is no trouble."""
    status = (parsed.get("ResponseMetadata") or {}).get("HTTPStatusCode", HTTPStatus.OK)
    if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.NOT_MODIFIED:
        return "ok"
    return trouble_of(ClientError(parsed, "")).name.lower()


def outcome_of_error(err: Exception) -> str:
    """What trouble kept a call from being answered; a role that cannot be assumed is a denial."""
    if isinstance(err, Retryable):
        return (Trouble.DENIED if err.reason is Reason.ACCESS_DENIED else Trouble.AWAY).name.lower()
    return trouble_of(err).name.lower()
