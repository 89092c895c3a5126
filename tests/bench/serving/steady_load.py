"""An open load: a request every so many milliseconds, whether or not the last one was answered.

Latency counts from the moment at which a request was due, so that a stalled server cannot hide by making its clients wait.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any, Final

import aiohttp
from bench.results import percentile

TIMEOUT_S: Final = 10.0
MOST_CONNECTIONS: Final = 256


@dataclass
class Answers:
    """What came back.

    Attributes:
        latencies_s: of every answer, from when its request was due.
        failures: what went wrong -> how often.
    """

    latencies_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        """As numbers for the results file."""
        shares = {f"p{share}_ms": round(1000 * percentile(self.latencies_s, share / 100), 1) for share in (50, 95, 99)}
        return {"requests": len(self.latencies_s), **shares, "failures": dict(self.failures)}


@dataclass
class SteadyLoad:
    """Bodies in turn to one host behind an Ingress."""

    url: str
    host: str
    bodies: Sequence[bytes]
    rate_per_s: float

    def __post_init__(self) -> None:
        self._bodies: Iterator[bytes] = cycle(self.bodies)

    async def run_for(self, seconds: float) -> Answers:
        """Send for so long."""
        return await self.run_until(asyncio.create_task(asyncio.sleep(seconds)))

    async def run_until(self, end: "asyncio.Task[None]") -> Answers:
        """Send until a task ends, and raise what it raised."""
        answers = Answers()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=MOST_CONNECTIONS)
        headers = {"Host": self.host, "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as http,
            asyncio.TaskGroup() as requests,
        ):
            began = time.monotonic()
            for number in count():
                due = began + number / self.rate_per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if end.done():
                    break
                requests.create_task(self._send(http, next(self._bodies), due, answers))
        await end
        return answers

    async def _send(self, http: aiohttp.ClientSession, body: bytes, due: float, answers: Answers) -> None:
        try:
            async with http.post(f"{self.url}/predict", data=body) as answer:
                text = await answer.read()
                if not answer.ok:
                    answers.failures[f"{answer.status} {text[:80]!r}"] += 1
        except (aiohttp.ClientError, TimeoutError) as err:
            answers.failures[type(err).__name__] += 1
        answers.latencies_s.append(time.monotonic() - due)
