"""What is expected of the raw files, by what the lake's manifests say of each week: all read, little of it set aside.

Ingest refuses single files by the same limits; a week may come from several.
"""

from collections.abc import Iterator
from typing import Final

from great_expectations.expectations.expectation import Expectation

from psm_training.lake.quarantine import FEW_LINES, MAX_BAD_SHARE, MAX_COPY_SHARE
from psm_training.validation.suite import WEEK, Table, none_of, within

_WEEKS: Final = f"""
SELECT {WEEK}, files, files - contents AS "files twice", lines, rows,
       CASE WHEN quarantined > {FEW_LINES} * files THEN quarantined / lines ELSE 0 END AS quarantined,
       CASE WHEN duplicates > {FEW_LINES} * files THEN duplicates / lines ELSE 0 END AS duplicates,
       greatest(0, rows + quarantined + duplicates - lines) AS "lines from nowhere"
FROM raw ORDER BY {WEEK}
"""  # noqa: S608  # names and numbers of our own


def _weeks() -> Iterator[Expectation]:
    yield within("files", "every week comes from at least one file", "files", 1, None)
    yield none_of("files", "no file came twice under two names", "files twice")
    share = MAX_BAD_SHARE
    yield within(
        "quarantine", f"at most {share:.0%} of the lines of a week's files were set aside", "quarantined", None, share
    )
    share = MAX_COPY_SHARE
    yield within(
        "duplicates", f"at most {share:.0%} of the lines of a week's files are copies", "duplicates", None, share
    )
    yield within("rows", "every week has lines in silver", "rows", 1, None)
    yield none_of("rows", "silver has no more lines of a week than its files", "lines from nowhere")


TABLES: Final = (Table("raw weeks", _WEEKS, tuple(_weeks()), row=WEEK),)
