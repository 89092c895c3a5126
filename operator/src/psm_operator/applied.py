"""What became of a plan's writes: handed from `apply` to `report`, and what the pass ends with."""

from dataclasses import dataclass, field
from typing import Final

from psm_operator.errors import OperatorError, Retryable, Stalled
from psm_operator.values import Action

LOOK_AGAIN_S: Final = 60.0
"""After a refusal: no event tells that a policy, a quota or an object of somebody else's is gone."""


@dataclass(slots=True)
class Applied:
    """What became of a plan's writes.

    Attributes:
        done: what changed something.
        refused: why the API server or an object of somebody else's stands in the way, for each child by name.
        failed: what kept the others, and may pass by itself.
        is_surprised: the cache had missed something, and knows it now.
    """

    done: list[Action] = field(default_factory=list)
    refused: list[Retryable | Stalled] = field(default_factory=list)
    failed: list[Retryable] = field(default_factory=list)
    is_surprised: bool = False

    @property
    def stall(self) -> Stalled | None:
        """What only a person can end; it names every child that is refused."""
        if not self.refused:
            return None
        return Stalled(self.refused[0].reason, "; ".join(map(str, self.refused)), look_again_s=LOOK_AGAIN_S)

    def error(self) -> OperatorError | None:
        """What the pass is to end with."""
        passing = [*(err for err in self.refused if isinstance(err, Retryable)), *self.failed]
        if not passing:
            return self.stall
        messages = dict.fromkeys(map(str, (*self.refused, *self.failed)))
        return Retryable("; ".join(messages), reason=passing[0].reason, retry_after_s=passing[0].retry_after_s)
