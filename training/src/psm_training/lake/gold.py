"""Gold: one row per basket, made week by week from silver; only weeks whose silver changed are made again."""

from collections.abc import Mapping

import duckdb

from psm_training.lake import expressions
from psm_training.lake.manifests import Week, digest_of
from psm_training.lake.place import Lake
from psm_training.lake.schema import GOLD_COLUMNS, GOLD_ORDER, SILVER_TYPES
from psm_training.lake.views import MEMORY_LIMIT, view_of
from psm_training.lake.writing import write_weeks


def stale(lake: Lake) -> list[Week]:
    """Weeks of gold that silver has moved away from: to be made, or dropped where silver has them no more."""
    silver, made = lake.silver.weeks(), lake.gold.weeks()
    dropped = [made[week] for week in made if week not in silver]
    return sorted([*_wanted(silver, made), *dropped], key=lambda week: week.week)


def write_gold(lake: Lake) -> list[int]:
    """Brings gold up to date with silver.

    Args:
        lake: With silver.

    Returns:
        Weeks that were made.
    """
    silver, made = lake.silver.weeks(), lake.gold.weeks()
    fresh = _wanted(silver, made)
    if fresh:
        with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
            chosen = {week.week: silver[week.week] for week in fresh}
            view_of(database, "silver", lake.silver, SILVER_TYPES, chosen)
            partitions = {key: rows for week in chosen.values() for key, rows in week.partitions().items()}
            write_weeks(database, lake.gold, _statement(), order=GOLD_ORDER, partitions=partitions, weeks=fresh)
    lake.gold.drop(set(made) - set(silver))
    return [week.week for week in fresh]


def _statement() -> str:
    return expressions.sql(expressions.baskets(expressions.silver()).select(*GOLD_COLUMNS))


def _wanted(silver: Mapping[int, Week], made: Mapping[int, Week]) -> list[Week]:
    """Weeks that are not made from what silver holds now, or not by this statement; without their files."""
    statement = _statement()
    weeks = [Week(week.week, digest_of([week.digest, statement])) for week in silver.values()]
    return [week for week in weeks if week.week not in made or made[week.week].inputs != week.inputs]
