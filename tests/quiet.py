"""The law of silence: a world that has come to rest writes nothing, records nothing and asks AWS nothing out of turn."""

import json
from datetime import timedelta

from world import REF, World

from psm_operator.adapters.memory_cluster import KIND
from psm_operator.decide.schedule import next_change

REST_S = 2 * 3600
"""Longer than any soak, cooldown, proof or deadline of a test."""
HOUR_S = 3600
STEP_S = 120
STATUS_LIMIT = 256 * 1024
"""Bytes of a status; etcd takes an object of 1.5 MB."""


async def quiet_hour(world: World) -> None:
    """Let a world come to rest, and watch an hour in which nothing happens.

    Faults of its stand-ins stay as they are: what cannot be done is no reason to try it in the status. The hour is one in which
    the schedule changes nothing.
    """
    world.cluster.before_call = lambda _: None
    await world.pass_time(REST_S, step_s=300)
    if world.cluster.get(KIND, REF) is not None and world.spec.rollback.rejection_ttl and world.status.rejected:
        return  # every end of a rejection is a new try
    while _is_uneven(world):
        await world.pass_time(HOUR_S, step_s=300)
    writes, events = len(world.cluster.writes), len(world.events)
    for _ in range(HOUR_S // STEP_S):
        await world.pass_time(STEP_S, step_s=STEP_S)
        assert not world.polls.hastened, "an AWS call that the interval does not ask for"
    assert world.cluster.writes[writes:] == []
    assert world.events[events:] == []
    model = world.cluster.get(KIND, REF) or {}
    assert len(json.dumps(model.get("status", {}))) < STATUS_LIMIT


def _is_uneven(world: World) -> bool:
    """Whether time alone changes something within the hour."""
    if world.cluster.get(KIND, REF) is None:
        return False
    now, spec = world.clock.now(), world.spec
    change = next_change(spec.schedule, now)
    is_switching = change is not None and change - now <= timedelta(seconds=HOUR_S + STEP_S)
    return is_switching and not spec.suspend
