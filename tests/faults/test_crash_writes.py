"""`kill -9` right before and right after every write of a rollback, of a real process on a real API server."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_record import FaultRecord
from faults.plays import pause
from faults.processes import Operator
from faults.proxy import Call, Dropped, Faults
from faults.theatre import Theatre, open_theatre, until_watching

from psm_local.cluster import Cluster
from psm_operator.values import ObjectRef

pytestmark = pytest.mark.component

LANES = 6
"""Operators at once."""
MOST_WRITES = 10
"""More than a rollback has; each needs a model for the kill before it and one for the kill after it."""


@dataclass
class Point:
    """One place to die.

    Attributes:
        number: which write of the rollback, from 1.
        is_after: whether the API server has carried the write out.
        write: what it was; empty if the rollback had no such write.
    """

    ref: ObjectRef
    number: int
    is_after: bool
    write: str = ""

    def faults(self, theatre: Theatre, operator: Operator) -> Faults:
        """Kill the operator there, and free its lease."""
        count = 0

        async def strike(call: Call) -> None:
            nonlocal count
            count += call.is_write_of(self.ref.name)
            if call.is_write_of(self.ref.name) and count == self.number and not self.write:
                self.write = f"{call.method} {call.path}"
                operator.kill()
                # nobody else waits for the dead one's lease to expire; failover has tests of its own
                await theatre.shop.api.send("DELETE", operator.lease.path)
                raise Dropped

        return Faults(after=strike) if self.is_after else Faults(before=strike)


async def test_whatever_write_it_dies_at_the_rollback_ends_as_if_undisturbed(
    control_plane: Cluster, tmp_path: Path, fault_record: FaultRecord
) -> None:
    """Same status, children, history and Events; a replica answers all the time."""
    lanes = [f"crash-{number}" for number in range(LANES)]
    points = [
        Point(
            ObjectRef(lanes[(2 * number + is_after) % LANES], f"at-{number}-{'after' if is_after else 'before'}"),
            number,
            is_after,
        )
        for number in range(1, MOST_WRITES + 1)
        for is_after in (False, True)
    ]
    undisturbed = ObjectRef(lanes[0], "crash-undisturbed")
    async with open_theatre(control_plane, tmp_path) as theatre:
        await theatre.prepare([undisturbed, *(point.ref for point in points)])
        writes = await count_writes(theatre, undisturbed)
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                here = [point for point in points if point.ref.namespace == lane and point.number <= writes]
                group.create_task(walk(theatre, lane, here))
        wanted = await theatre.shop.end(undisturbed)
        reached = [point for point in points if point.write]
        found = {point.ref.name: (await theatre.shop.end(point.ref)).compared_with(wanted) for point in reached}
        outages = {ref.name: count for ref, count in theatre.witness.outages.items()}
    harmed = {name: losses for name, losses in found.items() if losses or name in outages}
    fault_record.add(
        "kill -9 at every write of a rollback, for real",
        runs=len(reached),
        survived=len(reached) - len(harmed),
        lost=sum(len(losses.lost) for losses in found.values()),
        duplicated=sum(len(losses.duplicated) for losses in found.values()),
    )
    assert harmed == {}
    assert outages == {}
    assert len(reached) >= 2 * (writes - 1) >= 8, "two passes may find one status to write"
    died_at = " ".join(point.write for point in reached)
    assert all(f"/{kind}" in died_at for kind in ("pricesensitivitymodels", "deployments", "events"))


async def count_writes(theatre: Theatre, ref: ObjectRef) -> int:
    """Roll back without a fault and return how many writes that took."""
    async with theatre.operator("undisturbed", ref.namespace) as operator:
        await until_quiet(operator)
        before = len(operator.proxy.calls)
        await theatre.shop.spoil_2(ref)
        await theatre.went_back(ref)
        return sum(call.is_write_of(ref.name) for call in operator.proxy.calls[before:])


async def walk(theatre: Theatre, lane: str, points: list[Point]) -> None:
    """One operator dies at each of its points in turn, and is started again each time."""
    async with theatre.operator(lane, lane) as operator:
        for point in points:
            await until_quiet(operator)
            operator.proxy.faults = point.faults(theatre, operator)
            await theatre.shop.spoil_2(point.ref)
            await theatre.went_back(point.ref)
            operator.proxy.heal()


async def until_quiet(operator: Operator) -> None:
    """Wait until it watches, and has told again what a new process tells again: Events that exist already."""
    await until_watching(operator)
    before = -1
    while before != len(operator.proxy.writes):
        before = len(operator.proxy.writes)
        await pause(1.0)
