"""Deliveries as life brings them: the handed reports as tests of their kinds, options for what the default refuses."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from psm_contract.physical import LineCount
from psm_contract.schema import ALIASES, COLUMN_NAMES
from psm_training.__main__ import main
from psm_training.errors import PipelineError
from psm_training.ingest import ingest
from psm_training.lake.place import lake_of, raw_weeks
from psm_training.sources.raw_files import discover
from psm_training.synthetic_files import Order, synthesize
from psm_training.terms import STRICT, Terms
from psm_training.validation.step import load_raw
from psm_training.workspace import Workspace

NAME = "transactions_200801.csv"


def rows(count: int = 300, week: int = 200801, first: int = 1) -> list[dict[str, str]]:
    """Lines of one week, four to a basket."""
    day = f"{date(2008, 2, 25) + timedelta(weeks=week - 200801):%Y%m%d}"
    return [
        dict(
            zip(
                COLUMN_NAMES,
                f"{week},{day},2,9,1,{1 + number / 100},PRD{number:07d},CL{number % 9:05d},DEP00001,"
                f"G00001,D00001,CUST{number // 4:05d},LA,YF,{994100100000000 + (number + first) // 4},M,MM,Top Up,Mixed,"
                f"STORE1,LS,E02".split(","),
                strict=True,
            )
        )
        for number in range(count)
    ]


def text(lines: list[dict[str, str]], header: tuple[str, ...] = COLUMN_NAMES, end: str = "\n", cut: str = ",") -> str:
    return end.join([cut.join(header), *(cut.join(line.values()) for line in lines), ""])


def take(folder: Path, content: str | bytes, terms: Terms = STRICT, name: str = NAME) -> tuple[Workspace, str]:
    """The workspace after a delivery of one file, and what was said."""
    till = folder / "till"
    till.mkdir()
    (till / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    space = Workspace(folder / "out")
    return space, ingest(space, "source-files", till, terms=terms)


def refused(folder: Path, content: str | bytes, terms: Terms = STRICT, name: str = NAME) -> str:
    with pytest.raises(PipelineError) as caught:
        take(folder, content, terms, name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    return str(caught.value)


def test_the_vendors_other_header_is_known(tmp_path: Path) -> None:
    """Report 01."""
    names = {meant: name for name, meant in ALIASES.items()}
    _, told = take(tmp_path, text(rows(), tuple(names.get(name, name) for name in COLUMN_NAMES)))
    assert "300 lines read, 300 kept, 0 quarantined" in told


@pytest.mark.parametrize("quotes", [1, 2], ids=["one stray quote", "two of them"])
@pytest.mark.parametrize("count", [300, 60_000])
def test_a_stray_quote_costs_its_line(tmp_path: Path, quotes: int, count: int) -> None:
    """Report 02: 281 of 300 lines were gone, and 55,000 of 60,000."""
    lines = rows(count)
    for number in range(quotes):
        lines[count // 2 + 40 * number]["PROD_CODE"] = '"PRD0000001'
    space, told = take(tmp_path, text(lines))
    assert f"{count:,} lines read, {count - quotes:,} kept, {quotes} quarantined (has a quote" in told
    (week,) = raw_weeks(space)
    assert week["rows"] == count - quotes


def test_an_exponent_is_no_basket(tmp_path: Path) -> None:
    """Report 04: a spreadsheet merged all baskets into one."""
    lines = [{**line, "BASKET_ID": "9.94100E+14"} for line in rows()]
    assert "300 of 300 lines cannot be used, allowed is 1%: BASKET_ID is no integer (300)" in refused(
        tmp_path, text(lines)
    )


def test_members_of_one_name_are_two_files(tmp_path: Path) -> None:
    """Report 06; also upper case, gzip in the zip, and what is passed over is named."""
    till = tmp_path / "till"
    (till / "2008").mkdir(parents=True)
    with zipfile.ZipFile(till / "2008" / "DUNNHUMBY.ZIP", "w") as packed:
        packed.writestr(f"part1/{NAME}", text(rows()))
        packed.writestr(f"part2/{NAME}", text(rows(week=200802, first=1001)))
        packed.writestr("part3/TRANSACTIONS_200803.CSV", text(rows(week=200803, first=2001)))
        packed.writestr(f"part4/{NAME}.gz", gzip.compress(text(rows(week=200804, first=3001)).encode()))
        packed.writestr("part5/transactions.zip", b"")
        packed.writestr("readme.txt", b"")
    (till / "TRANSACTIONS_200805.CSV").write_text(text(rows(week=200805, first=4001)))
    said: list[str] = []
    told = ingest(Workspace(tmp_path / "out"), "source-files", till, say=said.append)
    assert "1,500 lines of" in told
    place = "2008/DUNNHUMBY.ZIP"
    assert f"{place}/part5/transactions.zip, {place}/readme.txt" in said[0]
    assert [line.partition(":")[0] for line in said[1:]] == [
        f"{place}/part1/{NAME}",
        f"{place}/part2/{NAME}",
        f"{place}/part3/TRANSACTIONS_200803.CSV",
        f"{place}/part4/{NAME}.gz",
        "TRANSACTIONS_200805.CSV",
    ]
    assert "0 files read" in ingest(Workspace(tmp_path / "out"), "source-files", till)


def test_a_file_that_was_moved_is_the_same_file(tmp_path: Path) -> None:
    """Its lines are not read again, and not taken for a second delivery."""
    space, _ = take(tmp_path, text(rows()))
    (tmp_path / "till" / "2008").mkdir()
    (tmp_path / "till" / NAME).rename(tmp_path / "till" / "2008" / NAME)
    assert "0 files read" in ingest(space, "source-files", tmp_path / "till")
    assert [path.name for path in (space.lake / "raw").iterdir()] == [f"2008~1{NAME}.json"]


@pytest.mark.parametrize("end", ["\r\n", "\r", "mixed"])
def test_line_ends_of_every_kind_are_read(tmp_path: Path, end: str) -> None:
    """Report 08."""
    content = text(rows(), end="\n" if end == "mixed" else end)
    if end == "mixed":
        head, middle, tail = content[:5_000], content[5_000:9_000], content[9_000:]
        content = head + middle.replace("\n", "\r\n") + tail.replace("\n", "\r")
    assert "300 lines read, 300 kept, 0 quarantined" in take(tmp_path, content)[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (text(rows(), cut=";"), "apart by semicolons, not by commas"),
        (text(rows(), cut="\t"), "apart by tabs, not by commas"),
        (text(rows()).encode("utf-16"), "is UTF-16"),
        (gzip.compress(text(rows()).encode()), "is gzip; name it .csv.gz"),
        (b"PK\x03\x04 and so on", "a zip or a spreadsheet"),
        (text([]), "has a header and no lines"),
        ("sep=,\n" + text(rows()), "line 1 names none of the 22 columns: 'sep=,'"),
        ("\n" + text(rows()), "line 1 is blank"),
        (text(rows())[:-1], "is cut off: its last line"),
        (text([{**line, "STORE_CODE": "Grün"} for line in rows()]).encode("latin-1"), "is not UTF-8 (300)"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(tmp_path: Path, content: str | bytes, says: str) -> None:
    """One line with the file and what to do, not 22 missing columns."""
    assert says in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda raw: raw[:6] + bytes([raw[6] | 1]) + raw[7:], "is encrypted; unpack the archive"),
        (lambda raw: raw[:8] + b"\x09" + raw[9:], "is packed by Deflate64"),
    ],
    ids=["encrypted", "Deflate64"],
)
def test_an_archive_that_is_not_read_here_says_what_to_do(
    tmp_path: Path, spoil: Callable[[bytes], bytes], says: str
) -> None:
    """And never to run the same command again."""
    path = tmp_path / "dunnhumby.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(NAME, text(rows()))
    raw = path.read_bytes()
    at = raw.index(b"PK\x01\x02") + 2  # the entry of the directory has the same fields, two bytes on
    path.write_bytes(raw[:at] + spoil(raw[at:]))
    with pytest.raises(PipelineError, match=says) as caught:
        discover(path)
    assert "again" not in str(caught.value)


def test_a_damaged_gzip_is_not_to_be_tried_again(tmp_path: Path) -> None:
    """It stays damaged."""
    raw = gzip.compress(text(rows()).encode())
    told = refused(tmp_path, b"\0" + raw[1:], name=f"{NAME}.gz")
    assert "is cut off or damaged" in told
    assert "run the same command" not in told


def test_columns_are_renamed_and_left_out_when_told(tmp_path: Path) -> None:
    """Both names of what is missing and what is unknown are said before."""
    header = tuple({"SPEND": "AMOUNT"}.get(name, name) for name in COLUMN_NAMES)
    content = text([{**line, "ROW": "1"} for line in rows()], (*header, "ROW"))
    (tmp_path / "a").mkdir()
    told = refused(tmp_path / "a", content)
    assert "missing SPEND; unknown AMOUNT, ROW; --rename OLD=NEW" in told
    (tmp_path / "b").mkdir()
    terms = Terms(rename=(("AMOUNT", "SPEND"),), extra_columns=True)
    assert "300 kept" in take(tmp_path / "b", content, terms)[1]


def test_refunds_and_free_goods_are_kept_apart(tmp_path: Path) -> None:
    """Out of silver, counted, and there to be looked at; without the options they are too many bad lines."""
    lines = rows()
    for line in lines[:20]:
        line.update(QUANTITY="-1", SPEND="-2.5")
    for line in lines[20:35]:
        line.update(SPEND="0")
    lines[0]["SHOP_HOUR"] = "31"
    (tmp_path / "a").mkdir()
    assert "or say --refunds or --zero-prices" in refused(tmp_path / "a", text(lines))
    (tmp_path / "b").mkdir()
    space, told = take(tmp_path / "b", text(lines), Terms(refunds=True, zero_prices=True))
    assert (
        "265 kept, 1 quarantined (SHOP_HOUR is outside 0-23: 1), 19 kept apart as refund, 15 kept apart as zero price"
        in told
    )
    (week,) = raw_weeks(space)
    assert (week["rows"], week["apart"]) == (265, {"refund": 19, "zero price": 15})
    with duckdb.connect() as database:
        found = database.execute(
            f"SELECT kind, count(*), sum(SPEND), min(line) FROM '{space.lake}/apart/*.parquet' GROUP BY kind ORDER BY kind"  # noqa: S608  # ours
        ).fetchall()
    assert found == [("refund", 19, -47.5, 3), ("zero price", 15, 0.0, 22)]


def test_other_terms_read_a_file_again(tmp_path: Path) -> None:
    """What was quarantined may be wanted now."""
    lines = rows()
    lines[0]["SPEND"] = "0"
    space, _ = take(tmp_path, text(lines))
    till = tmp_path / "till"
    assert "0 files read" in ingest(space, "source-files", till)
    assert "1 kept apart as zero price" in ingest(space, "source-files", till, terms=Terms(zero_prices=True))
    assert not list((space.lake / "quarantine").glob("*"))


def test_a_day_of_another_week_is_put_aside(tmp_path: Path) -> None:
    """By the seven days that most lines of the week have, whatever calendar that is."""
    lines = rows()
    lines[3]["SHOP_DATE"] = "20080317"
    lines[4]["SHOP_DATE"] = "20080302"
    space, told = take(tmp_path, text(lines))
    assert "1 quarantined (SHOP_DATE is outside the seven days of its SHOP_WEEK: 1)" in told
    assert lake_of(space).silver.weeks()[200801].rows == 299


def test_a_reader_that_loses_a_line_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is counted by itself, not by what the reader returns."""
    monkeypatch.setattr(LineCount, "lines", property(lambda count: count._ends + 1))  # as if one came more
    assert "has 301 lines after its header, and 300 of them were read" in refused(tmp_path, text(rows()))


@pytest.mark.parametrize(
    ("known", "seen"),
    [
        ((), "seen: 200751, 200801, 200802"),
        ((200751,), "seen: 200801, 200802"),
        ((200751, 200801, 200802), None),
    ],
    ids=["none is known", "one is known", "all are known"],
)
def test_a_gap_names_its_weeks_unless_they_are_known(known: tuple[int, ...], seen: str | None) -> None:
    """200752 is followed by 200801."""
    from psm_training.validation import silver  # noqa: PLC0415  # Great Expectations takes seconds to import
    from psm_training.validation.judge import Judge  # noqa: PLC0415  # as above

    (gaps,) = [table for table in silver.TABLES if table.name == "silver gaps"]
    with duckdb.connect() as database:
        database.execute("CREATE TABLE silver AS SELECT unnest([200750, 200752, 200803]) AS SHOP_WEEK")
        load_raw(database, [], known)
        (check,) = Judge(None).judge(database, gaps)
    assert check.passed == (seen is None)
    assert seen is None or check.message.endswith(seen)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ingest", "--source", "synthetic", "--data", "x", "--out", "{0}/out"], "--source synthetic reads no files"),
        (["run", "--source", "synthetic", "--data", "x", "--out", "{0}/out"], "--source synthetic reads no files"),
        (["ingest", "--source", "synthetic", "--refunds", "--out", "{0}/out"], "takes no options of source-files"),
        (["ingest", "--source", "synthetic", "--out", "{0}/file"], "file is no folder"),
        (
            ["ingest", "--source", "source-files", "--data", "x", "--rename", "SPEND", "--out", "{0}/o"],
            "is not OLD=NEW",
        ),
        (
            ["ingest", "--source", "source-files", "--data", "x", "--rename", "A=B", "--out", "{0}/o"],
            "leads to no column",
        ),
        (
            ["ingest", "--source", "source-files", "--data", "x", "--missing-week", "200899", "--out", "{0}/o"],
            "is no week",
        ),
        (["synthesize", "--out", "{0}/s", "--first-week", "200899"], "--first-week 200899 is no week"),
        (["synthesize", "--out", "{0}/s", "--first-week", "200853"], "--first-week 200853 is no week"),
        (["synthesize", "--out", "{0}/file"], "file: File exists"),
        (["split", "--out", "{0}/damaged"], "source.json is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:4]),
)
def test_options_that_make_no_sense_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """Never a traceback, and nothing is done."""
    (tmp_path / "file").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "source.json").write_text("{")
    assert main([argument.format(tmp_path) for argument in arguments]) == 1
    told = capsys.readouterr().err.strip()
    assert says in told
    assert "\n" not in told


def test_no_trials_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line itself."""
    with pytest.raises(SystemExit):
        main(["tune", "--out", "x", "--trials", "0"])
    assert "0 is less than 1" in capsys.readouterr().err


def test_a_damaged_manifest_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the lake's own remedy."""
    space, _ = take(tmp_path, text(rows()))
    manifest = space.silver / "_weeks" / "200801.json"
    manifest.write_text(json.dumps({"week": 200801}))
    assert main(["validate", "--out", str(space.root)]) == 1
    assert "200801.json is damaged" in capsys.readouterr().err


def test_quoted_empty_cells_are_read_as_none(tmp_path: Path) -> None:
    """As the vendor writes them; the bench's files have them too."""
    for name, quoted in (("plain", False), ("quoted", True)):
        synthesize(tmp_path / name, Order(lines=4_000, weeks=2, is_quoted=quoted))
    assert b',"","",' in next((tmp_path / "quoted").glob("*.csv")).read_bytes()
    space = Workspace(tmp_path / "out")
    assert "0 quarantined" in ingest(space, "source-files", tmp_path / "quoted")
