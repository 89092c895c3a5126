"""Models with statuses that the operator wrote, in memory, for tests of what `kubectl psm` makes of them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from world import REF, World

from psm_operator.adapters.memory_cluster import KIND, STARTING
from psm_operator.api.conditions import Reason
from psm_operator.observe import observe
from psm_operator.values import Approval, Manifest, Observation, RegistryUnknown

Story = Callable[[World], Awaitable[None]]


async def unseen(world: World) -> None:
    """Made a moment ago; no operator has looked."""
    world.create()


async def pending(world: World) -> None:
    """No version is approved."""
    world.register(approval=Approval.PENDING)
    world.create()
    await world.converge()


async def serving(world: World) -> None:
    """One version, the way back."""
    world.register()
    await world.serve()


async def verifying(world: World) -> None:
    """The second version's pod does not come up yet."""
    await serving(world)
    world.register()
    world.cluster.outcomes[2] = STARTING
    await world.pass_time(30)


async def inconclusive(world: World) -> None:
    """The second version lacks a metric."""
    await serving(world)
    world.register(metrics={"accuracy": "0.79", "macro_f1": "0.77"})
    await world.pass_time(30)


async def soaking(world: World) -> None:
    """The second version serves and is watched."""
    await serving(world)
    world.register()
    await world.pass_time(15)


async def rejected(world: World) -> None:
    """The second version failed its gates."""
    await serving(world)
    world.register(metrics={"accuracy": "0.71", "macro_f1": "0.77", "precision_min_class": "0.76"})
    await world.pass_time(30)


async def rolled_back(world: World) -> None:
    """The second version got worse and made way."""
    await serving(world)
    world.register()
    await world.pass_time(60)
    world.measure(2, accuracy="0.71")
    await world.pass_time(60)


async def moved_on(world: World) -> None:
    """Three versions served one after the other."""
    await serving(world)
    for _ in range(2):
        world.register()
        await world.pass_time(60)


async def pinned(world: World) -> None:
    """A person holds the first of three versions."""
    await moved_on(world)
    world.create(version={"pin": 1})
    await world.converge()
    await world.pass_time(60)


async def suspended(world: World) -> None:
    """A person stopped everything while a newer version waits."""
    await serving(world)
    world.register()
    world.create(suspend=True)
    await world.pass_time(15)


async def off_hours(world: World) -> None:
    """At night nothing runs; the world begins on a Wednesday at midnight, UTC."""
    await serving(world)
    hours = {"start": "00:00", "end": "06:00", "days": ["Wed"], "replicas": 0}
    world.create(schedule={"timezone": "Etc/UTC", "offHours": [hours]})
    await world.converge()
    world.register()
    await world.pass_time(30)


STORIES: dict[str, Story] = {
    "unseen": unseen,
    "pending": pending,
    "serving": serving,
    "verifying": verifying,
    "inconclusive": inconclusive,
    "soaking": soaking,
    "rejected": rejected,
    "rolled-back": rolled_back,
    "moved-on": moved_on,
    "pinned": pinned,
    "suspended": suspended,
    "off-hours": off_hours,
}


_told: dict[Story, World] = {}


async def told(story: Story) -> World:
    """The world after a story, told once; who changes it tells it anew."""
    if story not in _told:
        world = World()
        await story(world)
        _told[story] = world
    return _told[story]


def model_in(world: World, *, name: str = REF.name, **metadata: Any) -> Manifest:
    """The model as the API server shows it."""
    model = world.cluster.get(KIND, REF)
    assert model is not None
    head = {"creationTimestamp": "2024-12-31T21:00:00Z", "name": name}
    return {**model, "metadata": {**model["metadata"], **head, **metadata}}


async def model_after(story: Story, **metadata: Any) -> Manifest:
    """The model after a story."""
    return model_in(await told(story), **metadata)


async def observed(world: World, *, with_registry: bool = True) -> Observation:
    """What the operator, or a person without AWS credentials, sees."""
    seen = await observe(REF, world.deps)
    assert isinstance(seen, Observation)
    if with_registry:
        return seen
    unknown = RegistryUnknown(Reason.NOT_CHECKED, "the registry was not asked")
    blind: dict[str, Any] = {"registry": unknown, "artifacts": {}}
    return replace(seen, **blind)
