"""The bases of every API type: frozen, camelCase outside, snake_case inside, tolerant of what a newer version wrote.

The API server refuses a field that the CRD does not know; what it stored was fine when it was written. So nothing here
refuses an unknown field: in `spec` it is ignored, in `status` it is kept and written back. Tests that want to find a
misspelt field validate with `extra="forbid"`.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A frozen value whose JSON names are camelCase."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class StatusModel(ApiModel):
    """A part of `status`: fields of a newer operator go through it unchanged."""

    model_config = ConfigDict(extra="allow")


class OpenEnum(StrEnum):
    """A set of words that newer operators add to: a word that is not ours is kept as it is."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
