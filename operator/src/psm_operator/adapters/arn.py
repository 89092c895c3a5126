"""Amazon Resource Names taken apart, as far as the operator asks: which account and which region."""

from dataclasses import dataclass
from typing import Final, Self

PARTS: Final = 6


@dataclass(frozen=True, slots=True)
class Arn:
    """arn:partition:service:region:account:resource."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None when `text` is no ARN."""
        parts = text.split(":", PARTS - 1)
        return cls(*parts[1:]) if len(parts) == PARTS and parts[0] == "arn" else None

    @property
    def name(self) -> str:
        """What follows the last slash of the resource."""
        return self.resource.rpartition("/")[2]
