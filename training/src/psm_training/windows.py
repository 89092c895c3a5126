"""Which weeks train, validate and test: points in time, so that what is learned lies before what it is judged on.

A week is yyyyww of the shop's own year; as a number it orders the weeks of all years, which the week of a year does not.
The last weeks are the test, those just before them the validation, all earlier ones the training.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from psm_training.errors import PipelineError

if TYPE_CHECKING:
    import duckdb

    from psm_training.workspace import Workspace

TRAIN, VALID, TEST, UNUSED = "train", "valid", "test", "unused"

TEST_PART: Final = 5
"""A fifth of the weeks is the test by default, at most MOST_TEST_WEEKS: a quarter of a year sees every kind of week."""
MOST_TEST_WEEKS: Final = 12

VALID_PART: Final = 8
"""An eighth of the weeks is the validation by default, at most MOST_VALID_WEEKS: it also keeps promotions of the training
from reaching into the test."""
MOST_VALID_WEEKS: Final = 6


@dataclass(frozen=True)
class SplitOptions:
    """What a person asked of the split; None is chosen from the data.

    Attributes:
        test_weeks: How many of the last weeks are the test.
        valid_weeks: How many weeks just before the test are the validation.
        train_until: Last week of the training, yyyyww; later weeks before the validation are left out.
    """

    test_weeks: int | None = None
    valid_weeks: int | None = None
    train_until: int | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that are no numbers of weeks."""
        for name in ("test_weeks", "valid_weeks"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise PipelineError(f"--{name.replace('_', '-')} {count} is no number of weeks; give 1 or more")

    def describe(self) -> dict[str, int]:
        """What was asked, without what was not."""
        return {name: value for name, value in asdict(self).items() if value is not None}


DEFAULT: Final = SplitOptions()


@dataclass(frozen=True)
class Windows:
    """The weeks of each part, all yyyyww and inclusive.

    Attributes:
        train_until: Last week that may teach anything.
        valid_from: First week of the validation, later than that.
        valid_until: Its last week.
        test_from: First week of the test, later than that.
        test_until: Its last week.
    """

    train_until: int
    valid_from: int
    valid_until: int
    test_from: int
    test_until: int

    def __post_init__(self) -> None:
        """Refuses windows of which a later one does not lie after an earlier one."""
        if not self.train_until < self.valid_from <= self.valid_until < self.test_from <= self.test_until:
            raise PipelineError(
                f"training until {self.train_until}, validation {self.valid_from}-{self.valid_until} and test "
                f"{self.test_from}-{self.test_until} overlap; training ends before validation begins, and that before the "
                "test: give an earlier --train-until, or fewer --valid-weeks or --test-weeks"
            )

    @classmethod
    def of(cls, weeks: Collection[int], options: SplitOptions = DEFAULT) -> Self:
        """The windows of data with these weeks.

        Raises:
            PipelineError: There are too few, or the options ask for windows that overlap.
        """
        ordered = sorted(set(weeks))
        test = options.test_weeks or max(1, min(MOST_TEST_WEEKS, len(ordered) // TEST_PART))
        valid = options.valid_weeks or max(1, min(MOST_VALID_WEEKS, len(ordered) // VALID_PART))
        if len(ordered) < test + valid + 1:
            held = f"{ordered[0]}-{ordered[-1]}, {len(ordered)} weeks" if ordered else "no week"
            raise PipelineError(
                f"the data holds {held}; a test of {test} weeks and a validation of {valid} leave none to train on: "
                "bring earlier weeks, or give fewer --test-weeks or --valid-weeks"
            )
        later = ordered[-test - valid :]
        until = options.train_until if options.train_until is not None else ordered[-test - valid - 1]
        if until < ordered[0]:
            raise PipelineError(f"--train-until {until} comes before the data's first week, {ordered[0]}")
        return cls(until, later[0], later[valid - 1], later[valid], later[-1])

    def role(self, week: int) -> str:
        """The part that the week is for."""
        if week <= self.train_until:
            return TRAIN
        if self.valid_from <= week <= self.valid_until:
            return VALID
        return TEST if self.test_from <= week <= self.test_until else UNUSED

    def __str__(self) -> str:
        """The windows, for people."""
        return (
            f"training until {self.train_until}, validation {self.valid_from}-{self.valid_until}, "
            f"test {self.test_from}-{self.test_until}"
        )


def windows_in(database: "duckdb.DuckDBPyConnection", options: SplitOptions = DEFAULT) -> Windows:
    """The windows of relation `silver`."""
    return Windows.of(
        [week for (week,) in database.execute("SELECT DISTINCT SHOP_WEEK FROM silver").fetchall()], options
    )


def remember(space: "Workspace", options: SplitOptions) -> None:
    """Keeps what was asked, for the steps that follow."""
    space.split.write_text(json.dumps(options.describe(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def remembered(space: "Workspace") -> SplitOptions:
    """What was asked when silver or gold was made; the defaults where nothing was."""
    if not space.split.exists():
        return DEFAULT
    kept: dict[str, Any] = json.loads(space.split.read_text(encoding="utf-8"))
    return SplitOptions(**kept)
