import hashlib
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tarballs import END, entry, packed, raw_header, written

from psm_predictor.artifact.archive import read_archive
from psm_predictor.errors import ArtifactError
from psm_predictor.settings import ArchiveLimits

LIMITS = ArchiveLimits(packed_bytes=100_000, unpacked_bytes=100_000, files=4)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("modèle.onnx".encode(), id="letters beyond ASCII"),
        pytest.param("model.onnx\u202egpj".encode(), id="a mark that turns the direction of reading"),
        pytest.param("..\uff0fup".encode(), id="a slash that is none until somebody normalises it"),
        pytest.param(b"model\xff.onnx", id="no UTF-8 at all"),
        pytest.param(b"model\x1b[2J", id="terminal controls"),
        pytest.param(b"model.onnx\n", id="a line break"),
        pytest.param(b"model.onnx ", id="a space at the end"),
        pytest.param(b"C:model", id="a drive"),
        pytest.param(b"", id="no name"),
    ],
)
def test_a_name_is_plain_or_refused(tmp_path: Path, name: bytes) -> None:
    """Names that look alike, or that mean something else to another program."""
    with pytest.raises(ArtifactError, match="the archive is refused") as caught:
        read_archive(written(tmp_path, raw_header(name) + END), LIMITS, keep=())

    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_a_name_ends_at_its_zero_byte(tmp_path: Path) -> None:
    """As in every other reader: what stands behind it is not looked at."""
    path = written(tmp_path, raw_header(b"model.onnx\0/../../etc") + END)

    assert set(read_archive(path, LIMITS, keep=()).members) == {"model.onnx"}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(raw_header(size=b"\x80" + bytes(10) + b"\x01"), id="a size in base 256"),
        pytest.param(raw_header(size=b"\xff" * 12), id="a negative size"),
        pytest.param(raw_header(size=b"-0000000001\0"), id="a minus"),
        pytest.param(raw_header(size=b"0o777"), id="a prefix"),
        pytest.param(raw_header(size=b"99999999999\0"), id="no octal digits"),
        pytest.param(raw_header(magic=b"\0" * 8), id="no magic word"),
        pytest.param(raw_header(magic=b"ustar\x0001"), id="another version"),
        pytest.param(raw_header()[:-1] + b"x", id="a wrong checksum"),
        pytest.param(b"x" * 512, id="no header at all"),
    ],
)
def test_a_header_that_readers_understand_differently_is_refused(tmp_path: Path, header: bytes) -> None:
    """In tarfile a negative size goes backwards after a negative size (CVE-2025-8194); nothing here does."""
    with pytest.raises(ArtifactError, match=r"model\.tar\.gz is not a readable tar\.gz: .*header"):
        read_archive(written(tmp_path, header + END), LIMITS, keep=())


def test_a_name_in_two_parts_is_refused(tmp_path: Path) -> None:
    """POSIX splits names of more than 100 bytes; no member has such a name."""
    path = packed(tmp_path, (entry("a" * 90 + "/" + "b" * 90), b""), layout=tarfile.USTAR_FORMAT)

    with pytest.raises(ArtifactError, match="a name of more than 100 bytes"):
        read_archive(path, LIMITS, keep=())


def test_a_folder_has_no_content(tmp_path: Path) -> None:
    """Some readers skip it, some take it for the next header."""
    path = written(tmp_path, raw_header(b"code/", b"00000001000\0", b"5") + raw_header(b"evil") + END)

    with pytest.raises(ArtifactError, match="folder 'code/' has content"):
        read_archive(path, LIMITS, keep=())


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    """A POSIX extended header before a file."""
    padded = records + bytes(-len(records) % 512)
    return raw_header(b"pax", b"%011o\0" % len(records), kind) + padded


@pytest.mark.parametrize(
    "key", [b"path", b"linkpath", b"size", b"GNU.sparse.major", b"SCHILY.realsize", b"charset", b"PATH"]
)
def test_an_extended_header_may_not_say_what_a_header_says(tmp_path: Path, key: bytes) -> None:
    """Another name, another size, holes: readers that know it and readers that do not would see two archives."""
    record = b" " + key + b"=1\n"
    length = len(record) + 2
    path = written(tmp_path, extended(b"%d" % length + record) + raw_header() + END)

    with pytest.raises(ArtifactError, match="an extended header sets"):
        read_archive(path, LIMITS, keep=())


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(b"12 mtime=1.5", id="no end of line"),
        pytest.param(b"99 mtime=1.5\n", id="longer than the header"),
        pytest.param(b"3 mtime=1.5\n", id="shorter than its key"),
        pytest.param(b"mtime=1.5\n", id="no length"),
        pytest.param(b"-1 mtime=1.5\n", id="a negative length"),
        pytest.param(b"0" * 60_000, id="digits without end"),
    ],
)
def test_a_damaged_extended_header_is_refused(tmp_path: Path, records: bytes) -> None:
    """At once: tarfile searched such headers in quadratic time (CVE-2024-6232)."""
    with pytest.raises(ArtifactError, match="an extended header has a damaged record"):
        read_archive(written(tmp_path, extended(records) + raw_header() + END), LIMITS, keep=())


def test_extended_headers_do_not_follow_one_another_for_ever(tmp_path: Path) -> None:
    """They are no members, so the limit of members does not end them."""
    path = written(tmp_path, extended(b"") * 3 + raw_header() + END)

    with pytest.raises(ArtifactError, match="an extended header for an extended header"):
        read_archive(path, LIMITS, keep=())


@pytest.mark.parametrize(
    "layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "GNU", "PAX"]
)
def test_archives_of_common_programs_are_read(tmp_path: Path, layout: int) -> None:
    """People repackage; times of a fraction of a second make extended headers."""
    folder = tmp_path / "in"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_bytes(b"print()")
    (folder / "model.onnx").write_bytes(b"onnx" * 1000)
    os.utime(folder / "model.onnx", ns=(1_500_000_001, 1_500_000_001))
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=layout) as archive:
        archive.add(folder, arcname=".")

    members = read_archive(path, ArchiveLimits(), keep={"model.onnx"}).members

    assert set(members) == {"code/inference.py", "model.onnx"}
    assert members["model.onnx"].data == b"onnx" * 1000


@given(st.lists(st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=20)), max_size=4))
def test_what_is_accepted_is_what_tarfile_sees(edits: list[tuple[int, bytes]]) -> None:
    """Two readers never take two different files for the same member, however the bytes were changed."""
    plain = bytearray(raw_header(b"a", b"00000000005\0") + b"hello".ljust(512, b"\0") + raw_header(b"b") + END)
    for at, piece in edits:
        plain[at : at + len(piece)] = piece[: max(len(plain) - at, 0)]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), bytes(plain))
        try:
            ours = read_archive(path, LIMITS, keep=("a", "b")).members
        except ArtifactError:
            return
        with tarfile.open(path) as archive:
            theirs = {info.name.removeprefix("./"): archive.extractfile(info) for info in archive if info.isfile()}
            content = {name: file.read() for name, file in theirs.items() if file is not None}

    assert {name: member.sha256 for name, member in ours.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in content.items()
    }
