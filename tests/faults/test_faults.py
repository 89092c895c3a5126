"""Faults of the API server, of SageMaker and S3, of processes, machines and clocks, on a real API server.

All are played once for the module, several at a time, each in a namespace of its own; the tests read how they ended.
"""

import asyncio
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fault_record import FaultRecord
from faults.audit import Entry, entries, writes_without_lease
from faults.plays import FAULTS, REFERENCES, Fault
from faults.shop import RealEnd
from faults.theatre import Theatre, open_theatre

from psm_local.cluster import Cluster
from psm_operator.values import ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.timeout(1200)]

AT_ONCE = 8


@dataclass
class Season:
    """How every play that was asked for ended.

    Attributes:
        met: how often a play met its fault.
        errors: what went wrong in a play.
        outages: models that stopped to answer.
    """

    met: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    ends: dict[str, RealEnd] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    unfenced: dict[str, list[Entry]] = field(default_factory=dict)


def ref_of(name: str) -> ObjectRef:
    """The model of a play, in a namespace of its own."""
    text = f"fault-{name.lower().replace(' ', '-')}"
    return ObjectRef(text[:60], text[:50])


@pytest.fixture(scope="module")
def season(request: pytest.FixtureRequest, control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Season:
    """Play what the selected tests are about."""
    here = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    wanted = {str(item.callspec.params["name"]) for item in here if hasattr(item, "callspec")}
    return asyncio.run(play_all(wanted, control_plane, tmp_path_factory.mktemp("faults")))


async def play_all(wanted: set[str], cluster: Cluster, folder: Path) -> Season:
    """Prepare every model at once, then play, several at a time; what harms all comes last, beside nobody it could harm."""
    plays = {name: fault for name, fault in FAULTS.items() if name in wanted}
    plays |= {name: fault for name, fault in REFERENCES.items() if name in {play.like for play in plays.values()}}
    season = Season()
    async with open_theatre(cluster, folder) as theatre:
        await theatre.prepare(
            [ref_of(name) for name in plays], {ref_of(name): it.replicas for name, it in plays.items()}
        )
        seats = asyncio.Semaphore(AT_ONCE)

        async def play(name: str, fault: Fault) -> None:
            async with seats:
                try:
                    season.met[name] = await fault.play(theatre, ref_of(name))
                except Exception:  # noqa: BLE001  # one play's failure is its own test's
                    season.errors[name] = traceback.format_exc()

        absent = [asyncio.create_task(play(name, fault)) for name, fault in plays.items() if fault.absent]
        together = [play(name, fault) for name, fault in plays.items() if not fault.alone and not fault.absent]
        await asyncio.gather(*together)
        for name, fault in plays.items():
            if fault.alone:
                await play(name, fault)
        await asyncio.gather(*absent)
        await note_ends(theatre, season, list(plays))
    return season


async def note_ends(theatre: Theatre, season: Season, names: list[str]) -> None:
    """Write down how each model ended."""
    log = entries(theatre.cluster.audit_log) if theatre.cluster.audit_log is not None else []
    for name in names:
        ref = ref_of(name)
        season.ends[name] = await theatre.shop.end(ref)
        season.outages[name] = theatre.witness.outages.get(ref, 0)
        season.unfenced[name] = writes_without_lease(log, ref.namespace)


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_everything_is_as_without_it(name: str, season: Season, fault_record: FaultRecord) -> None:
    """Same status, children, history and Events; a replica answered all the time; who wrote held the Lease."""
    fault, end = FAULTS[name], season.ends[name]
    assert name not in season.errors, season.errors[name]
    assert season.met[name] > 0, "the fault was never met"
    if fault.like is None:
        fault_record.add(name, survived=int(not end.status and not end.children))
        assert not end.status
        assert not end.children
        return
    losses = end.compared_with(season.ends[fault.like])
    is_well = not losses and not season.outages[name]
    fault_record.add(name, survived=int(is_well), lost=len(losses.lost), duplicated=len(losses.duplicated))
    assert not losses
    assert season.outages[name] == 0
    assert season.unfenced[name] == []
