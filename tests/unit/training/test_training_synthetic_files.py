"""Synthetic Source Files: what was ordered, twice the same, and spoilt as asked."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from psm_contract.schema import COLUMN_NAMES
from psm_training.__main__ import main
from psm_training.commands import synthesize as command
from psm_training.errors import PipelineError
from psm_training.sources.synthetic_baskets import bayes_accuracy, load_silver, week_index, week_number
from psm_training.synthetic_faults import FAULTS
from psm_training.synthetic_files import DRIFTS, SUMMARY, TRUTH, Order, synthesize

SMALL = 6_000


def digests(folder: Path) -> Mapping[str, str]:
    """Name and sha256 of every file with lines."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.csv"))}


def ask(query: str, **values: Any) -> tuple[Any, ...]:
    """The first row of the answer."""
    with duckdb.connect() as database:
        row = database.execute(query, values).fetchone()
    assert row is not None
    return row


def test_the_same_order_gives_the_same_bytes(tmp_path: Path) -> None:
    """And another seed gives others."""
    for name, seed in (("one", 4), ("two", 4), ("other", 5)):
        synthesize(tmp_path / name, Order(lines=SMALL, weeks=4, seed=seed))
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert list(one) == [f"transactions_{week}.csv" for week in range(200801, 200805)]
    assert one == two
    assert not set(one.values()) & set(other.values())
    assert (tmp_path / "one" / TRUTH).read_bytes() == (tmp_path / "two" / TRUTH).read_bytes()


def test_one_file_holds_what_the_weeks_hold(tmp_path: Path) -> None:
    """Line for line, with one header."""
    synthesize(tmp_path / "weeks", Order(lines=SMALL, weeks=3))
    synthesize(tmp_path / "one", Order(lines=SMALL, weeks=3, is_one_file=True))
    weeks = [path.read_text().splitlines() for path in sorted((tmp_path / "weeks").glob("*.csv"))]
    assert {lines[0] for lines in weeks} == {",".join(COLUMN_NAMES)}
    whole = (tmp_path / "one" / "transactions.csv").read_text().splitlines()
    assert whole == [weeks[0][0], *(line for lines in weeks for line in lines[1:])]


def test_the_summary_is_what_is_there(tmp_path: Path) -> None:
    """Lines, baskets, bytes, and the best accuracy by the truth that lies beside the files."""
    summary = synthesize(tmp_path, Order(lines=SMALL, weeks=5))
    assert json.loads((tmp_path / SUMMARY).read_text()) == summary
    assert summary["lines"] == pytest.approx(SMALL, rel=0.1)
    assert summary["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("*.csv"))
    lines, baskets = ask("SELECT count(*), count(DISTINCT BASKET_ID) FROM read_csv($f)", f=str(tmp_path / "*.csv"))
    assert (lines, baskets) == (summary["lines"], summary["baskets"])
    best = "SELECT avg(greatest(LA, MM, UM)), count(DISTINCT BASKET_ID) FROM read_parquet($f)"
    assert ask(best, f=str(tmp_path / TRUTH)) == (pytest.approx(summary["bayes_accuracy"], abs=1e-4), baskets)


def test_days_lie_in_their_weeks(tmp_path: Path) -> None:
    """Also over the turn of a year, and in the weeks before the first one: 117 weeks end in 200819, as the vendor's."""
    synthesize(tmp_path, Order(lines=3_000, weeks=117, first_week=200607))
    assert (tmp_path / "transactions_200819.csv").exists()
    off, first, weeks = ask(
        "WITH line AS (SELECT *, strptime(CAST(SHOP_DATE AS VARCHAR), '%Y%m%d') AS day FROM read_csv($f)) "
        "SELECT count(*) FILTER (dayofweek(day) <> SHOP_WEEKDAY - 1), min(day) FILTER (SHOP_WEEK = 200801), "
        "count(DISTINCT (SHOP_WEEK, date_trunc('week', day + INTERVAL 1 DAY))) FROM line",
        f=str(tmp_path / "*.csv"),
    )
    assert (off, weeks) == (0, 117)
    assert "20080224" <= f"{first:%Y%m%d}" <= "20080301"


@pytest.mark.parametrize("number", [200607, 200652, 200701, 200752, 200801, 200852, 200901])
def test_weeks_are_counted_there_and_back(number: int) -> None:
    """Years have 52 weeks."""
    assert week_number(week_index(number)) == number


def test_dearer_shelves_say_nothing_about_the_class(tmp_path: Path) -> None:
    """Prices are a third up; how well one could do stays."""
    summary = synthesize(tmp_path, Order(lines=60_000, weeks=8, drift="price", from_week=200805))
    before, after = ask(
        "SELECT avg(SPEND / QUANTITY) FILTER (SHOP_WEEK < 200805), avg(SPEND / QUANTITY) FILTER (SHOP_WEEK >= 200805) "
        "FROM read_csv($f)",
        f=str(tmp_path / "*.csv"),
    )
    assert after / before == pytest.approx(1.3, abs=0.03)
    assert summary["bayes_accuracy_after"] == pytest.approx(summary["bayes_accuracy_before"], abs=0.01)


def test_larger_baskets_say_more(tmp_path: Path) -> None:
    """A mix with more full shops is easier."""
    summary = synthesize(tmp_path, Order(lines=60_000, weeks=8, drift="mix"))
    assert summary["changed_from"] == 200807
    assert summary["bayes_accuracy_after"] > summary["bayes_accuracy_before"] + 0.03


def test_worse_labels_are_harder(tmp_path: Path) -> None:
    """A regression bounds what any model can reach."""
    summary = synthesize(tmp_path, Order(lines=60_000, weeks=8, regress=True))
    assert summary["bayes_accuracy_after"] < summary["bayes_accuracy_before"] - 0.15


def test_the_pipelines_own_synthetic_source_knows_its_best_accuracy() -> None:
    """Over the labelled test baskets."""
    with duckdb.connect() as database:
        load_silver(database)
        assert 0.75 < bayes_accuracy(database) < 0.9
        columns = [row[0] for row in database.execute("DESCRIBE silver").fetchall()]
    assert tuple(columns) == COLUMN_NAMES


def spoilt(folder: Path, fault: str) -> tuple[Path, Path]:
    """The last file without and with the fault."""
    for name, planted in (("good", None), ("bad", fault)):
        synthesize(folder / name, Order(lines=SMALL, weeks=2, fault=planted))
    return folder / "good" / "transactions_200802.csv", folder / "bad" / "transactions_200802.csv"


def test_a_truncated_file_ends_within_a_line(tmp_path: Path) -> None:
    """What is left is what was there."""
    good, bad = spoilt(tmp_path, "truncated")
    left = bad.read_text()
    assert good.read_text().startswith(left)
    assert 0 < left.splitlines()[-1].count(",") < len(COLUMN_NAMES) - 1


def test_a_changed_schema_is_in_the_header_alone(tmp_path: Path) -> None:
    """The lines are the same."""
    good, bad = (path.read_text().splitlines() for path in spoilt(tmp_path, "schema"))
    assert "AMOUNT" in bad[0]
    assert "SPEND" not in bad[0]
    assert good[1:] == bad[1:]


def test_a_week_that_comes_twice_is_a_second_file(tmp_path: Path) -> None:
    """Which a source finds under its pattern."""
    good, bad = spoilt(tmp_path, "duplicate-week")
    again = bad.with_name("transactions_200802_again.csv")
    assert good.read_bytes() == bad.read_bytes() == again.read_bytes()


def test_a_flood_of_nan_takes_every_second_price(tmp_path: Path) -> None:
    """And nothing else."""
    good, bad = (path.read_text().splitlines() for path in spoilt(tmp_path, "nan-flood"))
    changed = [pair for pair in zip(good, bad, strict=True) if pair[0] != pair[1]]
    assert len(changed) == (len(good) - 1) // 2
    assert all(",NaN," in line for _, line in changed)


def test_bad_rows_are_few_and_of_every_kind(tmp_path: Path) -> None:
    """One in two hundred; the last kind ends too early."""
    good, bad = (path.read_text().splitlines() for path in spoilt(tmp_path, "bad-rows"))
    changed = [line for line, was in zip(bad, good, strict=True) if line != was]
    assert len(changed) == (len(good) - 1) // 200
    assert sum(line.count(",") < len(COLUMN_NAMES) - 1 for line in changed) == len(changed) // 6
    assert any(",two," in line for line in changed)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (Order(lines=0), "0 lines in 52 weeks"),
        (Order(weeks=4, drift="mix", from_week=200801), "nothing can change from week 200801 on"),
        (Order(weeks=4, regress=True, from_week=200805), "the weeks are 200801 to 200804"),
    ],
    ids=["no lines", "a change from the start", "a change after the end"],
)
def test_an_order_that_makes_no_sense_is_refused(tmp_path: Path, order: Order, message: str) -> None:
    """Before anything is written."""
    with pytest.raises(PipelineError, match=message):
        synthesize(tmp_path / "out", order)
    assert not (tmp_path / "out").exists()


def test_two_orders_are_not_mixed(tmp_path: Path) -> None:
    """A folder with transactions is left alone."""
    synthesize(tmp_path, Order(lines=SMALL, weeks=1))
    with pytest.raises(PipelineError, match=r"transactions_200801\.csv exists; name an empty folder"):
        synthesize(tmp_path, Order(lines=SMALL, weeks=2))
    assert list(digests(tmp_path)) == ["transactions_200801.csv"]


def test_the_command_offers_what_there_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every drift and every fault by its name; the result says what can be reached."""
    assert tuple(DRIFTS) == command.DRIFTS
    assert tuple(FAULTS) == command.FAULTS
    arguments = ["synthesize", "--out", str(tmp_path), "--lines", "2000", "--weeks", "2", "--fault", "bad-rows"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0.7 < told["bayes_accuracy"] < 0.95
    assert told["fault"].startswith("bad-rows: ")
