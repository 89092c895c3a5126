"""A request load on the predictor through the Ingress: threads that send one body again and again and count."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from psm_local.demo.account import LoadCount

_TIMEOUT_S = 10.0
_VERSION = re.compile(rb'"model_version":\s*(\d+)')


@dataclass
class Load:
    """Requests from `threads` threads, together at most `rate_per_s` of them each second (0: as fast as answers come).

    Attributes:
        versions: model version -> answers that named it.
        failures: what went wrong -> how often.
    """

    url: str
    host: str
    body: bytes
    threads: int = 4
    rate_per_s: float = 0.0
    versions: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    _requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self._running = [threading.Thread(target=self._send, daemon=True) for _ in range(self.threads)]
        for thread in self._running:
            thread.start()

    def stop(self) -> LoadCount:
        """Wait for the requests under way, and count."""
        self._stop.set()
        for thread in self._running:
            thread.join()
        return LoadCount(self._requests, sum(self.failures.values()))

    def _send(self) -> None:
        pause_s = self.threads / self.rate_per_s if self.rate_per_s else 0.0
        headers = {"Host": self.host, "Content-Type": "application/json"}
        with httpx.Client(timeout=_TIMEOUT_S, headers=headers, trust_env=False) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                self._send_one(client)
                self._stop.wait(max(0.0, pause_s - (time.monotonic() - began)))

    def _send_one(self, client: httpx.Client) -> None:
        try:
            answer = client.post(f"{self.url}/predict", content=self.body)
            failure = None if answer.status_code == httpx.codes.OK else f"HTTP {answer.status_code} {answer.text[:80]}"
        except httpx.HTTPError as err:
            failure = f"{type(err).__name__} {err}"
        with self._lock:
            self._requests += 1
            if failure is not None:
                self.failures[failure] += 1
            else:
                self.versions[_version_of(answer.content)] += 1


def _version_of(answer: bytes) -> int:
    found = _VERSION.search(answer)
    return int(found.group(1)) if found else 0
