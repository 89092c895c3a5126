"""The queue that EventBridge puts registry events into: received by long polling, deleted in batches.

A long poll lasts 20 seconds, longer than the operator may take to end, so it runs in a daemon thread of its own that
nobody waits for. What such a thread had received when the process ended comes again after its visibility timeout.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.trouble import AWS_ERRORS, Trouble, code_of, denial_advice, network_advice, trouble_of
from psm_operator.errors import Retryable
from psm_operator.registry_events import Message

T = TypeVar("T")

WAIT_S: Final = 20
BATCH: Final = 10
"""The service's own maxima."""

HOST_PARTS: Final = 3
"""sqs.<region>.<domain>"""


class SqsQueue:
    """Implements `registry_events.EventQueue`.

    Args:
        url: the queue's URL; its host names the region.
        limits: as of other calls; a read waits for as long as the poll lasts.
    """

    def __init__(self, url: str, limits: AwsLimits, *, region: str = "", endpoint: str = "") -> None:
        self._url = url
        self._region = region or region_of(url)
        patient = replace(limits, threads=1, read_timeout_s=WAIT_S + limits.read_timeout_s)
        self._clients = AwsClients(patient, endpoints={"sqs": endpoint} if endpoint else {})

    @property
    def clients(self) -> AwsClients:
        """Makes its client; for telemetry to measure."""
        return self._clients

    async def receive(self) -> Sequence[Message]:
        """Wait up to 20 s for messages, at most ten.

        Raises:
            Retryable: the queue could not be read; the message names it and what to do.
        """
        answer = await self._call(
            lambda client: client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=WAIT_S)
        )
        return tuple(Message(row["ReceiptHandle"], row["Body"]) for row in answer.get("Messages") or [])

    async def delete(self, messages: Sequence[Message]) -> None:
        """Forget messages; one that is not deleted comes again.

        Raises:
            Retryable: some could not be deleted.
        """
        entries = [{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(messages)]
        answer = await self._call(lambda client: client.delete_message_batch(QueueUrl=self._url, Entries=entries))
        if failed := answer.get("Failed"):
            raise Retryable(f"queue {self._url} did not delete {len(failed)} of {len(entries)} messages: {failed[0]}")

    async def _call(self, function: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        try:
            return await in_daemon(lambda: function(self._clients.client("sqs", self._region)))
        except AWS_ERRORS as err:
            raise self._translated(err) from err

    def _translated(self, err: Exception) -> Retryable:
        match trouble_of(err):
            case Trouble.MISSING | Trouble.REFUSED:
                advice = (
                    "create it, or correct PSM_OPERATOR_REGISTRY_EVENTS_QUEUE_URL (chart value registryEvents.queueUrl)"
                )
            case Trouble.DENIED:
                advice = denial_advice(err, "sqs:ReceiveMessage and sqs:DeleteMessage on the queue")
            case Trouble.THROTTLED:
                advice = "SQS asks to slow down"
            case Trouble.AWAY:
                advice = network_advice(err, self._region)
        where = f"queue {self._url} in region {self._region or 'of AWS_REGION'}"
        return Retryable(f"{where} could not be used ({code_of(err)}): {err}; {advice}")


def region_of(url: str) -> str:
    """The region in https://sqs.<region>.amazonaws.com/…; empty if the host is no AWS one, and boto3 knows."""
    host = url.partition("//")[2].partition("/")[0].split(".")
    return host[1] if host[0] == "sqs" and len(host) > HOST_PARTS else ""


async def in_daemon(function: Callable[[], T]) -> T:
    """Run blocking work in a thread that does not keep the process from ending; a cancelled caller leaves it alone."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[Any], None], value: object) -> None:
        if not done.done():
            set_it(value)

    def work() -> None:
        try:
            outcome: tuple[Callable[[Any], None], object] = (done.set_result, function())
        except Exception as err:  # noqa: BLE001  # carried to the caller, whatever it is
            outcome = (done.set_exception, err)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name="aws-long-poll", daemon=True).start()
    return await done
