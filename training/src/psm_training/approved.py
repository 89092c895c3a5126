"""Waits for somebody's word on a registered version: `psm-train wait-approved`."""

import time
from collections.abc import Callable

from psm_training.errors import PipelineError
from psm_training.progress import Say
from psm_training.registry import APPROVED, REJECTED, ModelPackage


def wait_approved(
    look: Callable[[], ModelPackage], *, limit_s: float, poll_s: float, pause: Callable[[float], None], say: Say
) -> ModelPackage:
    """Returns the version once it is approved.

    Args:
        look: Reads the version.
        limit_s: Seconds until it gives up.
        poll_s: Seconds between two looks.
        pause: Lets seconds pass.
        say: One line for people.

    Raises:
        PipelineError: It was rejected, or nobody has decided in time.
    """
    waited_until = time.monotonic() + limit_s
    said = ""
    while True:
        package = look()
        if package.status == APPROVED:
            return package
        if package.status == REJECTED:
            raise PipelineError(f"version {package.version} was rejected; nothing is released")
        if package.status != said:
            say(f"version {package.version} is {package.status}; approve it: psm-train approve {package.version}")
            said = package.status
        left = waited_until - time.monotonic()
        if left <= 0:
            raise PipelineError(
                f"version {package.version} is still {package.status} after {limit_s:.0f} s; "
                f"approve or reject it, then run this again"
            )
        pause(min(poll_s, left))
