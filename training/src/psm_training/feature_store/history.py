"""Point-in-time joins: for each key and time, what was known of it then. Nothing from later can come in.

The offline store keeps every record with its event time and the time at which it was written. A record counts at `at`
if its event time is not later; of those the latest, and of its versions the one written last. `known_by` leaves out
what was written later, so that a training set of last month can be made again although records came late since then.
It reads what `local` writes and what SageMaker's offline store writes: both have `write_time` and `is_deleted`.
"""

from datetime import datetime
from typing import Any, Final

import duckdb

from psm_training.feature_store.groups import EVENT_TIME, IS_DELETED, WRITE_TIME, FeatureGroup

AT: Final = "at"
"""Column of the spine: the time that is asked about, as text like event times."""

_JOIN: Final = """
WITH known AS (
    SELECT * FROM history WHERE $known_by IS NULL OR write_time <= CAST($known_by AS TIMESTAMP)
    QUALIFY row_number() OVER (PARTITION BY "{key}", event_time ORDER BY write_time DESC) = 1
), numbered AS (SELECT *, row_number() OVER () AS place FROM spine)
SELECT numbered.* EXCLUDE (place), known.event_time AS event_time, {features}
FROM numbered ASOF LEFT JOIN known ON numbered."{key}" = known."{key}" AND numbered.at >= known.event_time
ORDER BY numbered.place
"""


def point_in_time(history: Any, spine: Any, group: FeatureGroup, *, known_by: datetime | None = None) -> Any:
    """Features as they were known.

    Args:
        history: pyarrow.Table or Dataset of the offline store.
        spine: pyarrow.Table with the group's identifier, `at` and any other columns.
        group: Whose history it is.
        known_by: Leaves out what was written later; UTC without a time zone.

    Returns:
        The spine's rows in their order, with `event_time` of the record and the features; null where nothing was known
        or the record had been deleted.
    """
    features = ", ".join(
        f'CASE WHEN known.{IS_DELETED} THEN NULL ELSE known."{name}" END AS "{name}"' for name, _ in group.features
    )
    with duckdb.connect(config={"preserve_insertion_order": True}) as database:
        database.register("history", history)
        database.register("spine", spine)
        statement = _JOIN.format(key=group.identifier, features=features)
        return database.sql(statement, params={"known_by": known_by}).to_arrow_table()


def changed(history: Any, records: Any, group: FeatureGroup) -> Any:
    """The records that the history does not end with already, as a pyarrow.Table; of repeated ones the last."""
    key, names = group.identifier, [name for name, _ in group.features]
    differs = " OR ".join([f"known.{IS_DELETED}", *(f'new."{name}" IS DISTINCT FROM known."{name}"' for name in names)])
    with duckdb.connect() as database:
        database.register("history", history)
        database.register("records", records)
        return database.sql(
            f"""
            WITH known AS (
                SELECT * FROM history
                QUALIFY row_number() OVER (PARTITION BY "{key}", {EVENT_TIME} ORDER BY {WRITE_TIME} DESC) = 1
            ), new AS (
                SELECT * EXCLUDE (place) FROM (SELECT *, row_number() OVER () AS place FROM records)
                QUALIFY row_number() OVER (PARTITION BY "{key}", {EVENT_TIME} ORDER BY place DESC) = 1
            )
            SELECT new.* FROM new LEFT JOIN known USING ("{key}", {EVENT_TIME})
            WHERE known."{key}" IS NULL OR {differs}
            ORDER BY {EVENT_TIME}, "{key}"
            """  # noqa: S608  # names of our own groups
        ).to_arrow_table()
