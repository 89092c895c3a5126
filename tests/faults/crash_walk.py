"""Walks every crash point of a story: dies there, starts anew without memory, and compares the end with the undisturbed one.

A crash leaves only what is outside the process. Two points of one step with the same outside therefore have one future,
which is played once; and a future that has come back to a state seen before at the same step needs no further playing.
That is what makes thousands of points affordable. The counts are of points, not of futures.
"""

import copy
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from faults.crash_world import Ledger, MortalWorld
from world import GROUP, REF

from psm_operator.adapters.memory_cluster import KIND
from psm_operator.values import Manifest, Snapshot

Step = Callable[[MortalWorld], Awaitable[None] | None]
Story = Sequence[Step]

OUTLIVING = ("cluster", "cloudwatch", "registry", "artifacts", "clock", "ledger")
VOLATILE = frozenset(
    {"resourceVersion", "uid", "generation", "observedGeneration", "creationTimestamp", "managedFields"}
)


@dataclass(frozen=True)
class End:
    """How a story ended, without timestamps.

    Attributes:
        status: without history.
        children: by kind and name.
        history: oldest first.
        events: type, reason and message of each.
        rollbacks: how many rollback ids there were.
        path: versions that the serving Deployment ran, in order.
        aws: names of the dashboard and alarms.
    """

    status: Manifest
    children: dict[str, Manifest]
    history: tuple[str, ...]
    events: tuple[str, ...]
    rollbacks: int
    path: tuple[int | None, ...]
    outages: int
    aws: tuple[str, ...]


@dataclass(frozen=True)
class Losses:
    """How one end differs from another."""

    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    other: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.lost or self.duplicated or self.other)


@dataclass
class Report:
    """What a walk found.

    Attributes:
        points: crash points walked.
        futures: different futures among them.
        harmed: point -> how the end differs.
    """

    points: int = 0
    futures: int = 0
    harmed: dict[str, Losses] = field(default_factory=dict)

    def __str__(self) -> str:
        kinds: dict[Losses, list[str]] = {}
        for point, losses in self.harmed.items():
            kinds.setdefault(losses, []).append(point)
        return "\n".join(f"{len(places)} points, first {places[0]}: {losses}" for losses, places in kinds.items())


@dataclass(frozen=True)
class Remains:
    """What a kill leaves: the state of the outside, and which step was under way."""

    step: int
    outside: dict[str, Any]


async def _calm(world: MortalWorld) -> None:
    await world.pass_time(15)


CALM: Story = [_calm] * 4
"""Played after every story, without crashes: what is only remembered (reads that must agree) is gathered anew by then."""


async def walk(make: Callable[[], MortalWorld], story: Story) -> Report:
    """Play a story once undisturbed and once for every way in which it can be cut short."""
    world = make()
    remains: dict[tuple[object, ...], Remains] = {}
    points: dict[tuple[object, ...], list[str]] = {}
    step = 0

    def note(name: str) -> None:
        key = (step, *_outside_key(world))
        if key not in remains:
            remains[key] = Remains(step, _outside(world))
        places = points.setdefault(key, [])
        places.append(f"point {sum(map(len, points.values()))}, step {step}, {name}")

    world.on_point = note
    played = [*story, *CALM]
    ends: dict[tuple[int, str], End] = {}
    passed: list[tuple[int, str]] = []
    for step, act in enumerate(played):  # `note` reads it
        if step == len(story):
            world.on_point = lambda _: None
        await play(world, act)
        passed.append((step, _fingerprint(world)))
    undisturbed = end_of(world)
    ends |= dict.fromkeys(passed, undisturbed)
    report = Report(points=sum(len(names) for names in points.values()), futures=len(remains))
    for key, left in remains.items():
        losses = compare(await _future(left, played, ends), undisturbed)
        if losses:
            report.harmed |= dict.fromkeys(points[key], losses)
    return report


async def play(world: MortalWorld, act: Step) -> None:
    """One step, and what the operator makes of it."""
    done = act(world)
    if done is not None:
        await done
    await world.converge()


async def _future(left: Remains, story: Story, ends: dict[tuple[int, str], End]) -> End:
    """Start anew on what is left and play the story to its end, or to a state whose end is known."""
    world = MortalWorld()
    for name, value in copy.deepcopy(left.outside).items():
        setattr(world, name, value)
    world.restart()
    await world.converge()
    passed: list[tuple[int, str]] = []
    for step in range(left.step, len(story)):
        if step > left.step:
            await play(world, story[step])
        place = (step, _fingerprint(world))
        if place in ends:
            end = ends[place]
            break
        passed.append(place)
    else:
        end = end_of(world)
    ends |= dict.fromkeys(passed, end)
    return end


def _outside(world: MortalWorld) -> dict[str, Any]:
    return copy.deepcopy({name: getattr(world, name) for name in OUTLIVING})


def _outside_key(world: MortalWorld) -> tuple[object, ...]:
    """Tells different outsides apart at the price of five numbers: within a step only the operator changes anything."""
    cluster = world.cluster
    aws = len(world.cloudwatch.writes)
    return cluster._revision, len(cluster.events), len(cluster.writes), aws, world.clock.now()


def _fingerprint(world: MortalWorld) -> str:
    """Everything that the future depends on: the outside, and what the process remembers."""
    view = world.polls.view(GROUP)
    evidence = world.deps.evidence.get(REF)
    memory = (
        replace(view, number=0) if isinstance(view, Snapshot) else view,
        isinstance(view, Snapshot) and evidence is not None and evidence.poll == view.number,
        replace(evidence, poll=0) if evidence is not None else None,
        sorted(world.polls.interests.items()),
        world.polls.hastened,
        world.keeper._followed,
        list(world.due_in_cloudwatch),
    )
    objects = {f"{kind}/{name}": _stable(live) for (kind, _, name), live in world.cluster._objects.items()}
    outside = (
        json.dumps(objects, sort_keys=True),
        sorted(map(str, world.cluster.events)),
        world.cluster._working,
        (world.cloudwatch.alarms, world.cloudwatch.tags, world.cloudwatch.dashboards),
        world.clock.now(),
        replace(world.ledger, rollbacks=[str(len(world.ledger.rollbacks))]),
    )
    return repr((memory, outside))


def _stable(live: Any) -> Any:
    """A manifest without what every write changes."""
    if isinstance(live, dict):
        return {name: _stable(value) for name, value in live.items() if name != "resourceVersion"}
    return [_stable(value) for value in live] if isinstance(live, list) else live


def end_of(world: MortalWorld) -> End:
    """Sum up how a story ended."""
    status = timeless((world.cluster.get(KIND, REF) or {}).get("status") or {})
    history = tuple(json.dumps(entry, sort_keys=True) for entry in reversed(status.pop("history", [])))
    children = {
        f"{kind}/{name}": timeless({k: v for k, v in live.items() if k != "status"})
        for (kind, _, name), live in world.cluster._objects.items()
        if kind != KIND
    }
    ledger: Ledger = world.ledger
    return End(
        status=status,
        children=children,
        history=history,
        events=tuple(sorted(f"{e.type} {e.reason.value}: {e.message}" for e in world.cluster.events.values())),
        rollbacks=len(ledger.rollbacks),
        path=tuple(ledger.path),
        outages=ledger.outages,
        aws=(*sorted(world.cloudwatch.alarms), *world.cloudwatch.dashboards),
    )


def timeless(value: Any) -> Any:
    """JSON without moments, ids made of them, and what the API server counts."""
    if isinstance(value, dict):
        return {name: timeless(part) for name, part in value.items() if not _is_moment(name)}
    return [timeless(part) for part in value] if isinstance(value, list) else value


def _is_moment(name: str) -> bool:
    return name.endswith(("At", "Since", "Time")) or name in VOLATILE | {"at", "id"}


def compare(end: End, wanted: End) -> Losses:
    """What `end` lacks of `wanted`, has too often, or has otherwise."""
    lost: list[str] = []
    duplicated: list[str] = []
    for what in ("history", "events"):
        found, expected = Counter(getattr(end, what)), Counter(getattr(wanted, what))
        lost += sorted((expected - found).elements())
        duplicated += sorted((found - expected).elements())
    other = [
        f"{what} is {getattr(end, what)}, undisturbed {getattr(wanted, what)}"
        for what in ("status", "children", "rollbacks", "path", "outages", "aws")
        if getattr(end, what) != getattr(wanted, what)
    ]
    return Losses(tuple(lost), tuple(duplicated), tuple(other))
