"""The faults on a real API server, each as a play: an operator in front of a model whose version 2 turns out to be bad.

Every play ends with version 1 serving again, and says how often its fault was met: one that met nothing proves nothing.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from faults.processes import Operator
from faults.proxy import Call, Faults, Proxy
from faults.shop import SOON_S, until
from faults.theatre import Theatre, until_met, until_watching

from psm_local.emulator.control import EmulatorControl
from psm_local.supervise.state import load_state
from psm_operator.handlers import WATCHED
from psm_operator.values import ObjectRef

Play = Callable[[Theatre, ObjectRef], Awaitable[int]]

AWAY_S: Final = 180.0
"""As long as an upgrade of a control plane takes."""
FREEZE_S: Final = 20.0
LONGER_THAN_THE_LEASE_S: Final = 14.0


async def pause(seconds: float) -> None:
    """How long a fault lasts; nothing is waited for."""
    await asyncio.sleep(seconds)


async def undisturbed(theatre: Theatre, ref: ObjectRef) -> int:
    """What all others are compared with."""
    async with theatre.operator(ref.namespace, ref.namespace):
        await theatre.shop.spoil_2(ref)
        await theatre.went_back(ref)
    return 1


# --- the API server --------------------------------------------------------------------------------------------------


async def with_faults(theatre: Theatre, ref: ObjectRef, *, faults: Callable[[], Faults], lasting_s: float) -> int:
    """Faults of the proxy, from right before the trigger on."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        operator.proxy.faults = faults()
        await theatre.shop.spoil_2(ref)
        await until_met(operator.proxy)
        await pause(lasting_s)
        met = operator.proxy.met
        operator.proxy.heal()
        await theatre.shop.look_now(ref)
        await theatre.went_back(ref)
        return met


async def gone(theatre: Theatre, ref: ObjectRef) -> int:
    """410 in every stream again and again while the rollback is under way, and for new watches too."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        await theatre.shop.spoil_2(ref)
        for _ in range(4):
            operator.proxy.end_watches(410)
            operator.proxy.faults = Faults(answer=(410, {}), answers=6, only_watches=True)
            await pause(1.0)
        operator.proxy.heal()
        await theatre.went_back(ref)
        return operator.proxy.met


async def deaf(theatre: Theatre, ref: ObjectRef) -> int:
    """The watches fall silent and stay open: the operator must notice by itself, within kopf's inactivity timeout."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        operator.proxy.faults = Faults(stalls_watches=True)
        await theatre.shop.spoil_2(ref)
        await pause(5)
        operator.proxy.faults = Faults()  # new watches deliver; those that were stalled stay so
        await theatre.went_back(ref)
        return operator.proxy.stalled


async def away(theatre: Theatre, ref: ObjectRef) -> int:
    """The API server is away from the operator for three minutes, in the middle of a rollback."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        left = asyncio.Event()

        async def leave(call: Call) -> None:
            if call.is_write:
                left.set()

        operator.proxy.faults = Faults(after=leave)
        await theatre.shop.spoil_2(ref)
        await asyncio.wait_for(left.wait(), SOON_S)
        await operator.proxy.go_away()
        await pause(AWAY_S)
        operator.proxy.heal()
        await operator.proxy.come_back()
        await theatre.went_back(ref)
        return operator.proxy.met


async def etcd_frozen(theatre: Theatre, ref: ObjectRef) -> int:
    """Etcd stands still from the first write of the rollback on; the API server answers nothing, then errors."""
    state = load_state(theatre.cluster.run_dir)
    assert state is not None
    etcd = state.processes["etcd"]
    frozen = asyncio.Event()

    async def freeze(call: Call) -> None:
        if call.is_write and not frozen.is_set():
            etcd.send(signal.SIGSTOP)
            frozen.set()

    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        operator.proxy.faults = Faults(before=freeze)
        try:
            await theatre.shop.spoil_2_unseen(ref)  # asking to look would be a request that etcd may never answer
            await asyncio.wait_for(frozen.wait(), SOON_S)
            await pause(FREEZE_S)
        finally:
            operator.proxy.heal()  # first: a late write would freeze it for all that follows
            etcd.send(signal.SIGCONT)
        await theatre.went_back(ref)
    return 1


# --- SageMaker and S3 ------------------------------------------------------------------------------------------------


async def registry_faults(theatre: Theatre, ref: ObjectRef, **faults: Any) -> int:
    """Faults of the registry, for this model's group alone, from right before the trigger on."""
    control = EmulatorControl(theatre.cluster.aws.host_url)

    async def is_unknown() -> bool:
        return not await theatre.shop.is_resolved(ref)

    async with theatre.operator(ref.namespace, ref.namespace) as operator, theatre.registry_lock:
        await until_watching(operator)
        await theatre.shop.spoil_2_unseen(ref)
        await asyncio.to_thread(control.set_faults, naming=ref.name, **faults)
        try:
            for _ in range(4):
                await theatre.shop.look_now(ref)
                await pause(3)
            await until(is_unknown, "the operator to say that it cannot read the registry")
        finally:
            await asyncio.to_thread(control.set_faults)
        await theatre.shop.look_now(ref)
        await theatre.went_back(ref)
    return 1


async def lying_list(theatre: Theatre, ref: ObjectRef) -> int:
    """The list shows what was true before: an approval that is withdrawn stays listed, and goes when the lie ends."""
    control = EmulatorControl(theatre.cluster.aws.host_url)
    async with theatre.operator(ref.namespace, ref.namespace) as operator, theatre.registry_lock:
        await until_watching(operator)
        await theatre.shop.look_now(ref)
        await pause(3)
        await asyncio.to_thread(control.set_faults, naming=ref.name, stale_list=True)
        try:
            await theatre.shop.look_now(ref)
            await pause(3)
            await theatre.shop.withdraw_2(ref)
            await pause(6)
        finally:
            await asyncio.to_thread(control.set_faults)
        await theatre.shop.look_now(ref)
        await theatre.went_back(ref)

        async def is_undeceived() -> bool:
            return bool((await theatre.shop.status(ref))["desired"]["version"] == 1)

        await until(is_undeceived, "the list to be read again")
    return 1


async def withdrawn(theatre: Theatre, ref: ObjectRef) -> int:
    """What the lying list is compared with."""
    async with theatre.operator(ref.namespace, ref.namespace):
        await theatre.shop.withdraw_2(ref)
        await theatre.went_back(ref)
    return 1


@asynccontextmanager
async def _s3_proxy(theatre: Theatre) -> Any:
    proxy = Proxy(theatre.cluster.aws.s3_host_url, keeps_host=True)
    async with proxy.serving():
        yield proxy


async def s3_faults(theatre: Theatre, ref: ObjectRef, *, faults: Callable[[], Faults]) -> int:
    """Faults between the operator and S3 while it looks for a way back."""
    async with (
        _s3_proxy(theatre) as s3,
        theatre.operator(ref.namespace, ref.namespace, environment={"AWS_ENDPOINT_URL_S3": s3.url}) as operator,
    ):
        await until_watching(operator)
        s3.faults = faults()
        await theatre.shop.spoil_2(ref)
        await until_met(s3)
        await pause(12)
        met: int = s3.met
        s3.heal()
        await theatre.shop.look_now(ref)
        await theatre.went_back(ref)
    return met


# --- processes, machines, people -------------------------------------------------------------------------------------


async def two_at_once(theatre: Theatre, ref: ObjectRef) -> int:
    """Two operators with one Lease; the audit log tells which of them wrote."""
    async with (
        theatre.operator(f"{ref.namespace}-a", ref.namespace) as first,
        theatre.operator(f"{ref.namespace}-b", ref.namespace, lease=first.lease) as second,
    ):

        async def both_watch() -> bool:
            return all(it.proxy.open_watches >= len(WATCHED) for it in (first, second))

        await until(both_watch, "both to watch")
        await theatre.shop.spoil_2(ref)
        await theatre.went_back(ref)
    return 2


async def frozen_leader(theatre: Theatre, ref: ObjectRef) -> int:
    """The leader is frozen in the middle of a rollback for longer than its lease; thawed, it writes nothing any more."""
    async with theatre.operator(f"{ref.namespace}-a", ref.namespace) as first:
        await until_watching(first)
        async with theatre.operator(f"{ref.namespace}-b", ref.namespace, lease=first.lease) as second:
            frozen = asyncio.Event()

            async def freeze(call: Call) -> None:
                if call.is_write and not frozen.is_set():
                    first.signal(signal.SIGSTOP)
                    frozen.set()

            first.proxy.faults = Faults(after=freeze)
            await theatre.shop.spoil_2(ref)
            await asyncio.wait_for(frozen.wait(), SOON_S)
            started, before = time.monotonic(), len(first.proxy.calls)
            await theatre.went_back(ref)
            await pause(max(0.0, LONGER_THAN_THE_LEASE_S - (time.monotonic() - started)))
            first.signal(signal.SIGCONT)
            await until(partial(_has_ended, first), "the frozen leader to end")
            after = first.proxy.calls[before:]
            assert not any(call.is_write for call in after), after
            assert first.exits[0] == 1
            assert any(call.is_write for call in second.proxy.calls)
    return 1


async def _has_ended(operator: Operator) -> bool:
    return bool(operator.exits)


async def skewed(theatre: Theatre, ref: ObjectRef, *, by_s: float) -> int:
    """This operator's clock is wrong by an hour; the next one's is right."""
    async with theatre.operator(ref.namespace, ref.namespace, skew_s=by_s):
        await theatre.shop.spoil_2(ref)
        await theatre.went_back(ref)
    async with theatre.operator(f"{ref.namespace}-right", ref.namespace) as operator:
        await until_watching(operator)
        await theatre.shop.look_now(ref)
        await theatre.went_back(ref)
    return 1


async def drained(theatre: Theatre, ref: ObjectRef) -> int:
    """The nodes that run the model are drained one after the other while it goes back."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        await theatre.shop.spoil_2(ref)
        nodes = await theatre.shop.nodes_of(ref)
        for node in nodes:
            selector = f"--pod-selector=retail.mlops/model={ref.name}"
            kubectl = partial(asyncio.to_thread, theatre.cluster.kubectl)
            await kubectl("drain", node, selector, "--force", "--delete-emptydir-data", "--timeout=60s")
            await kubectl("uncordon", node)
        await theatre.went_back(ref)
    return len(nodes)


async def deleted(theatre: Theatre, ref: ObjectRef) -> int:
    """The model is deleted between the intent and the first child: everything goes, and nothing comes back."""
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        gone = asyncio.Event()

        async def delete(call: Call) -> None:
            if call.is_write and not gone.is_set():
                gone.set()
                await theatre.shop.delete(ref)

        operator.proxy.faults = Faults(after=delete)
        await theatre.shop.spoil_2(ref)
        await asyncio.wait_for(gone.wait(), SOON_S)

        async def is_empty() -> bool:
            return not await theatre.shop.children(ref)

        await until(is_empty, "the children to go")
        await pause(3)
        assert await is_empty(), "something came back"
    return 1


@dataclass(frozen=True)
class Fault:
    """A play and what its end is compared with.

    Attributes:
        like: the play without the fault; None where nothing is to be left.
        replicas: of the model.
        alone: whether it harms the whole control plane, so that nothing else may be played meanwhile.
        absent: whether its operator is cut off for so long that even those that harm all can be played meanwhile.
    """

    play: Play
    like: str | None = "undisturbed"
    replicas: int = 1
    alone: bool = False
    absent: bool = False


def _answers(status: int, count: int, **headers: str) -> Callable[[], Faults]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: Faults(answer=(status, named), answers=count, spares_lease=True)


FAULTS: Final[dict[str, Fault]] = {
    "API server away for three minutes": Fault(away, absent=True),
    "watches silent but open": Fault(deaf),
    "API server answers 410 Gone": Fault(gone),
    "API server answers 429": Fault(partial(with_faults, faults=_answers(429, 30, Retry_After="1"), lasting_s=12)),
    "API server answers 500": Fault(partial(with_faults, faults=_answers(500, 12), lasting_s=12)),
    "API server accepts and never answers": Fault(
        partial(with_faults, faults=lambda: Faults(stalls=True), lasting_s=14)
    ),
    "every second connection is reset": Fault(
        partial(with_faults, faults=lambda: Faults(resets_every=2), lasting_s=10)
    ),
    "every watch event comes twice": Fault(
        partial(with_faults, faults=lambda: Faults(doubles_events=True), lasting_s=10)
    ),
    "SageMaker throttles": Fault(partial(registry_faults, throttle_rps=0)),
    "SageMaker is away": Fault(partial(registry_faults, outage=True)),
    "SageMaker lists what was true before": Fault(lying_list, like="withdrawn"),
    "S3 is slow": Fault(partial(s3_faults, faults=lambda: Faults(delay_s=4.0))),
    "S3 never answers": Fault(partial(s3_faults, faults=lambda: Faults(stalls=True))),
    "two operators at once": Fault(two_at_once),
    "a leader frozen for longer than its lease": Fault(frozen_leader),
    "a clock an hour fast": Fault(partial(skewed, by_s=3600.0)),
    "a clock an hour slow": Fault(partial(skewed, by_s=-3600.0)),
    "a model deleted while it goes back": Fault(deleted, like=None),
    "nodes drained": Fault(drained, like="undisturbed with two replicas", replicas=2),
    "etcd frozen": Fault(etcd_frozen, alone=True),
}

REFERENCES: Final[dict[str, Fault]] = {
    "undisturbed": Fault(undisturbed),
    "withdrawn": Fault(withdrawn),
    "undisturbed with two replicas": Fault(undisturbed, replicas=2),
}
