"""What the demo saw: a table for people, JSON for machines."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class StepResult:
    """How one step went."""

    name: str
    seconds: float
    result: Literal["ok", "failed"]
    seen: str


@dataclass(frozen=True)
class LoadCount:
    """Requests sent and how many of them were not answered with a prediction."""

    requests: int = 0
    failed: int = 0

    def __add__(self, other: "LoadCount") -> "LoadCount":
        return LoadCount(self.requests + other.requests, self.failed + other.failed)


@dataclass
class Account:
    """Every step so far and the load."""

    steps: list[StepResult] = field(default_factory=list)
    load: LoadCount = field(default_factory=LoadCount)

    def add(self, step: StepResult) -> None:
        """One more step has ended."""
        self.steps.append(step)

    @property
    def is_good(self) -> bool:
        """Whether no step failed."""
        return all(step.result == "ok" for step in self.steps)

    def write(self, path: Path) -> None:
        """Write the account as JSON: steps with name, seconds and result; load with requests and failed."""
        steps = [{"name": s.name, "seconds": round(s.seconds, 1), "result": s.result} for s in self.steps]
        load = {"requests": self.load.requests, "failed": self.load.failed}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"steps": steps, "load": load}, indent=2) + "\n")

    def table(self) -> str:
        """The account as text."""
        width = max(len(step.name) for step in self.steps)
        lines = [f"  {'step':<{width + 4}}  seconds  result", f"  {'-' * (width + 21)}"]
        lines += [
            f"  {number:>2}  {step.name:<{width}}  {step.seconds:>7.1f}  {step.result}"
            for number, step in enumerate(self.steps, start=1)
        ]
        total = sum(step.seconds for step in self.steps)
        lines.append(f"  {'':<{width + 4}}  {total:>7.1f}  {self.load.requests} requests, {self.load.failed} failed")
        return "\n" + "\n".join(lines) + "\n"
