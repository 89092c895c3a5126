"""The story, in order. Each step is a function that does something, waits until it is true, and says what it saw."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psm_local.demo.account import Account, StepResult
from psm_local.demo.install import install_and_apply
from psm_local.demo.registry import train_and_register
from psm_local.demo.serving import (
    becomes_ready,
    leaves_nothing,
    predicts,
    repairs_drift,
    rolls_back_on_regression,
    rolls_back_on_revocation,
    rolls_out_under_load,
    scales_out,
)
from psm_local.demo.stage import Stage
from psm_local.errors import LocalError


@dataclass(frozen=True)
class Step:
    """One chapter: `run` returns a sentence about what it saw, or raises LocalError about what it did not."""

    name: str
    run: Callable[[Stage], str]


STEPS = (
    Step("two models are trained on real transactions and registered; version 1 is approved", train_and_register),
    Step("the charts are installed and the example model is applied", install_and_apply),
    Step("kubectl get models tells READY True, VERSION 1 and its metrics", becomes_ready),
    Step("a prediction comes through the Ingress", predicts),
    Step("version 2, better, is approved and rolled out under load", rolls_out_under_load),
    Step("version 3 regresses after deployment and is rolled back", rolls_back_on_regression),
    Step("version 2's approval is revoked: back to version 1", rolls_back_on_revocation),
    Step("a deleted Deployment and an edited autoscaler are put right", repairs_drift),
    Step("load makes the autoscaler add replicas", scales_out),
    Step("the model is deleted: nothing of it is left", leaves_nothing),
)


def tell(stage: Stage, first: StepResult, report: Path) -> bool:
    """Run every step until one fails; write the account and print it.

    Args:
        stage: the cluster and what belongs to it.
        first: how the step before the story, the cluster's start, went.
        report: where the account goes as JSON.

    Returns:
        Whether every step was as it should be.
    """
    account = Account([first])
    for number, step in enumerate(STEPS, start=2):
        stage.say(f"\n({number}) {step.name}")
        began = time.monotonic()
        try:
            seen = step.run(stage)
        except LocalError as err:
            account.add(StepResult(step.name, time.monotonic() - began, "failed", str(err)))
            stage.say(f"    failed: {err}")
            break
        account.add(StepResult(step.name, time.monotonic() - began, "ok", seen))
        stage.say(f"    {seen}")
    stage.close()
    account.load = stage.total_load
    account.write(report)
    stage.say(account.table())
    return account.is_good and len(account.steps) == len(STEPS) + 1
