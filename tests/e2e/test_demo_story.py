"""The demo's own story on the session's node: what `make demo` does, with its own checks."""

import json
from pathlib import Path

import pytest

from psm_local.demo.account import StepResult
from psm_local.demo.stage import Stage
from psm_local.demo.story import STEPS, tell

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(1200)  # five minutes on two idle cores with a warm cache; training alone takes two without
def test_the_story_is_told_to_its_end(stage: Stage, tmp_path: Path) -> None:
    """Every step is as it should be, no request fails, and the report has the documented shape."""
    said: list[str] = []
    told = Stage(stage.cluster, stage.repository, stage.settings, said.append)
    first = StepResult("the cluster is up", 0.0, "ok", f"{stage.cluster.level} at {stage.cluster.api_url}")
    report = tmp_path / "build" / "demo.json"
    is_good = tell(told, first, report)
    account = json.loads(report.read_text())
    results = {step["name"]: step["result"] for step in account["steps"]}
    assert results == {first.name: "ok"} | {step.name: "ok" for step in STEPS}, "\n".join(said)
    assert is_good
    assert account.keys() == {"steps", "load"}
    assert all(step.keys() == {"name", "seconds", "result"} and step["seconds"] >= 0 for step in account["steps"])
    assert account["load"].keys() == {"requests", "failed"}
    assert account["load"]["requests"] > 0
    assert account["load"]["failed"] == 0
    assert all(step.name in said[-1] for step in STEPS)
    print("\n".join(said))  # noqa: T201  # the story is worth reading where output is shown (-s)
