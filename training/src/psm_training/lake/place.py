"""Where a workspace's lake is, and what is in it."""

import json
from dataclasses import dataclass
from typing import Any, Final

from psm_training.errors import PipelineError
from psm_training.lake.manifests import Table
from psm_training.lake.storage import SCHEME, Storage, open_storage
from psm_training.workspace import Workspace, read_json

OWNER: Final = "_source.json"


@dataclass(frozen=True)
class Lake:
    """Silver and gold, the ledger of raw files and the quarantine, under one folder.

    Attributes:
        storage: The folder.
    """

    storage: Storage

    @property
    def silver(self) -> Table:
        """Lines."""
        return Table(self._folder("silver"))

    @property
    def gold(self) -> Table:
        """Baskets."""
        return Table(self._folder("gold"))

    @property
    def ledger(self) -> Storage:
        """One JSON file per raw file that is in silver."""
        return self._folder("raw")

    @property
    def quarantine(self) -> Storage:
        """Lines that could not be used."""
        return self._folder("quarantine")

    @property
    def apart(self) -> Storage:
        """Lines that are no purchases and are kept, such as refunds."""
        return self._folder("apart")

    def _folder(self, name: str) -> Storage:
        return Storage(f"{self.storage.url}/{name}", f"{self.storage.root}/{name}", self.storage.files)

    def claim(self, source: str, *, replace: bool) -> None:
        """Takes the lake for a source; two sources never mix.

        Args:
            source: Its name.
            replace: Whether the lines of another source may go.

        Raises:
            PipelineError: They may not.
        """
        owner = self._owner()
        if owner not in (None, source):
            if not replace:
                raise PipelineError(f"{self.storage.url} holds {owner}; choose another --lake for {source}")
            self.silver.drop(self.silver.weeks())
            self.gold.drop(self.gold.weeks())
            for info in self.ledger.list(""):
                self.ledger.delete(self.ledger.name_of(info))
        if owner != source:
            self.storage.write(OWNER, json.dumps({"source": source}).encode())

    def _owner(self) -> str | None:
        if not self.storage.exists(OWNER):
            return None
        try:
            return str(json.loads(self.storage.read(OWNER))["source"])
        except (ValueError, KeyError, TypeError) as err:
            where = self.storage.where(OWNER)
            raise PipelineError(f"{where} is damaged ({err}); remove the lake's folder and ingest again") from err


def lake_at(where: str) -> Lake:
    """The lake in a folder or at an s3:// address."""
    return Lake(open_storage(where))


def lake_of(space: Workspace) -> Lake:
    """The lake that `ingest` filled for this workspace.

    Raises:
        PipelineError: It has not run.
    """
    return lake_at(str(read_json(space.source, "ingest").get("lake") or space.lake))


def raw_weeks(space: Workspace) -> list[dict[str, Any]]:
    """What the raw files of every silver week looked like: the week's `raw` with its `week` and `rows`."""
    return [{"week": week.week, "rows": week.rows, **week.raw} for week in lake_of(space).silver.weeks().values()]


def is_remote(where: str) -> bool:
    """Whether an address is in S3."""
    return where.startswith(SCHEME)
