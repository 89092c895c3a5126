"""The emulator's controls as functions: what a test or the demo sets and asks beside the AWS API."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class EmulatorControl:
    """Faults, calls and reset of one running emulator."""

    url: str

    def reset(self) -> None:
        """Forget all state of all services, all faults, all counted calls and all missing operations."""
        self._send("POST", "/moto-api/reset")
        self.set_faults()
        self._send("DELETE", "/__calls")

    def set_faults(self, **faults: Any) -> None:
        """Replace the faults, named as in `emulator.faults.Faults`; without arguments the emulator is healthy."""
        self._send("PUT", "/__faults", faults)

    def calls(self) -> dict[str, int]:
        """Return how often each operation was called since the last reset."""
        counted: dict[str, int] = json.loads(self._send("GET", "/__calls"))
        return counted

    def missing(self) -> list[str]:
        """Return the operations that were asked for and that the emulator lacks."""
        operations: list[str] = json.loads(self._send("GET", "/__missing"))
        return operations

    def asked(self) -> list[str]:
        """Return services and operations that were asked for since `forget`, such as s3:GetBucketAcl."""
        operations: list[str] = json.loads(self._send("GET", "/__asked"))
        return operations

    def forget(self) -> None:
        """Forget what was asked for, counted and missing; the state stays."""
        self._send("DELETE", "/__calls")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)  # noqa: S310  # loopback http
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # loopback http
            content: bytes = answer.read()
            return content
