"""Restart equivalence: whatever is done to the children's metadata, the running operator ends where a fresh one does."""

import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fault_record import FaultRecord
from faults.people import EVERYTHING, MANAGED_BY, People, differences
from faults.processes import Operator
from faults.shop import is_settled_on, until
from faults.theatre import Theatre, open_theatre, until_watching

from psm_local.cluster import Cluster
from psm_operator.api.names import STAMP
from psm_operator.handlers import WATCHED
from psm_operator.values import ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.timeout(600)]

SEED = 20261201
ROUNDS = 2
EDITS_A_ROUND = 24
MODELS = 4


@pytest.fixture
async def theatre(control_plane: Cluster, tmp_path: Path) -> AsyncIterator[Theatre]:
    """An API server, and what watches it."""
    async with open_theatre(control_plane, tmp_path) as made:
        yield made


async def restart(operator: Operator) -> None:
    """End it as a kubelet does, and wait until the next process watches and leads."""
    calls, starts = len(operator.proxy.calls), len(operator.starts)
    operator.signal(signal.SIGTERM)

    async def is_up() -> bool:
        leads = any("/leases" in call.path and call.method != "GET" for call in operator.proxy.calls[calls + 5 :])
        return len(operator.starts) > starts and leads and operator.proxy.open_watches >= len(WATCHED)

    await until(is_up, "a fresh operator")


async def test_the_running_operator_ends_where_a_fresh_one_does(theatre: Theatre, fault_record: FaultRecord) -> None:
    """Labels, annotations, owner references and finalizers of every kind of child, in random sequences."""
    namespace = "equivalence"
    refs = tuple(ObjectRef(namespace, f"equal-{number}") for number in range(MODELS))
    await theatre.shop.namespace(namespace)
    people = People(theatre.shop, refs, random.Random(SEED))  # noqa: S311  # repeatable, not secret
    async with theatre.operator(namespace, namespace) as operator:
        await until_watching(operator)
        for ref in refs:
            await theatre.shop.create(ref, **EVERYTHING)

        async def all_serve() -> bool:
            return all([is_settled_on(await theatre.shop.status(ref), 1) for ref in refs])

        await until(all_serve, "every model to serve")
        for _ in range(ROUNDS):
            await people.edit_some(EDITS_A_ROUND)
            running = await people.at_rest()
            await restart(operator)
            fresh = await people.at_rest()
            found = differences(running, fresh)
            fault_record.add("children edited at random", survived=int(not found))
            assert not found, (SEED, people.done)
        for name, child in running.items():
            if STAMP in (child.get("annotations") or {}):
                assert child["labels"][MANAGED_BY] == "psm-operator", (name, child)
    assert all(theatre.witness.outages.get(ref, 0) == 0 for ref in refs)
