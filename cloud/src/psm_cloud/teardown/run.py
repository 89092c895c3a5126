"""Find, delete, let Terraform destroy, look again. Nothing is remembered between runs: the account says what is left.

A run that broke off is started again and goes on with what there still is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from psm_cloud.errors import CloudError
from psm_cloud.teardown.account import Account
from psm_cloud.teardown.adapters import code_of
from psm_cloud.teardown.decide import Decision, Found, Keep, Kept, Kind, decide
from psm_cloud.teardown.ports import Destroyer
from psm_cloud.teardown.scope import Scope
from psm_cloud.teardown.verify import Left, left_over

ROUNDS: Final = 20
PAUSE_S: Final = 15.0
"""AWS frees the interfaces of a deleted load balancer within minutes; five are waited for."""
IN_USE: Final = frozenset(
    {
        "DependencyViolation",
        "InvalidNetworkInterface.InUse",
        "ResourceInUse",
        "VolumeInUse",
    }
)
"""Codes of what can be deleted once something else is gone."""


@dataclass(frozen=True)
class Failure:
    """What could not be done, and AWS' words."""

    what: str
    told: str


@dataclass(frozen=True)
class Survey:
    """What there is, what to do about it, and what could not be looked at."""

    decision: Decision
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Outcome:
    """A finished run."""

    removed: tuple[Found, ...]
    kept: tuple[Kept, ...]
    failures: tuple[Failure, ...]
    left: tuple[Left, ...]

    @property
    def is_clean(self) -> bool:
        """Whether everything is gone but what was to be kept or is scheduled."""
        return not self.failures and not any(one.is_unexpected for one in self.left)


@dataclass(frozen=True)
class Run:
    """One teardown; `tell` gets a line for each step, `pause` waits that many seconds."""

    account: Account
    scope: Scope
    keep: Keep
    tell: Callable[[str], None]
    pause: Callable[[float], None]

    def survey(self, kinds: Iterable[Kind] = tuple(Kind)) -> Survey:
        """Return what there is of these kinds; a kind that may not be listed is a failure, the others are looked at."""
        wanted, found, failures = set(kinds), [], []
        for shelf in self.account.shelves:
            if shelf.kind not in wanted:
                continue
            try:
                found += list(shelf.find())
            except (ClientError, BotoCoreError) as err:
                failures.append(Failure(f"look for: {shelf.kind.label}", str(err)))
        return Survey(decide(found, self.scope, self.keep), tuple(failures))

    def execute(self, destroyer: Destroyer | None) -> Outcome:
        """Delete everything; what fails does not stop the rest."""
        before = [kind for kind in Kind if kind < Kind.TERRAFORM]
        removed, kept, failures = self._clear(before)
        if destroyer is not None:
            told = self._destroy(destroyer)
            if told is not None:  # controllers may have made something new while the cluster was still there
                again, _, more = self._clear(before)
                removed, failures = [*removed, *again], list(dict.fromkeys([*failures, *more]))
                told = self._destroy(destroyer) if again else told
            failures += [Failure("terraform destroy", told)] if told is not None else []
        last, more_kept, more = self._clear([kind for kind in Kind if kind > Kind.TERRAFORM])
        left = left_over(self.account, self.scope, self.keep)
        return Outcome((*removed, *last), (*kept, *more_kept), (*failures, *more), left)

    def _clear(self, kinds: list[Kind]) -> tuple[list[Found], list[Kept], list[Failure]]:
        seen = self.survey(kinds)
        removed, failures = self.remove(seen.decision.delete)
        return removed, list(seen.decision.kept), [*seen.failures, *failures]

    def remove(self, wanted: Iterable[Found]) -> tuple[list[Found], list[Failure]]:
        """Delete in order; what is still in use is tried again while others go."""
        shelves = {shelf.kind: shelf for shelf in self.account.shelves}
        waiting, removed, failures = list(wanted), [], []
        for attempt in range(ROUNDS):
            again: list[tuple[Found, Failure]] = []
            for one in waiting:
                try:
                    shelves[one.kind].remove(one)
                except (ClientError, BotoCoreError, CloudError) as err:
                    failure = Failure(f"delete {one.kind.label} {one.name or one.id}", str(err))
                    if isinstance(err, ClientError) and code_of(err) in IN_USE and attempt + 1 < ROUNDS:
                        again.append((one, failure))
                    else:
                        failures.append(failure)
                        self.tell(f"FAILED {failure.what}: {failure.told}")
                else:
                    removed.append(one)
                    self.tell(f"deleted {one.kind.label} {one.name or one.id}")
            if not again:
                break
            waiting = [one for one, _ in again]
            self.tell(f"{len(waiting)} still in use, such as {waiting[0].kind.label} {waiting[0].name}; trying again")
            self.pause(PAUSE_S)
        return removed, failures

    def _destroy(self, destroyer: Destroyer) -> str | None:
        self.tell("terraform destroy")
        try:
            destroyer.destroy()
        except CloudError as err:
            self.tell(f"FAILED terraform destroy: {err}")
            return str(err)
        return None
