"""What a job tells of itself: lines that SageMaker's metric definitions find, and how long each step took.

The same numbers go three ways: a line for the regular expressions of a training job, a line in CloudWatch's embedded
metric format, and an event in the journal from which the parent process answers Prometheus. OBJECTIVES are the service
levels; the chart's rules and the CloudWatch alarms ask for them.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_contract.schema import CLASSES

NAMESPACE: Final = "PSM/Training"
"""Of the metrics in CloudWatch."""

OBJECTIVES: Final[Mapping[str, int]] = {
    "ingest": 600, "validate": 300, "split": 300, "validate-gold": 300, "features": 900, "train": 1800, "evaluate": 300,
    "package": 300, "register": 120,
}  # fmt: skip
"""Seconds within which each step ends, on two cores with the real transactions or ten times as many lines."""

RUN_OBJECTIVE_S: Final = 7200
"""Seconds within which a whole run ends: more than the sum of the steps."""

METRICS: Final = (
    "validation:accuracy", "validation:macro_f1", "test:accuracy", "test:macro_f1", "test:precision_min_class",
    *(f"test:precision_{name}" for name in CLASSES),
)  # fmt: skip
"""Quality of the model, as a training job reports it."""

STEP_SECONDS: Final = "step:seconds"

_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"


def metric_line(name: str, value: float) -> str:
    """One metric as a line of the log: no exponent, which the regular expressions do not know."""
    return f"metric {name}={value:.6f};"


def metric_definitions() -> list[dict[str, str]]:
    """MetricDefinitions of a training job: how SageMaker reads `metric_line`."""
    return [{"Name": name, "Regex": rf"metric {re.escape(name)}={_NUMBER};"} for name in (*METRICS, STEP_SECONDS)]


def quality_lines(evaluation: Mapping[str, float], validation: Mapping[str, float]) -> Iterator[str]:
    """The metrics of an evaluation document (`report.metrics_of`) and of its part about validation households."""
    values = {f"test:{name}": value for name, value in evaluation.items()}
    values |= {f"validation:{name}": value for name, value in validation.items()}
    return (metric_line(name, values[name]) for name in METRICS if name in values)


def embedded(step: str, seconds: float, milliseconds: int) -> str:
    """A step's time as one line in CloudWatch's embedded metric format, which the log agent turns into metrics."""
    metrics = [{"Name": "StepSeconds", "Unit": "Seconds"}, {"Name": "OverObjective", "Unit": "Count"}]
    document = {
        "_aws": {
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [["Step"]], "Metrics": metrics}],
        },
        "Step": step,
        "StepSeconds": round(seconds, 3),
        "OverObjective": int(seconds > OBJECTIVES[step]),
    }
    return json.dumps(document, sort_keys=True)


@dataclass(frozen=True)
class Journal:
    """Events of a job's steps, one JSON object per line; the worker writes, its parent reads.

    Attributes:
        path: Of the file.
        wall: Seconds since 1970.
        clock: Seconds that never go back.
    """

    path: Path
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.perf_counter

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Notes when a step began and how it ended, and says how long it took."""
        self.note({"event": "started", "step": name, "time": self.wall()})
        began = self.clock()
        try:
            yield
        except BaseException:
            self.note({"event": "failed", "step": name, "time": self.wall(), "seconds": self.clock() - began})
            raise
        seconds = self.clock() - began
        self.note({"event": "finished", "step": name, "time": self.wall(), "seconds": seconds})
        say(metric_line(STEP_SECONDS, seconds))
        say(embedded(name, seconds, int(self.wall() * 1000)))

    def note(self, event: Mapping[str, Any]) -> None:
        """Adds an event."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, sort_keys=True) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All events; a line that is being written is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]


def exposition(events: list[dict[str, Any]]) -> str:
    """The journal as Prometheus reads it."""
    running: dict[str, float] = {}
    seconds: dict[str, float] = {}
    failed: dict[str, int] = {}
    for event in events:
        step = str(event.get("step"))
        match event["event"]:
            case "started":
                running[step] = float(event["time"])
            case "finished" | "failed":
                running.pop(step, None)
                seconds[step] = float(event["seconds"])
                failed[step] = int(event["event"] == "failed")
    rows: list[tuple[str, str, Mapping[str, float]]] = [
        ("psm_training_step_started_timestamp_seconds", "When the step that runs began.", running),
        ("psm_training_step_seconds", "How long a step took that ended.", seconds),
        ("psm_training_step_failed", "1 for a step that ended with an error.", failed),
        ("psm_training_step_objective_seconds", "Within which a step is to end.", OBJECTIVES),
    ]
    lines: list[str] = []
    for name, text, values in rows:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{step="{step}"}} {value}' for step, value in values.items()]
    return "\n".join(lines) + "\n"


def say(text: str) -> None:
    """One line of the log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
