"""What is expected of the raw files, by what the lake's manifests say of each week: all read, little of it set aside."""

from collections.abc import Iterator
from typing import Final

from great_expectations.expectations.expectation import Expectation

from psm_training.validation.suite import WEEK, Table, none_of, within

MAX_QUARANTINED_SHARE: Final = 0.01
"""As `lake.quarantine` refuses a file; here it is on record."""
MAX_DUPLICATE_SHARE: Final = 0.02

_WEEKS: Final = f"""
SELECT {WEEK}, files, files - contents AS "files twice", lines, rows,
       quarantined / greatest(lines, 1) AS quarantined, duplicates / greatest(lines, 1) AS duplicates,
       greatest(0, rows + quarantined + duplicates - lines) AS "lines from nowhere"
FROM raw ORDER BY {WEEK}
"""  # noqa: S608  # names and numbers of our own


def _weeks() -> Iterator[Expectation]:
    yield within("files", "every week comes from at least one file", "files", 1, None)
    yield none_of("files", "no file came twice under two names", "files twice")
    share = MAX_QUARANTINED_SHARE
    yield within(
        "quarantine", f"at most {share:.0%} of the lines of a week's files were set aside", "quarantined", None, share
    )
    share = MAX_DUPLICATE_SHARE
    yield within(
        "duplicates", f"at most {share:.0%} of the lines of a week's files are copies", "duplicates", None, share
    )
    yield within("rows", "every week has lines in silver", "rows", 1, None)
    yield none_of("rows", "silver has no more lines of a week than its files", "lines from nowhere")


TABLES: Final = (Table("raw weeks", _WEEKS, tuple(_weeks()), row=WEEK),)
