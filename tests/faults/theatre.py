"""Where faults are played: one API server, a proxy for every operator, and a witness who watches what serves.

`prepare` brings every model to the same state at once, version 2 serving and version 1 the way back; then each fault has a
namespace, an operator and a proxy of its own, so that many can be played at the same time without disturbing each other.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp
from crds import install_crd
from faults.processes import Lease, Operator
from faults.proxy import Proxy
from faults.shop import Registry, Shop, is_settled_on, until

from psm_local.cluster import Cluster
from psm_operator.adapters.kinds import MODEL
from psm_operator.adapters.kube_api import KubeApi
from psm_operator.handlers import WATCHED
from psm_operator.values import ObjectRef
from psm_operator.watchdog import Patience

LEASES: Final = "psm-faults"
"""Namespace of the Lease of an operator that looks after every namespace."""
BACK_S: Final = 180.0
"""Until version 1 serves again, on a busy machine."""
TELL_S: Final = 30.0
"""An Event is recorded in the pass that wrote the status."""


@dataclass
class Witness:
    """Watches every serving Deployment through all that happens.

    Attributes:
        serves: whether a replica of a model answered when last seen.
        outages: models of which no replica answered any more, though one had; deleted ones do not count.
    """

    serves: dict[ObjectRef, bool] = field(default_factory=dict)
    outages: dict[ObjectRef, int] = field(default_factory=dict)

    async def watch(self, api_url: str, client: aiohttp.ClientSession) -> None:
        """Look on for ever."""
        path = f"{api_url}/apis/apps/v1/deployments"
        query = {"watch": "true", "labelSelector": "retail.mlops/role=serving", "timeoutSeconds": "3600"}
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with client.get(path, params=query) as answer:
                    rest = b""
                    async for chunk in answer.content.iter_any():
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            self._see(json.loads(line))
            await asyncio.sleep(0.5)

    def _see(self, event: dict[str, Any]) -> None:
        if event["type"] not in {"ADDED", "MODIFIED"}:
            return
        live = event["object"]
        ref = ObjectRef(live["metadata"]["namespace"], live["metadata"]["name"])
        answers = bool((live.get("status") or {}).get("availableReplicas"))
        if self.serves.get(ref) and not answers:
            self.outages[ref] = self.outages.get(ref, 0) + 1
        self.serves[ref] = answers


@dataclass
class Theatre:
    """The shared part of every fault."""

    cluster: Cluster
    shop: Shop
    witness: Witness
    folder: Path
    token: str
    tls: ssl.SSLContext
    registry_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """The emulator has one set of faults."""

    @asynccontextmanager
    async def proxy(self, who: str) -> AsyncIterator[Proxy]:
        """A way to the API server for one operator, whom the audit log knows by `who`."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Impersonate-User": who,
            "Impersonate-Group": "system:masters",
        }
        async with Proxy(self.cluster.api_url, headers, tls=self.tls).serving() as proxy:
            yield proxy

    @asynccontextmanager
    async def operator(
        self,
        who: str,
        namespace: str,
        *,
        lease: Lease | None = None,
        skew_s: float = 0.0,
        patience: Patience | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[Operator]:
        """An operator for the models of one namespace, behind a proxy of its own; empty: of every namespace."""
        async with self.proxy(who) as proxy:
            operator = Operator(
                name=who,
                proxy=proxy,
                lease=lease or Lease(who, namespace or LEASES),
                environment={**self.cluster.aws.environment(), "PSM_OPERATOR_NAMESPACES": namespace, **environment},
                log=self.folder / f"{who}.log",
                skew_s=skew_s,
                patience=patience,
            )
            async with operator.running():
                yield operator

    async def prepare(self, refs: Sequence[ObjectRef], sizes: Mapping[ObjectRef, int] = MappingProxyType({})) -> None:
        """Make every model serve version 2, with version 1 as the way back; one replica each unless `sizes` says more."""
        for namespace in {ref.namespace for ref in refs}:
            await self.shop.namespace(namespace)
        async with self.operator("stagehand", "") as stagehand:
            await asyncio.gather(*(self.shop.create(ref, replicas=sizes.get(ref, 1)) for ref in refs))
            await self._wait_settled(stagehand, refs, 1)
            await asyncio.gather(*(self.shop.approve_2(ref) for ref in refs))
            await self._wait_settled(stagehand, refs, 2)

    async def _wait_settled(self, stagehand: Operator, refs: Sequence[ObjectRef], version: int) -> None:
        missing = set(refs)

        async def all_settled() -> bool:
            assert stagehand.exits == [], stagehand.log.read_text()[-2000:]
            for model in (await self.shop.api.send("GET", MODEL.path(None)))["items"]:
                if is_settled_on(model.get("status") or {}, version):
                    missing.discard(ObjectRef(model["metadata"]["namespace"], model["metadata"]["name"]))
            await asyncio.sleep(0.4)
            return not missing

        await until(all_settled, f"version {version} to serve on {len(refs)} models", 300)

    async def went_back(self, ref: ObjectRef) -> None:
        """Wait until version 1 serves again and everything is written that follows, the last Event too."""

        async def is_back() -> bool:
            await asyncio.sleep(0.2)
            return is_settled_on(await self.shop.status(ref), 1)

        async def is_told() -> bool:
            return any(event["reason"] == "RolledBack" for event in await self.shop.events(ref))

        await until(is_back, f"{ref} to go back to version 1", BACK_S)
        await until(is_told, f"the Event of {ref}", TELL_S)


@asynccontextmanager
async def open_theatre(cluster: Cluster, folder: Path) -> AsyncIterator[Theatre]:
    """Everything that faults share, on a cluster that runs."""
    await asyncio.to_thread(install_crd, cluster)
    config = json.loads(cluster.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    token = config["users"][0]["user"]["token"]
    tls = ssl.create_default_context(cadata=authority)
    async with AsyncExitStack() as stack:
        api = await KubeApi.connect(str(cluster.kubeconfig))
        stack.push_async_callback(api.close)
        shop = Shop(api, await asyncio.to_thread(Registry, cluster.aws), cluster.aws.region)
        await shop.namespace(LEASES)
        client = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls),
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=2**20,
            )
        )
        witness = Witness()
        watching = asyncio.create_task(witness.watch(cluster.api_url, client))
        stack.push_async_callback(_end, watching)
        yield Theatre(cluster, shop, witness, folder, token, tls)
        await shop.clear()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until_watching(operator: Operator) -> None:
    """Wait until an operator watches everything and leads."""

    async def is_up() -> bool:
        leads = any("/leases" in call.path and call.method != "GET" for call in operator.proxy.calls)
        return leads and operator.proxy.open_watches >= len(WATCHED)

    await until(is_up, f"{operator.name} to watch everything")


async def until_met(proxy: Proxy) -> None:
    """Wait until a request met the fault: only from then on it lasts."""

    async def is_met() -> bool:
        return proxy.met > 0

    await until(is_met, "a request to meet the fault")
