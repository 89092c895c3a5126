"""What `kubectl psm` prints of models whose statuses the operator wrote."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from plugin_stories import STORIES, model_after, observed, told
from world import World

from psm_operator.decide.explain import explain, explained, first_stop, is_served
from psm_operator.kubectl import history, status
from psm_operator.kubectl.explain import steps_as_lines, summary
from psm_operator.kubectl.table import Table, lines_of

EXPLAINED = (
    "pending",
    "serving",
    "verifying",
    "inconclusive",
    "soaking",
    "rejected",
    "rolled-back",
    "pinned",
    "off-hours",
)
Check = Callable[[str, str], None]


def text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("is_wide", [False, True], ids=["short", "wide"])
async def test_the_table_of_models_is_as_reviewed(golden: Check, is_wide: bool) -> None:  # noqa: FBT001  # a parameter of the test
    table = Table(status.headers(is_wide=is_wide, has_namespace=False))
    rows = []
    for name, story in STORIES.items():
        world = await told(story)
        model = await model_after(story, name=name)
        rows.append(status.row(model, world.clock.now(), is_wide=is_wide, has_namespace=False))
    golden(f"kubectl/status-{'wide' if is_wide else 'short'}.txt", text(table.lines(rows)))


@pytest.mark.parametrize("name", STORIES)
async def test_everything_about_a_model_is_as_reviewed(golden: Check, name: str) -> None:
    world = await told(STORIES[name])
    model = await model_after(STORIES[name])
    now = world.clock.now() + timedelta(minutes=2)
    golden(f"kubectl/details-{name}.txt", text(status.details(model, now, has_color=False)))


async def test_a_history_is_as_reviewed(golden: Check) -> None:
    model, now = await model_after(STORIES["rolled-back"]), World().clock.now() + timedelta(hours=9)
    for form, headers in (("short", history.HEADERS), ("wide", history.WIDE)):
        rows = [cells for _, cells in history.rows(model, now, is_wide=form == "wide")]
        golden(f"kubectl/history-{form}.txt", text(lines_of(headers, rows)))


@pytest.mark.parametrize("with_registry", [True, False], ids=["with registry", "from the status alone"])
@pytest.mark.parametrize("name", EXPLAINED)
async def test_an_explanation_is_as_reviewed(golden: Check, name: str, with_registry: bool) -> None:  # noqa: FBT001  # as above
    seen = await observed(await told(STORIES[name]), with_registry=with_registry)
    version = 2 if name == "pinned" else explained(seen) or 1
    steps = explain(seen, version)
    said = summary("uk-grocery", version, first_stop(steps), is_served=is_served(seen, version))
    form = "" if with_registry else "-from-status"
    golden(f"kubectl/explain-{name}{form}.txt", text([said, "", *steps_as_lines(steps, has_color=False)]))


def test_no_golden_file_is_left_over() -> None:
    """A file without a case is compared with nothing."""
    expected = {f"{kind}-{form}" for kind in ("status", "history") for form in ("short", "wide")}
    expected |= {f"details-{name}" for name in STORIES}
    expected |= {f"explain-{name}{form}" for name in EXPLAINED for form in ("", "-from-status")}
    assert {path.stem for path in (Path(__file__).parent / "kubectl").glob("*.txt")} == expected
