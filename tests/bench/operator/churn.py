"""Churn: people edit, approve, revoke, create and delete, for many minutes; does the process grow?"""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bench.operator.cold import limit_s
from bench.operator.contestants import Running
from bench.operator.lab import GROUPS, Kube, Registry, group_name, model_name
from bench.operator.place import Place

from psm_local.supervise.instance import Say

TICK_S: Final = 1.0
REPLACE_EVERY: Final = 5
REGISTER_EVERY: Final = 30
TELL_EVERY: Final = 300
SAMPLES: Final = 5
SEED: Final = 4


@dataclass
class People:
    """What people have done so far.

    Attributes:
        alive: numbers of the models that exist.
    """

    kube: Kube
    registry: Registry
    alive: list[int]
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311  # not cryptography
    done: dict[str, int] = field(default_factory=lambda: {"edits": 0, "replaced": 0, "versions": 0})

    async def act(self, tick: int) -> None:
        """One second's work: an edit, now and then another model, now and then a new version."""
        if tick % REPLACE_EVERY == 0:
            gone = self.alive.pop(self.chance.randrange(len(self.alive)))
            new = max(self.alive) + 1
            await self.kube.delete_models([gone])
            await self.kube.create_models([new])
            self.alive.append(new)
            self.done["replaced"] += 1
        if tick % REGISTER_EVERY == 0:
            group = group_name(self.chance.randrange(GROUPS))
            await asyncio.to_thread(self.registry.register, self.registry.client("sagemaker"), group, "Approved")
            self.done["versions"] += 1
        env = [{"name": "BENCH", "value": f"churn-{tick}"}]
        await self.kube.patch_model(self.chance.choice(self.alive), "/spec/predictor", {"env": env})
        self.done["edits"] += 1


async def churn(place: Place, minutes: float, say: Say) -> dict[str, Any]:
    """Churn for so many minutes, and wait until everything is Ready again."""
    leader, seen = place.leader, place.seen
    people = People(place.kube, place.registry, list(range(place.models)))
    before, cpu_s = await memory(leader), leader.cpu_s
    samples: list[float] = []
    started = time.monotonic()
    tick = 0
    while (left := started + minutes * 60 - time.monotonic()) > 0:
        tick += 1
        await people.act(tick)
        if tick % 10 == 0:
            samples.append(round(leader.rss_mib, 1))
        if tick % TELL_EVERY == 0:
            say(f"churn: {left / 60:.0f} minutes left, {leader.rss_mib:.0f} MiB, {people.done}")
        await asyncio.sleep(max(0.0, started + tick * TICK_S - time.monotonic()))
    names = {model_name(number) for number in people.alive}
    await seen.until(
        lambda: names <= seen.complete and names <= seen.ready,
        "everything to be Ready after churn",
        limit_s(place.models),
    )
    after = await memory(leader)
    return {
        "churn_rss_ratio": round(after / before, 3),
        "churn": {
            "minutes": minutes,
            **people.done,
            "rss_mib_before": round(before, 1),
            "rss_mib_after": round(after, 1),
            "rss_mib_samples": samples,
            "cpu_s": round(leader.cpu_s - cpu_s, 1),
        },
    }


async def memory(one: Running) -> float:
    """Resident memory, the median of some seconds."""
    readings = []
    for _ in range(SAMPLES):
        readings.append(one.rss_mib)
        await asyncio.sleep(TICK_S)
    return statistics.median(readings)
