"""Events are recorded once per key; one too many waits for a token."""

from typing import Any

from timers_by_hand import HandTimer
from world import REF

from psm_operator.adapters.event_recorder import BURST, REMEMBERED_S, EventRecorder
from psm_operator.adapters.memory import MemoryClock
from psm_operator.api.conditions import Reason
from psm_operator.values import Event


class Api:
    """Takes what is sent; it refuses nothing and stores nothing."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, method: str, path: str, *, body: dict[str, Any]) -> None:  # noqa: ARG002  # the client's signature
        self.sent.append(body["note"])


class Metrics:
    """Counts what was given up."""

    def __init__(self) -> None:
        self.dropped: list[str] = []

    def event_dropped(self, why: str) -> None:
        self.dropped.append(why)


def event(number: int) -> Event:
    return Event("Normal", Reason.SERVING, f"event {number}", f"key {number}")


async def test_an_event_too_many_waits_and_a_name_is_remembered_as_long_as_it_is_news() -> None:
    api, metrics, timer = Api(), Metrics(), HandTimer()
    recorder = EventRecorder(api, identity="test", clock=MemoryClock(), timer=timer, metrics=metrics)  # type: ignore[arg-type]  # stands in for the client
    for _ in range(3):
        for number in range(BURST + 5):
            await recorder.record(REF, "uid", event(number))
    assert len(api.sent) == BURST
    assert set(metrics.dropped) == {"rate"}
    await timer.advance(REMEMBERED_S / 2)
    for number in range(BURST + 5):
        await recorder.record(REF, "uid", event(number))
    assert len(api.sent) == BURST + 5
