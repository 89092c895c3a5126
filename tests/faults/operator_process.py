"""The operator in a process of its own, with what its environment does not offer: shorter leases, less patience, a wrong clock.

Forked from a server that has imported everything already: dozens of operators start in these tests, and importing is most
of what a start costs. From there on it is `python -m psm_operator`.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from psm_operator import __main__ as operator
from psm_operator.adapters.clock import SystemClock
from psm_operator.election import LeaseTimes
from psm_operator.settings import Settings
from psm_operator.watchdog import Patience


class SkewedClock(SystemClock):
    """A wall clock that is wrong by a fixed amount."""

    skew = timedelta(0)

    def now(self) -> datetime:
        """What this machine takes for the present."""
        return super().now() + self.skew


@dataclass(frozen=True)
class Start:
    """How to start an operator; everything can be pickled."""

    environment: Mapping[str, str]
    log: str
    times: LeaseTimes
    skew_s: float = 0.0
    patience: Patience | None = None


def run(start: Start) -> None:
    """Be the operator until it ends; exits with its code."""
    with open(start.log, "ab", buffering=0) as log:  # noqa: PTH123  # a descriptor is what is wanted
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.environ.clear()  # noqa: TID251  # a process of its own
    os.environ.update(start.environment)  # noqa: TID251  # as above
    SkewedClock.skew = timedelta(seconds=start.skew_s)
    operator.SystemClock = SkewedClock  # type: ignore[attr-defined]  # the composition root's own choice is the real one
    read = Settings.read

    def read_with_times(environment: Mapping[str, str] | None = None) -> Settings:
        settings = read(environment)
        lease = replace(settings.lease, times=start.times)
        return replace(settings, lease=lease, patience=start.patience or settings.patience)

    Settings.read = read_with_times  # type: ignore[method-assign]  # as above
    sys.argv = ["psm-operator"]
    operator.main()
