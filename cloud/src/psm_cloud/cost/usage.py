"""The load an environment is priced for: each number with its unit and its reason."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib import resources

from psm_cloud.errors import CloudError


@dataclass(frozen=True)
class Amount:
    """One number of the load."""

    value: Decimal
    unit: str
    why: str


@dataclass(frozen=True)
class Usage:
    """The load of one environment."""

    environment: str
    amounts: Mapping[str, Amount]

    def __getitem__(self, name: str) -> Decimal:
        """Return the number, or say which is missing."""
        if name not in self.amounts:
            message = f"no {name!r} in the usage of {self.environment}: add it to cost/usage/{self.environment}.toml"
            raise CloudError(message)
        return self.amounts[name].value

    def with_amounts(self, **values: Decimal) -> "Usage":
        """Return it with other numbers."""
        changed = {name: replace(self.amounts[name], value=value) for name, value in values.items()}
        return replace(self, amounts={**self.amounts, **changed})

    @property
    def requests(self) -> Decimal:
        """Requests a month."""
        return self["requests_per_second"] * 3600 * self["shop_hours"]


def load_usage(environment: str) -> Usage:
    """Return the usage that is part of this package."""
    file = resources.files(__package__).joinpath("usage", f"{environment}.toml")
    if not file.is_file():
        message = f"no usage for the environment {environment!r}: write cost/usage/{environment}.toml"
        raise CloudError(message)
    read = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    amounts = {name: Amount(Decimal(given["value"]), given["unit"], given["why"]) for name, given in read.items()}
    return Usage(environment, amounts)
