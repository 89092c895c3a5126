"""Starts a fresh cluster, tells the story on it, and leaves it running."""

import time
from collections.abc import Callable
from pathlib import Path

from psm_local import targets
from psm_local.demo.account import StepResult
from psm_local.demo.install import load_images
from psm_local.demo.stage import Stage
from psm_local.demo.story import tell
from psm_local.settings import Settings
from psm_local.supervise import instance

REPORT = Path("build/demo.json")

GO_ON = """\
The cluster and the operator are still running. To go on by hand:

  eval "$(.venv/bin/psm-local env)"            point kubectl and AWS clients at it
  kubectl apply -f examples/demo.yaml          make the model again
  kubectl get models -n mlops -w               watch it
  .venv/bin/psm-train approve 2                decide about versions, as the data team does
  make down                                    stop everything; only the cache stays
"""


def run_demo(name: str, repository: Path, settings: Settings, say: Callable[[str], None]) -> bool:
    """Tell the whole story; what an earlier run left running is stopped first.

    Returns:
        Whether every step was as it should be.

    Raises:
        LocalError: the cluster did not start.
    """
    if instance.stop(settings.run_dir / name):
        say(f"stopped {name}, which an earlier run had left")
    say("(1) the cluster is up and has our images")
    began = time.monotonic()
    cluster, _ = targets.up(name, attached=False, settings=settings, say=say)
    stage = Stage(cluster, repository, settings, say)
    images = load_images(stage)
    say(f"    {images}")
    first = StepResult("the cluster is up and has our images", time.monotonic() - began, "ok", images)
    is_good = tell(stage, first, repository / REPORT)
    say(GO_ON)
    return is_good
