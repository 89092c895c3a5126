"""Whether a teardown may delete: nothing without being asked to, prod never without its name typed. Pure but for `ask`."""

from collections.abc import Callable
from dataclasses import dataclass

from psm_cloud.errors import CloudError
from psm_cloud.teardown.scope import Scope


@dataclass(frozen=True)
class Wish:
    """What the command line said."""

    execute: bool
    yes: bool
    account: str | None


def consented(wish: Wish, scope: Scope, ask: Callable[[str], str]) -> bool:
    """Return whether to delete; a dry run asks nothing.

    Args:
        wish: The command line.
        scope: Its account is the one that the credentials are of.
        ask: Show a question, return what was typed; empty when nobody is there.

    Raises:
        CloudError: The account or the name is another.
    """
    if wish.account is not None and wish.account != scope.account:
        message = f"the credentials are of account {scope.account}, not {wish.account}: nothing was deleted"
        raise CloudError(message)
    if not (wish.execute or wish.yes):
        return False
    if wish.account is None:
        _typed(ask(f"The credentials are of account {scope.account}. Type its number: "), scope.account, "--account")
    if not wish.yes or scope.environment == "prod":
        _typed(ask(f"Everything of {scope.name} will be deleted. Type {scope.name}: "), scope.name, "at the prompt")
    return True


def _typed(answer: str, wanted: str, where: str) -> None:
    if answer.strip() != wanted:
        message = f"{answer.strip() or 'nothing'!r} was typed, not {wanted!r}: nothing was deleted; give it {where}"
        raise CloudError(message)
