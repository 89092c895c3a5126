"""Source files into silver: what is packed, late, repeated or broken, and that nothing half-written is ever visible."""

from __future__ import annotations

import gzip
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake.place import lake_of, raw_weeks
from psm_training.lake.storage import Storage
from psm_training.lake.views import open_lake
from psm_training.sources.raw_files import fingerprint
from psm_training.synthetic_files import Order, synthesize
from psm_training.workspace import Workspace

WEEKS = 4
LINES = 8_000


@pytest.fixture
def till(tmp_path: Path) -> Path:
    """Four weeks, a file each."""
    return made(tmp_path / "till")


def made(folder: Path, fault: str | None = None) -> Path:
    synthesize(folder, Order(lines=LINES, weeks=WEEKS, fault=fault))
    return folder


def take(space: Workspace, data: Path) -> str:
    return ingest(space, "source-files", str(data))


def contents(space: Workspace) -> dict[str, bytes]:
    """Every file of silver but the manifests, which name the raw files."""
    folder = space.silver
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def rows(space: Workspace) -> int:
    with open_lake(space) as database:
        return int(database.execute("SELECT count(*) FROM silver").fetchall()[0][0])


def quarantined(space: Workspace) -> list[tuple[str, int, str, str]]:
    with duckdb.connect() as database:
        return database.execute(
            f"SELECT file, line, reason, raw FROM '{space.lake}/quarantine/*.parquet' ORDER BY ALL"  # noqa: S608  # ours
        ).fetchall()


def zipped(folder: Path, till: Path) -> Path:
    with zipfile.ZipFile(folder / "dunnhumby_part_1.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in till.glob("transactions*.csv"):
            packed.write(path, f"inner/{path.name}")
    return folder


def gzipped(folder: Path, till: Path) -> Path:
    for path in till.glob("transactions*.csv"):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return folder


def in_one(folder: Path, till: Path) -> Path:
    paths = sorted(till.glob("transactions*.csv"))
    bodies = [path.read_bytes().partition(b"\n") for path in paths]
    target = folder / "mine.csv"
    target.write_bytes(bodies[0][0] + b"\n" + b"".join(body for _, _, body in bodies))
    return target


def shuffled(folder: Path, till: Path) -> Path:
    """Lines and columns in another order."""
    for path in till.glob("transactions*.csv"):
        header, *lines = [line.split(",")[::-1] for line in path.read_text().splitlines()]
        random.Random(0).shuffle(lines)  # noqa: S311  # a test
        (folder / path.name).write_text("\n".join(",".join(line) for line in [header, *lines]) + "\n")
    return folder


@pytest.mark.parametrize("packed", [zipped, gzipped, in_one, shuffled])
def test_the_same_lines_are_the_same_bytes_however_they_come(
    tmp_path: Path, till: Path, packed: Callable[[Path, Path], Path]
) -> None:
    """A zip, gzipped files, one file for all weeks, lines and columns in another order."""
    plain, other, folder = Workspace(tmp_path / "a"), Workspace(tmp_path / "b"), tmp_path / "packed"
    folder.mkdir()
    take(plain, till)
    take(other, packed(folder, till))
    assert contents(plain) == contents(other)
    assert len(contents(plain)) == WEEKS * 12


def test_what_was_taken_is_not_read_again(tmp_path: Path, till: Path) -> None:
    """Not even when the file's time changed; a new file is the only one that is read."""
    space = Workspace(tmp_path / "out")
    late = till / "transactions_200804.csv"
    later = tmp_path / late.name
    late.rename(later)
    assert "3 files read" in take(space, till)
    assert "0 files read" in take(space, till)
    before = fingerprint(till)
    first = till / "transactions_200801.csv"
    first.touch()
    assert fingerprint(till) != before
    assert "0 files read" in take(space, till)
    later.rename(late)
    assert "1 files read" in take(space, till)


def test_late_lines_make_only_their_weeks_again(tmp_path: Path, till: Path) -> None:
    """The outcome is the same as if they had come in time, in silver and in gold."""
    whole, late = Workspace(tmp_path / "whole"), Workspace(tmp_path / "late")
    take(whole, till)
    path = till / "transactions_200802.csv"
    header, *lines = path.read_text().splitlines(keepends=True)
    baskets = sorted({line.split(",")[14] for line in lines})
    held_back = set(baskets[::50])
    path.write_text(header + "".join(line for line in lines if line.split(",")[14] not in held_back))
    take(late, till)
    weeks = {week.week: week for week in lake_of(late).silver.weeks().values()}
    (till / "transactions_late.csv").write_text(
        header + "".join(line for line in lines if line.split(",")[14] in held_back)
    )
    assert "1 files read" in take(late, till)
    again = lake_of(late).silver.weeks()
    assert [week for week in weeks if weeks[week] != again[week]] == [200802]
    with open_lake(whole) as one, open_lake(late) as other:
        everything = "FROM silver ORDER BY ALL"
        assert one.execute(everything).fetchall() == other.execute(everything).fetchall()
    assert (
        whole.silver.joinpath("_weeks/200803.json").read_bytes()
        == late.silver.joinpath("_weeks/200803.json").read_bytes()
    )
    assert {file.sha256 for file in again[200802].files} == {
        file.sha256 for file in lake_of(whole).silver.weeks()[200802].files
    }


def test_a_file_that_comes_again_replaces_what_it_brought(tmp_path: Path, till: Path) -> None:
    """Its old lines go, also those of weeks that it no longer holds; other files of its weeks are read again."""
    space, direct = Workspace(tmp_path / "out"), Workspace(tmp_path / "direct")
    path, other = till / "transactions_200802.csv", till / "transactions_200803.csv"
    header, *lines = path.read_text().splitlines(keepends=True)
    right = other.read_text()
    other.write_text(right + "".join(lines[:40]))
    baskets = {line.split(",")[14] for line in lines[:40]}
    rest = [line for line in lines[40:] if line.split(",")[14] not in baskets]
    path.write_text(header + "".join(rest))
    take(space, till)
    path.write_text(header + "".join(rest[:-50]))
    assert "1 files read" in take(space, till)
    take(direct, till)
    assert silver_of(space) == silver_of(direct)
    other.write_text(right)
    take(space, till)
    assert rows(space) == sum(len(set(file.read_text().splitlines())) - 1 for file in till.glob("*.csv"))
    other.unlink()
    path.write_text(header + "".join(lines))
    assert "1 files read" in take(space, till)


def silver_of(space: Workspace) -> list[tuple[object, ...]]:
    with open_lake(space) as database:
        return database.execute("FROM silver ORDER BY ALL").fetchall()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("truncated", r"transactions_200804.csv is cut off: its last line .* has no line break; deliver it again"),
        ("schema", "transactions_200804.csv does not have the 22 columns of the schema: missing SPEND; unknown AMOUNT"),
        ("duplicate-week", "transactions_200804_again.csv holds the same lines as transactions_200804.csv; remove one"),
        ("nan-flood", r"transactions_200804.csv: .* lines cannot be used, allowed is 1%: SPEND is empty"),
    ],
)
def test_a_planted_fault_stops_at_its_file_and_the_next_run_completes(tmp_path: Path, fault: str, message: str) -> None:
    """A clear error; the weeks before are whole, of the bad file nothing is there; a good delivery completes it."""
    space, direct = Workspace(tmp_path / "out"), Workspace(tmp_path / "direct")
    good, bad = made(tmp_path / "good"), made(tmp_path / "bad", fault)
    with pytest.raises(PipelineError, match=message):
        take(space, bad)
    silver = lake_at_of(space)
    weeks = [200801, 200802, 200803] + ([200804] if fault == "duplicate-week" else [])
    assert sorted(silver) == weeks
    assert not list(space.lake.rglob(".*"))
    with pytest.raises(PipelineError, match=message):
        take(space, bad)
    (bad / "transactions_200804.csv").write_bytes((good / "transactions_200804.csv").read_bytes())
    (bad / "transactions_200804_again.csv").unlink(missing_ok=True)
    take(space, bad)
    take(direct, good)
    assert contents(space) == contents(direct)


def lake_at_of(space: Workspace) -> dict[int, object]:
    from psm_training.lake.place import lake_at  # noqa: PLC0415  # the one use

    return dict(lake_at(str(space.lake)).silver.weeks())


def test_a_week_that_comes_twice_with_other_lines_is_refused(tmp_path: Path, till: Path) -> None:
    """Not the same bytes, but the same baskets."""
    text = (till / "transactions_200802.csv").read_text()
    (till / "transactions_other.csv").write_text(text.replace(",SS,", ",MS,"))
    with pytest.raises(PipelineError, match=r"brings .* baskets that transactions_200802.csv brought before: the week"):
        take(Workspace(tmp_path / "out"), till)


def test_bad_rows_are_put_aside_with_the_reason(tmp_path: Path) -> None:
    """File, line number as an editor counts, reason, and the line itself; the rest goes on."""
    space, till = Workspace(tmp_path / "out"), made(tmp_path / "till", "bad-rows")
    take(space, till)
    found = quarantined(space)
    lines = (till / "transactions_200804.csv").read_text().splitlines()
    assert [raw for _, _, _, raw in found] == [lines[line - 1] for _, line, _, _ in found]
    assert {reason for _, _, reason, _ in found} == {
        "QUANTITY is no integer",
        "SPEND is outside 0.001-1000000",
        "SHOP_HOUR is outside 0-23",
        "PROD_CODE is empty",
        "BASKET_ID is empty",
        "has 3 cells, the header names 22",
    }
    assert [line for _, line, _, _ in found] == [number + 1 for number in range(200, len(lines), 200)]
    week = next(week for week in raw_weeks(space) if week["week"] == 200804)
    assert sum(week["quarantined"].values()) == len(found)
    assert week["rows"] == week["lines"] - len(found) - week["duplicates"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-20], "cut off or damaged"),
        (lambda raw: raw[:300] + bytes([raw[300] ^ 0xFF]) + raw[301:], "cut off or damaged"),
    ],
    ids=["its end is missing", "a byte is another"],
)
@pytest.mark.parametrize("packed", [zipped, gzipped])
def test_a_damaged_archive_is_refused(
    tmp_path: Path, till: Path, packed: Callable[[Path, Path], Path], damage: Callable[[bytes], bytes], message: str
) -> None:
    """Archives bring their own sums."""
    folder = tmp_path / "packed"
    folder.mkdir()
    for path in packed(folder, till).iterdir():
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PipelineError, match=message):
        take(Workspace(tmp_path / "out"), folder)


def test_an_empty_file_is_refused(tmp_path: Path, till: Path) -> None:
    """It is a delivery that did not happen."""
    (till / "transactions_200803.csv").write_text("")
    with pytest.raises(PipelineError, match=r"transactions_200803\.csv is empty; deliver it again"):
        take(Workspace(tmp_path / "out"), till)


@pytest.mark.parametrize("writes", range(0, 120, 17))
def test_a_disk_that_fails_at_any_write_leaves_whole_weeks(
    tmp_path: Path, till: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Every week that is visible is whole, and the next run completes the rest to the same bytes."""
    space, direct = Workspace(tmp_path / "out"), Workspace(tmp_path / "direct")
    take(direct, in_one(tmp_path, till))
    left = writes
    really = Storage.write

    def failing(self: Storage, name: str, raw: bytes | memoryview) -> None:
        nonlocal left
        if left == 0:
            raise PipelineError("no space left")
        left -= 1
        really(self, name, raw)

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "write", failing)
        try:
            take(space, tmp_path / "mine.csv")
        except PipelineError as err:
            assert "no space left" in str(err)  # noqa: PT017  # late writes may be beyond the last one
    if space.source.exists() or space.silver.exists():
        weeks = lake_at_of(space)
        want = lake_of(direct).silver.weeks()
        assert all(weeks[week] == want[week] for week in weeks)
    take(space, tmp_path / "mine.csv")
    assert contents(space) == contents(direct)
    lake_of(space).silver.verify()


def test_two_sources_never_mix(tmp_path: Path, till: Path) -> None:
    """The workspace's own lake is emptied for another source; a lake that was named is not."""
    space = Workspace(tmp_path / "out")
    ingest(space, "synthetic")
    take(space, till)
    assert sorted(lake_of(space).silver.weeks()) == [200801, 200802, 200803, 200804]
    lake = str(tmp_path / "lake")
    ingest(space, "source-files", str(till), lake)
    with pytest.raises(PipelineError, match="holds source-files; choose another --lake for synthetic"):
        ingest(space, "synthetic", lake=lake)
