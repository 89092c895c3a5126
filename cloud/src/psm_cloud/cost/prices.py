"""The price table: every row has its unit, the page it is published on, the date, and how sure it is."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Final

from psm_cloud.errors import CloudError

SURE: Final = ("price list", "catalogue", "memory")
"""From most to least: AWS' Price List as of the date, a public catalogue of prices made from AWS' interface, written
down from memory and not looked up."""


@dataclass(frozen=True)
class Price:
    """One row."""

    key: str
    usd: Decimal
    unit: str
    source: str
    date: str
    sure: str


@dataclass(frozen=True)
class Prices:
    """The table, by key."""

    rows: Mapping[str, Price]

    def __getitem__(self, key: str) -> Decimal:
        """Return US dollars, or say which row is missing."""
        if key not in self.rows:
            message = f"no price {key!r}: add a row with its source and date to cost/prices.csv"
            raise CloudError(message)
        return self.rows[key].usd

    def __contains__(self, key: str) -> bool:
        """Whether there is a row."""
        return key in self.rows


def load_prices() -> Prices:
    """Return the table that is part of this package."""
    text = resources.files(__package__).joinpath("prices.csv").read_text(encoding="utf-8")
    rows = {}
    for row in csv.DictReader(text.splitlines()):
        usd = Decimal(row["usd"])
        rows[row["key"]] = Price(row["key"], usd, row["unit"], row["source"], row["date"], row["sure"])
    return Prices(rows)
