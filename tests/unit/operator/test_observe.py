"""What an observation asks for, and what it leaves alone."""

from datetime import timedelta

import pytest
from world import REF, World

from psm_operator.adapters.memory_cluster import PodOutcome
from psm_operator.api.conditions import ConditionStatus, ConditionType, Reason
from psm_operator.observe import observe
from psm_operator.values import Manifest, ObjectRef, Observation

CRASHING = PodOutcome(ready=False, message="OOMKilled")


@pytest.mark.parametrize(("age_s", "complaint"), [(0, ""), (1, ""), (2, "OOMKilled"), (600, "OOMKilled")])
async def test_pods_are_asked_once_their_deployment_stands_still(age_s: int, complaint: str) -> None:
    """A Deployment that is just moving has pods that are only starting; many models at once would ask in vain."""
    world = World()
    world.register()
    await world.serve()
    world.cluster.outcomes[2] = CRASHING
    world.register()
    await world.pass_time(15)
    moved = (world.clock.now() - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def move(live: Manifest) -> None:
        live["status"]["conditions"] = [{"type": "Progressing", "status": "True", "lastUpdateTime": moved}]

    candidate = ObjectRef(REF.namespace, f"{REF.name}.candidate")
    world.cluster.edit("Deployment", candidate, move)

    seen = await observe(REF, world.deps)

    assert isinstance(seen, Observation)
    assert seen.candidate is not None
    assert seen.candidate.failure == complaint


async def test_a_new_model_that_cannot_be_understood_has_no_empty_column() -> None:
    """READY and PHASE say something; the message says which field, which value and what to do."""
    world = World()
    world.create(interval="1s")
    await world.once()
    ready, stalled = world.condition(ConditionType.READY), world.condition(ConditionType.STALLED)
    assert ready is not None
    assert stalled is not None
    assert (world.phase, ready.status, ready.reason) == ("Pending", ConditionStatus.FALSE, Reason.INVALID_SPEC)
    assert "interval must be at least 15s" in stalled.message
    world.create()
    await world.converge()
    assert world.condition(ConditionType.STALLED) is None or world.condition(ConditionType.STALLED) != stalled
