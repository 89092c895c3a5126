"""Feature groups and point-in-time joins: nothing from later is ever known."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_spaces import copied

from psm_contract.features import basket_features, feature_schema
from psm_contract.tables import Tables
from psm_predictor.rows import RowWriter
from psm_training.__main__ import main
from psm_training.feature_store.compute import basket_records, household_history
from psm_training.feature_store.groups import (
    EVENT_TIME,
    HISTORY_DAYS,
    HOUSEHOLD_HISTORY,
    IS_DELETED,
    WRITE_TIME,
    FeatureGroup,
    group_named,
)
from psm_training.feature_store.groups import basket_features as basket_group
from psm_training.feature_store.history import point_in_time
from psm_training.feature_store.local import LocalFeatureStore
from psm_training.lake.storage import open_storage
from psm_training.lake.views import open_lake
from psm_training.load import load_gold
from psm_training.workspace import Workspace

GROUP = FeatureGroup("visits", "household", (("baskets", "Integral"),), "x")
START = datetime(2017, 1, 1)  # noqa: DTZ001  # UTC by contract


def when(hours: int) -> str:
    return (START + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


Row = tuple[str, int, int, bool, int]
"""Household, event hour, hour of the write, whether it is a deletion, baskets."""

KEYS = st.sampled_from(["1", "2"])
HOURS = st.integers(0, 6)
ROWS = st.lists(
    st.tuples(KEYS, HOURS, HOURS, st.booleans(), st.integers(0, 99)), max_size=12, unique_by=lambda r: r[:3]
)
SPINE = st.lists(st.tuples(KEYS, HOURS), min_size=1, max_size=6)


def log(rows: list[Row]) -> Any:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return pa.table(
        {
            "household": pa.array(columns[0], pa.string()),
            EVENT_TIME: pa.array([when(hour) for hour in columns[1]], pa.string()),
            "baskets": pa.array(columns[4], pa.int64()),
            WRITE_TIME: pa.array([START + timedelta(hours=hour) for hour in columns[2]], pa.timestamp("us")),
            IS_DELETED: pa.array(columns[3], pa.bool_()),
        }
    )


def joined(rows: list[Row], spine: list[tuple[str, int]], known_by: int | None = None) -> list[int | None]:
    keys, hours = zip(*spine, strict=True)
    table = pa.table({"household": list(keys), "at": [when(hour) for hour in hours]})
    limit = None if known_by is None else START + timedelta(hours=known_by)
    answer = point_in_time(log(rows), table, GROUP, known_by=limit)
    assert answer.select(["household", "at"]).equals(table)
    found: list[int | None] = answer["baskets"].to_pylist()
    return found


def as_defined(rows: list[Row], key: str, at: int, known_by: int | None = None) -> int | None:
    """The definition, without a database."""
    candidates = [row for row in rows if row[0] == key and row[1] <= at and (known_by is None or row[2] <= known_by)]
    if not candidates:
        return None
    _, _, _, deleted, value = max(candidates, key=lambda row: (row[1], row[2]))
    return None if deleted else value


@settings(max_examples=30, deadline=None)
@given(ROWS, SPINE, st.none() | HOURS)
def test_the_join_is_what_its_definition_says(
    rows: list[Row], spine: list[tuple[str, int]], known_by: int | None
) -> None:
    """Latest event time that is not later than asked, of its versions the one written last; order is nothing."""
    expected = [as_defined(rows, key, at, known_by) for key, at in spine]
    assert joined(rows, spine, known_by) == expected
    assert joined(rows[::-1], spine, known_by) == expected


@settings(max_examples=15, deadline=None)
@given(ROWS, ROWS, HOURS)
def test_what_becomes_true_later_changes_no_answer(rows: list[Row], more: list[Row], at: int) -> None:
    """The law that keeps the future out of training."""
    future = [(key, at + 1 + event, write, deleted, value) for key, event, write, deleted, value in more]
    spine = [("1", at), ("2", at)]
    assert joined(rows + future, spine) == joined(rows, spine)


@settings(max_examples=15, deadline=None)
@given(ROWS, ROWS, HOURS)
def test_what_is_written_later_changes_no_answer_as_of_before(rows: list[Row], more: list[Row], by: int) -> None:
    """A training set of last month can be made again."""
    late = [(key, event, by + 1 + write, deleted, value) for key, event, write, deleted, value in more]
    known = [row for row in rows if row[2] <= by]
    spine = [("1", 6), ("2", 3)]
    assert joined(known + late, spine, by) == joined(known, spine)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.tuples(KEYS, HOURS, st.integers(0, 9)), min_size=1, max_size=4), max_size=4))
def test_online_is_the_log_at_the_end_of_time(
    tmp_path_factory: pytest.TempPathFactory, puts: list[list[tuple[str, int, int]]]
) -> None:
    """Both stores tell the same of the newest record, whatever was put in whatever order."""
    store = local_store(tmp_path_factory.mktemp("store"))
    store.create(GROUP)
    for rows in puts:
        keys, hours, values = zip(*rows, strict=True)
        store.put(GROUP, pa.table({"household": keys, EVENT_TIME: [when(hour) for hour in hours], "baskets": values}))
    spine = pa.table({"household": ["1", "2"], "at": [when(99)] * 2})
    offline = point_in_time(store.history(GROUP), spine, GROUP).to_pylist()
    online = store.get(GROUP, ["1", "2"])
    assert [row["baskets"] for row in offline] == [online.get(key, {}).get("baskets") for key in ("1", "2")]


def local_store(folder: Path) -> LocalFeatureStore:
    now: Iterator[datetime] = (START + timedelta(seconds=number) for number in count())
    return LocalFeatureStore(open_storage(folder / "offline"), folder / "online.sqlite", lambda: next(now))


def silver(database: duckdb.DuckDBPyConnection, seed: int, baskets: int) -> list[tuple[str, datetime, float, int]]:
    """A table of random baskets; household, day, spend and items of each. Household 0 stops after three weeks."""
    rng = np.random.default_rng(seed)
    made = []
    for household in rng.integers(3, size=baskets).tolist():
        day = START + timedelta(days=int(rng.integers(150 if household else 20)))
        made.append((str(household), day, float(rng.integers(1, 50)), int(rng.integers(1, 9))))
    database.execute(
        "CREATE TABLE silver (CUST_CODE VARCHAR, SHOP_DATE BIGINT, SHOP_WEEK BIGINT, BASKET_ID BIGINT, SPEND DOUBLE, QUANTITY BIGINT)"
    )
    for number, (household, day, spend, items) in enumerate(made):
        week = (day - START).days // 7
        database.execute(
            "INSERT INTO silver VALUES (?, ?, ?, ?, ?, ?)",
            [household, int(day.strftime("%Y%m%d")), week, number, spend, items],
        )
    return made


@pytest.mark.parametrize("seed", range(3))
def test_a_household_is_known_by_its_past_alone(seed: int) -> None:
    """Every record is what the lines of the eight weeks before its time give; from the first basket on, at every week's end."""
    with duckdb.connect() as database:
        baskets = silver(database, seed, 60)
        rows = household_history(database).to_pylist()
    weeks: dict[int, datetime] = {}
    for _, day, _, _ in baskets:
        number = (day - START).days // 7
        weeks[number] = max(weeks.get(number, day), day)
    expected = {}
    for household in {basket[0] for basket in baskets}:
        mine = [basket for basket in baskets if basket[0] == household]
        for last in weeks.values():
            known = last + timedelta(days=1)
            if min(day for _, day, _, _ in mine) < known:
                past = [b for b in mine if known - timedelta(days=HISTORY_DAYS) <= b[1] < known]
                event_time = known.strftime("%Y-%m-%dT00:00:00Z")
                expected[household, event_time] = (len(past), sum(b[2] for b in past), sum(b[3] for b in past))
    found = {(row["household"], row[EVENT_TIME]): (row["baskets"], row["spend"], row["items"]) for row in rows}
    assert found == expected
    assert any(number == 0 for number, _, _ in expected.values())


@pytest.mark.parametrize("name", ["household-history", "basket-features-v2"])
def test_groups_have_names_and_types_that_sagemaker_takes(name: str) -> None:
    """Letters, digits, hyphens and underscores; no reserved name; no name twice."""
    group = group_named(name)
    names = [feature for feature, _ in group.definitions]
    assert group.name == name
    assert len(set(names)) == len(names)
    assert not {WRITE_TIME, IS_DELETED, "api_invocation_time"} & set(names)
    assert all(part.isalnum() for feature in (name, *names) for part in feature.replace("_", "-").split("-"))
    assert max(map(len, (name, *names))) <= 64


def test_an_unknown_group_is_named() -> None:
    """With what there is."""
    with pytest.raises(ValueError, match="no feature group 'households'; there are household-history"):
        group_named("households")


@pytest.fixture(scope="module")
def space(synthetic_gold: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Synthetic baskets with the tables of v1."""
    space = copied(synthetic_gold, tmp_path_factory.mktemp("features"))
    assert main(["features", "--recipe", "v1", "--out", str(space.root)]) == 0
    return space


def test_a_stored_basket_is_what_the_model_sees(space: Workspace, tmp_path: Path) -> None:
    """Through the stores and the predictor's decoder back to the very numbers of training."""
    tables = Tables.from_npz(space.of("v1").tables.read_bytes())
    gold = load_gold(space)[0]
    with open_lake(space) as database:
        records = basket_records(database, gold, tables)
    store, group = local_store(tmp_path), basket_group("v1")
    store.create(group)
    store.put(group, records)
    chosen = np.arange(0, len(gold), len(gold) // 200)
    online = store.get(group, [str(gold.basket[row]) for row in chosen])
    features = feature_schema(tables)
    rows = [tuple(online[str(gold.basket[row])].get(feature.name) for feature in features) for row in chosen]
    np.testing.assert_array_equal(
        RowWriter(features, lambda _: None).matrix(rows), basket_features(gold.lines, tables)[chosen]
    )


def test_the_command_ingests_and_answers(space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newest by key, and as known at a time; before the first week's end nothing was known."""
    store = ("--store", str(tmp_path / "store"))
    assert main(["feature-store", "ingest", "--out", str(space.root), *store]) == 0
    with open_lake(space) as database:
        household, first, last = database.execute(
            "SELECT CUST_CODE, min(SHOP_DATE), max(SHOP_DATE) FROM silver WHERE CUST_CODE IS NOT NULL GROUP BY ALL ORDER BY 1 LIMIT 1"
        ).fetchall()[0]
    capsys.readouterr()
    assert main(["feature-store", "get", "household-history", household, *store]) == 0
    assert f'"last_basket_date": {last}' in capsys.readouterr().out
    first_day = datetime.strptime(str(first), "%Y%m%d").replace(tzinfo=UTC).strftime("%Y-%m-%dT12:00:00Z")
    assert main(["feature-store", "get", "household-history", household, "--at", first_day, *store]) == 0
    assert '"baskets": null' in capsys.readouterr().out
    assert main(["feature-store", "get", "household-history", household, "--at", "yesterday", *store]) == 1
    assert HOUSEHOLD_HISTORY.name == "household-history"
