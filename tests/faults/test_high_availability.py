"""Two operators, one Lease: how fast the standby takes over, what it need not do, and when a process gives itself up."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from faults.audit import entries
from faults.processes import Lease, Operator
from faults.proxy import Faults
from faults.shop import SOON_S, is_settled_on, until
from faults.theatre import Theatre, open_theatre, until_watching

from psm_local.cluster import Cluster
from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.kinds import BY_KIND
from psm_operator.election import LeaseTimes
from psm_operator.handlers import WATCHED
from psm_operator.values import ObjectRef
from psm_operator.watchdog import Patience

pytestmark = pytest.mark.component

HANDOVER_S = 12.0
"""Before the lease would run out; how fast it is, `make bench-operator` measures."""
GRACE_S = 25.0

SERVICE = BY_KIND["v1", "Service"]


@pytest.fixture
async def theatre(control_plane: Cluster, tmp_path: Path) -> AsyncIterator[Theatre]:
    """An API server, and what watches it."""
    async with open_theatre(control_plane, tmp_path) as made:
        yield made


@asynccontextmanager
async def pair(theatre: Theatre, namespace: str) -> AsyncIterator[tuple[Operator, Operator]]:
    """A leader and a standby, both with warm caches, with the lease times of the chart."""
    lease = Lease(namespace, namespace, LeaseTimes())
    async with theatre.operator(f"{namespace}-a", namespace, lease=lease) as first:
        await until_watching(first)
        async with theatre.operator(f"{namespace}-b", namespace, lease=lease) as second:
            await until(partial(answers, second.health_port, "/readyz", 200), "the standby to be ready")
            await until(partial(_watches_all, second), "the standby to watch")
            yield first, second


async def _watches_all(operator: Operator) -> bool:
    return operator.proxy.open_watches >= len(WATCHED)


async def answers(port: int, path: str, status: int, text: str = "") -> bool:
    """Whether a probe answers so."""
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status == status and text in await answer.text()
    except aiohttp.ClientError:
        return False


async def _serves(theatre: Theatre, ref: ObjectRef) -> bool:
    return is_settled_on(await theatre.shop.status(ref), 1)


async def seconds_until_repaired(theatre: Theatre, ref: ObjectRef) -> float:
    """How long until the model's Service, deleted now, is there again."""
    started = time.monotonic()
    await theatre.shop.api.send("DELETE", SERVICE.path(ref.namespace, ref.name))

    async def is_back() -> bool:
        return f"Service/{ref.name}" in await theatre.shop.children(ref)

    await until(is_back, "the Service to come back")
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("number", "limit_s"),
    [
        pytest.param(signal.SIGKILL, SOON_S, id="after kill -9"),
        pytest.param(signal.SIGTERM, HANDOVER_S, id="after a graceful end before the lease runs out"),
    ],
)
async def test_the_standby_takes_over_without_listing_anything(
    theatre: Theatre, number: signal.Signals, limit_s: float, record_property: Callable[[str, object], None]
) -> None:
    """It was ready before: its caches are warm, so the first thing it does is to repair."""
    ref = ObjectRef(f"failover-{number.name.lower()}", f"failover-{number.name.lower()}")
    await theatre.shop.namespace(ref.namespace)
    async with pair(theatre, ref.namespace) as (first, second):
        await theatre.shop.create(ref)
        await until(partial(_serves, theatre, ref), "version 1 to serve")
        assert await answers(second.health_port, "/readyz", 200)
        assert not any(call.is_write for call in second.proxy.calls)
        first.stays_down = True
        before, struck = len(second.proxy.calls), f"{SystemClock().now():%Y-%m-%dT%H:%M:%S.%fZ}"
        first.signal(number)
        took_s = await seconds_until_repaired(theatre, ref)
        record_property("failover_s", took_s)
        lists = [call for call in second.proxy.calls[before:] if call.is_list]
    assert took_s <= limit_s
    assert lists == []
    log = theatre.cluster.audit_log
    assert log is not None
    listed = [e for e in entries(log) if e.who == second.name and e.verb == "list" and e.received > struck]
    assert listed == [], "the audit log knows better"


async def test_a_graceful_end_does_not_wait_for_aws(theatre: Theatre) -> None:
    """A read of the registry that hangs in its thread keeps nobody beyond a pod's grace."""
    ref = ObjectRef("hanging", "hanging-registry")
    await theatre.shop.namespace(ref.namespace)
    control = EmulatorControl(theatre.cluster.aws.host_url)
    async with theatre.operator(ref.namespace, ref.namespace) as operator:
        await until_watching(operator)
        await theatre.shop.create(ref)
        await until(partial(_serves, theatre, ref), "version 1 to serve")
        await asyncio.to_thread(control.set_faults, latency_ms=40_000, naming=ref.name)
        try:
            await theatre.shop.look_now(ref)
            await asyncio.sleep(2)
            operator.stays_down = True
            started = time.monotonic()
            operator.signal(signal.SIGTERM)
            await until(partial(_has_ended, operator), "the operator to end", GRACE_S + 5)
            assert time.monotonic() - started < GRACE_S
            assert operator.exits == [0]
        finally:
            await asyncio.to_thread(control.set_faults)


async def _has_ended(operator: Operator) -> bool:
    return bool(operator.exits)


IMPATIENT = Patience(start_s=0.0, canary_s=3.0, pass_s=3.0, wait_s=3.0)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        pytest.param("a watcher that died", "not running: watcher for", id="a watcher that died"),
        pytest.param("a watch that shows nothing", "the watch has shown no renewal", id="a watch that shows nothing"),
        pytest.param("a pass that hangs", "a pass has been running", id="a pass that hangs"),
    ],
)
async def test_a_process_that_no_longer_works_says_so_to_the_kubelet(
    theatre: Theatre, fault: str, complaint: str
) -> None:
    """/healthz turns 500 and names the reason; with nothing wrong it says 200."""
    name = fault.replace(" ", "-")
    ref = ObjectRef(f"watchdog-{name}", name)
    await theatre.shop.namespace(ref.namespace)
    async with theatre.operator(ref.namespace, ref.namespace, patience=IMPATIENT) as operator:
        operator.obeys_probes, port = False, operator.health_port
        await until_watching(operator)
        await until(partial(answers, port, "/healthz", 200), "a healthy operator")
        await until(partial(answers, port, "/readyz", 200), "an operator that has listed everything")
        match fault:
            case "a watcher that died":
                operator.proxy.end_watches(403)
            case "a watch that shows nothing":
                operator.proxy.faults = Faults(stalls_watches=True)
            case _:
                operator.proxy.faults = Faults(stalls=True, spares_lease=True)
                await theatre.shop.create(ref)
        await until(partial(answers, port, "/healthz", 500, complaint), f"/healthz to say {complaint!r}")


async def test_a_port_that_is_taken_is_told_in_one_line(theatre: Theatre) -> None:
    """Which port, and which setting names another; no traceback."""
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104  # where the operator listens
        named = {"PSM_OPERATOR_HEALTH_PORT": str(taken.getsockname()[1])}
        async with theatre.operator("port-taken", "port-taken", environment=named) as operator:
            await until(partial(_has_ended, operator), "the operator to end")
            operator.stays_down = True
            said = operator.log.read_text()
    assert operator.exits[0] == 1
    assert len(set(said.splitlines())) == 1
    assert "Address already in use" in said
    assert "PSM_OPERATOR_HEALTH_PORT" in said
