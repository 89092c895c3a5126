"""A live evaluation finds a served version worse than it was registered: the operator goes back."""

import numpy as np
import pytest
from world import GOOD, GROUP, World

from psm_contract.metadata import PREFIX, parse_metrics
from psm_operator.api.conditions import Reason
from psm_training.evaluate_live import live_document, live_properties
from psm_training.live_predictions import Joined

URL = "s3://models/price-sensitivity/live/x.json"
UPPER = {"metrics": [{"name": "accuracy_upper", "threshold": {"min": "0.75"}}]}


@pytest.fixture
def world() -> World:
    return World()


def evaluate_live(world: World, version: int, right: int, *, baskets: int = 600) -> None:
    """What `psm-train evaluate-live --write` leaves in the registry when the model was right in so many baskets."""
    hit, miss = right / 3, (baskets - right) / 6
    confusion = np.full((3, 3), miss) + np.eye(3) * (hit - miss)
    properties = live_properties(live_document(Joined(version, confusion, "", "", {})), URL)
    before = world.registry.package(GROUP, version).metrics
    parsed = parse_metrics({**{PREFIX + name: text for name, text in before.items()}, **properties})
    world.registry.update(GROUP, version, metrics=parsed.texts)


async def test_a_live_accuracy_below_the_kpi_rolls_back(world: World) -> None:
    """By the metrics that every model has; the version that takes over was never evaluated live, and needs not."""
    world.register()
    await world.serve()
    world.register()
    await world.pass_time(60)
    assert world.serving == 2

    evaluate_live(world, 2, 426)
    await world.pass_time(60)

    assert (world.serving, world.phase) == (1, "Ready")
    (rejection,) = world.status.rejected
    assert (rejection.version, rejection.reason) == (2, Reason.METRIC_BELOW_THRESHOLD)
    assert "accuracy 0.710000 < 0.75" in rejection.message


async def test_a_good_live_accuracy_changes_nothing_and_holds_up_nobody(world: World) -> None:
    """The next version has no live metrics yet, and comes into service by what training registered."""
    world.register()
    await world.serve()
    evaluate_live(world, 1, 474)
    await world.pass_time(120)
    assert (world.serving, world.phase) == (1, "Ready")
    world.register()
    await world.pass_time(120)
    assert (world.serving, world.phase) == (2, "Ready")


@pytest.mark.parametrize(("right", "serving"), [(440, 2), (400, 1)], ids=["perhaps above 0.75", "surely below it"])
async def test_a_gate_on_the_upper_end_of_the_interval_acts_on_what_is_sure(
    world: World, right: int, serving: int
) -> None:
    """600 labels, 0.733 or 0.667: the interval reaches 0.04 further."""
    good = {**GOOD, "accuracy_upper": "0.79"}
    world.register(metrics=good)
    await world.serve(analysis=UPPER)
    world.register(metrics=good)
    await world.pass_time(60)
    evaluate_live(world, 2, right)
    await world.pass_time(60)
    assert world.serving == serving
