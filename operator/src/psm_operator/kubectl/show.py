"""Carries out `status` and `history`: reads models and prints them in the form that was asked for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from psm_operator.kubectl import history, status
from psm_operator.kubectl.models import name_of, namespace_of, read_all, read_one
from psm_operator.kubectl.output import document, objects
from psm_operator.kubectl.plain import Manifest
from psm_operator.kubectl.session import Session
from psm_operator.kubectl.table import Table
from psm_operator.kubectl.watching import Follower

ROOM: Final = {"READY": len("Unknown"), "PHASE": len("RollingBack"), "REPLICAS": len("10/10")}
"""What a line that comes later may need, while models are followed."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What `status` was asked for."""

    names: tuple[str, ...] = ()
    output: str = ""
    is_everywhere: bool = False
    selector: str = ""
    is_watching: bool = False
    has_headers: bool = True

    @property
    def is_wide(self) -> bool:
        """Whether every column is wanted."""
        return self.output == "wide"

    @property
    def is_table(self) -> bool:
        """Whether lines for people are wanted."""
        return self.output in ("", "wide")


def show(session: Session, listing: Listing) -> None:
    """Print models once, or for ever."""
    scope = session.scope(listing.names, is_everywhere=listing.is_everywhere)
    if listing.is_watching:
        _follow(session, scope, listing)
        return
    if listing.names:
        models = [read_one(session.client, session.namespace, name) for name in listing.names]
    else:
        models, _ = read_all(session.client, scope, listing.selector)
    if not listing.is_table:
        text = objects(models, listing.output, is_list=len(listing.names) != 1)
        if text:
            session.say(text)
    elif listing.names and not listing.output:
        _say_details(session, models)
    elif models:
        TableWriter(session, listing).say(models)
    else:
        session.warn("No resources found" + (f" in {scope} namespace." if scope is not None else "."))


def _say_details(session: Session, models: Sequence[Manifest]) -> None:
    for number, model in enumerate(models):
        if number:
            session.say("")
        for line in status.details(model, session.now(), has_color=session.has_color):
            session.say(line)


class TableWriter:
    """Prints models as lines that stay aligned."""

    def __init__(self, session: Session, listing: Listing) -> None:
        self._session = session
        self._listing = listing
        headers = status.headers(is_wide=listing.is_wide, has_namespace=listing.is_everywhere)
        self._table = Table(headers, ROOM if listing.is_watching else {})
        if not listing.has_headers:
            self._table.lines([])

    def say(self, models: Sequence[Manifest]) -> None:
        """Some more lines."""
        shape = {"is_wide": self._listing.is_wide, "has_namespace": self._listing.is_everywhere}
        rows = [status.row(model, self._session.now(), **shape) for model in models]
        lines = self._table.lines(rows)
        for line in lines[: len(lines) - len(rows)]:
            self._session.say(line)
        for line, cells in zip(lines[len(lines) - len(rows) :], rows, strict=True):
            self._session.say(status.painted(line, cells, has_color=self._session.has_color))


def _follow(session: Session, scope: str | None, listing: Listing) -> None:
    for name in listing.names:
        read_one(session.client, session.namespace, name)  # a name that is not there is told now, not waited for
    follower = Follower(
        client=session.client,
        namespace=scope,
        pause=time.sleep,
        warn=session.warn,
        selector=listing.selector,
        names=frozenset(listing.names),
    )
    table = TableWriter(session, listing)
    for changes in follower.changes():
        there = [model for kind, model in changes if kind != "DELETED"]
        if there and listing.is_table:
            table.say(there)
        elif there:
            lead = "---\n" if listing.output == "yaml" else ""
            session.say("\n".join(lead + objects([model], listing.output, is_list=False) for model in there))
        for kind, model in changes:
            if kind == "DELETED":
                session.warn(f"{namespace_of(model)}/{name_of(model)} is deleted")


def show_history(session: Session, names: Sequence[str], output: str) -> None:
    """Print what happened to the named models' versions."""
    models = [read_one(session.client, session.namespace, name) for name in names]
    if output in ("json", "yaml"):
        made = history.documents(models)
        session.say(document(made if len(made) > 1 else made[0], output))
        return
    is_wide, now = output == "wide", session.now()
    columns = history.WIDE if is_wide else history.HEADERS
    table = Table(("NAME", *columns) if len(models) > 1 else columns)
    rows = [
        (name_of(model), *cells) if len(models) > 1 else cells
        for model in models
        for _, cells in history.rows(model, now, is_wide=is_wide)
    ]
    if not rows:
        session.warn(f"No history yet of {', '.join(names)}.")
        return
    for number, line in enumerate(table.lines(rows)):
        cells = rows[number - 1] if number else ()
        session.say(status.painted(line, cells, has_color=session.has_color))
