"""What a keeper writes down about its instance, so that another process can find, describe and stop it."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from psm_local.supervise.pids import ProcessId

Phase = Literal["starting", "running", "stopping", "stopped", "failed"]


@dataclass(frozen=True)
class State:
    """A keeper and its children, as of the last change."""

    instance: str
    keeper: ProcessId
    phase: Phase = "starting"
    message: str = ""
    processes: Mapping[str, ProcessId] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_stale(self) -> bool:
        """Whether the keeper that wrote this is gone."""
        return not self.keeper.is_alive

    def save(self, run_dir: Path) -> None:
        """Write the state file in one step."""
        fresh = run_dir / "state.json.new"
        fresh.write_text(json.dumps(dataclasses.asdict(self), indent=1))
        fresh.replace(run_dir / "state.json")


def load_state(run_dir: Path) -> State | None:
    """Return the state in a run folder; None where no instance was started."""
    path = run_dir / "state.json"
    if not path.exists():
        return None
    raw = json.loads(path.read_text())
    return State(
        instance=raw["instance"],
        keeper=ProcessId(**raw["keeper"]),
        phase=raw["phase"],
        message=raw["message"],
        processes={name: ProcessId(**value) for name, value in raw["processes"].items()},
        restarts=raw["restarts"],
    )
