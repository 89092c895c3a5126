"""What of a delivery is taken as it is: options of `psm-train ingest` for what life brings and the default refuses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from psm_contract.schema import COLUMN_NAMES, RANGES, calendar_fault
from psm_training.errors import PipelineError

READER: Final = 2
"""Of the rules by which lines are read; files that were read by others are read again."""

SOURCE_FILES: Final = "source-files"
REFUND: Final = "refund"
ZERO_PRICE: Final = "zero price"


@dataclass(frozen=True)
class Terms:
    """What is allowed.

    Attributes:
        rename: Names of columns as the files have them, and as the schema does.
        extra_columns: Whether columns beyond the schema are left out instead of refused.
        refunds: Whether lines with negative quantity or spend are kept apart instead of quarantined.
        zero_prices: Whether lines that cost nothing are.
        missing_weeks: Weeks that are known to be missing, yyyyww.
    """

    rename: tuple[tuple[str, str], ...] = ()
    extra_columns: bool = False
    refunds: bool = False
    zero_prices: bool = False
    missing_weeks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for old, new in self.rename:
            if new not in COLUMN_NAMES or old == new:
                raise PipelineError(
                    f"--rename {old}={new} leads to no column of the schema; they are {', '.join(COLUMN_NAMES)}"
                )
        for week in self.missing_weeks:
            check_week("--missing-week", week)

    @property
    def stamp(self) -> str:
        """Of all that decides which lines a file gives."""
        words = [f"{old}={new}" for old, new in sorted(self.rename)]
        words += [name for name in ("extra_columns", "refunds", "zero_prices") if getattr(self, name)]
        return " ".join([str(READER), *words])

    @property
    def apart(self) -> tuple[str, ...]:
        """Kinds of lines that are kept apart: not in silver, and counted."""
        return tuple(kind for kind, is_kept in ((REFUND, self.refunds), (ZERO_PRICE, self.zero_prices)) if is_kept)


STRICT: Final = Terms()
"""Nothing beyond the schema."""


def terms_of(
    *, rename: Iterable[str], extra_columns: bool, refunds: bool, zero_prices: bool, missing_weeks: Iterable[int]
) -> Terms:
    """Return the terms of a command line.

    Args:
        rename: OLD=NEW.
        extra_columns: As in Terms.
        refunds: As in Terms.
        zero_prices: As in Terms.
        missing_weeks: As in Terms.

    Raises:
        PipelineError: One of them makes no sense.
    """
    pairs = []
    for text in rename:
        old, sign, new = text.partition("=")
        if not (old and sign and new):
            raise PipelineError(f"--rename {text} is not OLD=NEW")
        pairs.append((old, new))
    return Terms(
        rename=tuple(sorted(pairs)),
        extra_columns=extra_columns,
        refunds=refunds,
        zero_prices=zero_prices,
        missing_weeks=tuple(sorted(set(missing_weeks))),
    )


def check_source(source: str, data: object, terms: Terms) -> None:
    """Refuse options that a source does not have.

    Raises:
        PipelineError: They would do nothing.
    """
    if source == SOURCE_FILES:
        return
    if data is not None:
        raise PipelineError(f"--source {source} reads no files, so --data {data} does nothing; leave one of them out")
    if terms != STRICT:
        raise PipelineError(f"--source {source} reads no files, so it takes no options of source-files; leave them out")


def check_week(option: str, week: int) -> None:
    """Refuse what is no week.

    Raises:
        PipelineError: It is none, yyyyww.
    """
    low, high = RANGES["SHOP_WEEK"]
    if not low <= week <= high or calendar_fault(week, None) is not None:
        raise PipelineError(f"{option} {week} is no week, yyyyww, such as 200801")
