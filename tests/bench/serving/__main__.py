"""`make bench-serving`: one pod with a quarter of a core behind a real node's Ingress, and a rolling update under load.

Writes build/bench/serving.json. Exit code 1 where a target of docs/predictor-performance.md is missed.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from artifacts import LARGE, make_artifact
from bench.serving.steady_load import SteadyLoad
from e2e_lab import Lab, Model, Registry, is_settled_on

from psm_local.demo.install import install_charts, load_images
from psm_local.demo.stage import Stage
from psm_local.node.up import start_node
from psm_local.settings import read_settings
from psm_training.synthetic import generate

REPOSITORY: Final = Path(__file__).parents[3]
RESULTS: Final = REPOSITORY / "build" / "bench" / "serving.json"
NAMESPACE: Final = "bench"
RATE_PER_S: Final = 100.0
BASKETS: Final = 10_000
LIMIT_P95_MS: Final = 200.0
WARM_UP_S: Final = 5.0
PHASES: Final = ("steady", "rolling_update")
POD: Final = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "250m", "memory": "256Mi"}}


def main() -> int:
    """Measure and tell; the exit code."""
    parser = ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of steady load (default: %(default)g)")
    seconds: float = parser.parse_args().seconds
    with site() as lab:
        results = asyncio.run(measure(lab, seconds))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    say(f"wrote {RESULTS}")
    return tell(results)


@contextlib.contextmanager
def site() -> Iterator[Lab]:
    """A node with the operator and two versions of a forest as large as v2."""
    with tempfile.TemporaryDirectory() as folder, start_node("bench-serving", say=say) as node:
        stage = Stage(node, REPOSITORY, read_settings(), say)
        load_images(stage)
        install_charts(stage)
        paths = [Path(folder, str(seed)) for seed in (1, 2)]
        for path in paths:
            path.mkdir()
        first, second = (make_artifact(path, seed=seed, estimator=LARGE) for seed, path in enumerate(paths, start=1))
        yield Lab(node, Registry(node.aws), first, second)


async def measure(lab: Lab, seconds: float) -> dict[str, Any]:
    """One pod at a steady rate, then two, while a new version is rolled out."""
    model = lab.model(NAMESPACE, "one-pod")
    lab.namespace(NAMESPACE)
    lab.offer(model, second="PendingManualApproval")
    model.create(predictor={"resources": POD}, rollout={"minReadySeconds": 5, "soak": "5s"})
    await asyncio.to_thread(model.wait_serving, 1)
    load = SteadyLoad(lab.cluster.ingress_url, model.host, bodies(), RATE_PER_S)
    await load.run_for(WARM_UP_S)
    say(f"{RATE_PER_S:g} requests/s to one pod with {POD['limits']['cpu']} CPU for {seconds:g} s")
    steady = await load.run_for(seconds)
    say(f"{steady.figures()}")
    say("the same while version 2 is rolled out")
    rolling = await load.run_until(asyncio.create_task(asyncio.to_thread(roll_out, lab, model)))
    say(f"{rolling.figures()}")
    conditions = {"rate_per_s": RATE_PER_S, "baskets": BASKETS, "cpu": POD["limits"]["cpu"]}
    return conditions | dict(zip(PHASES, (steady.figures(), rolling.figures()), strict=True))


def roll_out(lab: Lab, model: Model) -> None:
    """Version 2, from approval until it is the way back."""
    lab.registry.approve(model.name, 2)
    model.look_now()
    model.wait("version 2 to serve", lambda status: is_settled_on(status, 2), limit_s=180)


def bodies() -> list[bytes]:
    """Distinct baskets as till lines."""
    gold = generate(baskets=BASKETS, households=BASKETS // 10, seed=7).gold
    return [json.dumps({"lines": gold.records(row)}).encode() for row in range(BASKETS)]


def tell(results: dict[str, Any]) -> int:
    """Say what was met; the exit code."""
    findings = [f"{name}: {results[name]['failures']}" for name in PHASES if results[name]["failures"]]
    p95_ms = results[PHASES[0]]["p95_ms"]
    if p95_ms >= LIMIT_P95_MS:
        findings.append(f"p95 at a steady rate is {p95_ms} ms, allowed are {LIMIT_P95_MS:g}")
    for finding in findings:
        say(f"missed: {finding}")
    return 1 if findings else 0


def say(line: str) -> None:
    """Tell how far things are."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)  # noqa: T201  # the command's voice


if __name__ == "__main__":
    sys.exit(main())
