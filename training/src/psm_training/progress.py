"""What a run tells while it works: every step with its time and its one line."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Say = Callable[[str], None]


@dataclass
class Progress:
    """Runs steps and says what each did and how long it took."""

    say: Say
    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, name: str, action: Callable[[], str]) -> None:
        """Runs one step."""
        started = self.clock()
        outcome = action()
        self.seconds[name] = self.clock() - started
        self.say(f"{name:<18}{self.seconds[name]:6.1f} s  {outcome}")
