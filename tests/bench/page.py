"""Writes tables of figures into a page, between two marks, so that the page says what was measured last."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

END: Final = "<!-- to here -->\n"

Find = Callable[[dict[str, Any]], Any]
Column = tuple[str, Find]


def begin(command: str) -> str:
    """The mark from which a command writes."""
    return f"<!-- make {command} writes from here -->\n"


def replace(page: Path, command: str, text: str) -> None:
    """Replace what stands between the marks."""
    before, mark, rest = page.read_text().partition(begin(command))
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{mark}\n{text}\n{END}{after}")


def table(columns: Sequence[Column], entries: Iterable[dict[str, Any]]) -> list[str]:
    """Lines of a Markdown table with a row for each entry; what was not measured is a dash."""
    return [
        row([name for name, _ in columns]),
        row(["---"] * len(columns)),
        *(row([found(find, entry) for _, find in columns]) for entry in entries),
    ]


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def found(find: Find, where: dict[str, Any]) -> str:
    """A figure as text, a dash where there is none."""
    try:
        return str(find(where))
    except (KeyError, TypeError):
        return "-"


def measured_on(machine: dict[str, Any]) -> str:
    """The sentence about the machine."""
    return (
        f"Measured with {machine['cores']} cores, {machine['memory_gib']} GiB of memory and Python {machine['python']}."
    )
