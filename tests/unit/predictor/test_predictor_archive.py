import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_predictor.artifact.archive import Member, read_archive
from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import ArchiveLimits

LIMITS = ArchiveLimits(packed_bytes=100_000, unpacked_bytes=100_000, files=4)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """A member without content."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


def packed(directory: Path, *members: tuple[tarfile.TarInfo, bytes], layout: int = tarfile.DEFAULT_FORMAT) -> Path:
    """A tar.gz of the members, however odd they are."""
    path = directory / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=layout) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_files_come_with_their_digest_and_only_wanted_ones_with_their_bytes(tmp_path: Path) -> None:
    """What is not needed is hashed and dropped; folders are passed over."""
    path = packed(
        tmp_path,
        (entry("code", tarfile.DIRTYPE), b""),
        (entry("./code/inference.py"), b"print()"),
        (entry("model.onnx"), b"onnx"),
    )

    archive = read_archive(path, LIMITS, keep={"model.onnx"})

    assert archive.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert archive.members == {
        "code/inference.py": Member(hashlib.sha256(b"print()").hexdigest(), None),
        "model.onnx": Member(hashlib.sha256(b"onnx").hexdigest(), b"onnx"),
    }


@pytest.mark.parametrize(
    ("info", "finding"),
    [
        pytest.param(entry("/etc/passwd"), "points out of the archive", id="an absolute path"),
        pytest.param(entry("../up"), "points out of the archive", id="a path that goes up"),
        pytest.param(entry("code/../../up"), "points out of the archive", id="a path that goes up later"),
        pytest.param(entry("..", tarfile.DIRTYPE), "points out of the archive", id="a folder that goes up"),
        pytest.param(entry("..\\up"), "points out of the archive", id="a path of another system"),
        pytest.param(entry("model.onnx", tarfile.SYMTYPE, "/etc/passwd"), "is a link", id="a symbolic link"),
        pytest.param(entry("model.onnx", tarfile.LNKTYPE, "manifest.json"), "is a link", id="a hard link"),
        pytest.param(entry("null", tarfile.CHRTYPE), "a device", id="a character device"),
        pytest.param(entry("disk", tarfile.BLKTYPE), "a device", id="a block device"),
        pytest.param(entry("pipe", tarfile.FIFOTYPE), "a device", id="a pipe"),
        pytest.param(entry("model.onnx", tarfile.GNUTYPE_SPARSE), "sparse", id="a sparse file"),
        pytest.param(entry("model.onnx", tarfile.CONTTYPE), "only plain files", id="a contiguous file"),
        pytest.param(entry("././@LongLink", tarfile.GNUTYPE_LONGNAME), "a long name", id="a GNU long name"),
        pytest.param(entry("././@LongLink", tarfile.GNUTYPE_LONGLINK), "a long name", id="a GNU long link"),
        pytest.param(entry("code//x"), "points out of the archive or has a name", id="an empty part"),
        pytest.param(entry("code/./x"), "points out of the archive or has a name", id="a part that says nothing"),
        pytest.param(entry("code/"), "the name of a folder", id="a file that is called like a folder"),
        pytest.param(entry("."), "the name of a folder", id="a file that is called like the archive's own folder"),
    ],
)
def test_what_no_model_needs_is_refused(tmp_path: Path, info: tarfile.TarInfo, finding: str) -> None:
    """The member is named, and nothing is written anywhere."""
    path = packed(tmp_path, (info, b""))

    with pytest.raises(ArtifactError, match="the archive is refused") as caught:
        read_archive(path, LIMITS, keep=())

    assert caught.value.reason is Reason.ARCHIVE_REJECTED
    assert finding in str(caught.value)
    assert [child.name for child in tmp_path.iterdir()] == ["model.tar.gz"]


def raw_header(
    name: bytes = b"model.onnx", size: bytes = b"00000000000\0", kind: bytes = b"0", magic: bytes = b"ustar\x0000"
) -> bytes:
    """A tar header with any bytes in its fields, and the right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size.ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = magic
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def written(directory: Path, plain: bytes) -> Path:
    """A tar.gz of these bytes, whatever they are."""
    path = directory / "model.tar.gz"
    path.write_bytes(gzip.compress(plain))
    return path


END = bytes(1024)


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


def test_a_repeated_name_is_refused(tmp_path: Path) -> None:
    """Two readers could take two different files for the same member."""
    path = packed(tmp_path, (entry("a"), b"1"), (entry("./a"), b"2"))

    with pytest.raises(ArtifactError, match="'a' comes twice"):
        read_archive(path, LIMITS, keep=())


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    """Counted before they are read."""
    path = packed(tmp_path, *((entry(f"f{number}"), b"") for number in range(5)))

    with pytest.raises(ArtifactError, match="more than 4 members"):
        read_archive(path, LIMITS, keep=())


@pytest.mark.parametrize("keep", [("big",), ()], ids=["a file that is kept", "a file that is only hashed"])
def test_a_bomb_is_stopped_where_its_bytes_come_out(tmp_path: Path, keep: tuple[str, ...]) -> None:
    """200 kB of zeros pack to almost nothing; the limit counts what comes out."""
    path = packed(tmp_path, (entry("big"), bytes(200_000)))
    assert path.stat().st_size < 1000

    with pytest.raises(ArtifactError, match="unpacks to more than 100000 bytes") as caught:
        read_archive(path, LIMITS, keep=keep)

    assert caught.value.reason is Reason.ARTIFACT_TOO_LARGE


def test_a_bomb_in_a_header_is_stopped(tmp_path: Path) -> None:
    """An extended header may claim any size, and is read as a whole."""
    info = entry("small")
    info.pax_headers = {"comment": "x" * 200_000}
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)

    with pytest.raises(ArtifactError, match="an extended header has 200016 bytes, 65536 are allowed"):
        read_archive(path, ArchiveLimits(), keep=())


def test_a_size_that_is_not_there_reserves_nothing(tmp_path: Path) -> None:
    """Sixty gigabytes are claimed, nothing follows."""
    path = written(tmp_path, raw_header(size=b"777777777777"))

    with pytest.raises(ArtifactError, match="it ends 68719476735 bytes too early"):
        read_archive(path, LIMITS, keep={"model.onnx"})


def good(directory: Path) -> bytes:
    return packed(directory, (entry("model.onnx"), b"onnx")).read_bytes()


def blocks_of_nothing(raw: bytes) -> bytes:
    """The same archive behind 200,000 empty deflate blocks: a megabyte of packed bytes from which nothing comes."""
    packer = zlib.compressobj(wbits=-15)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # of gzip
    plain = gzip.decompress(raw)
    empty = b"\x00\x00\x00\xff\xff" * 200_000
    tail = zlib.crc32(plain).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    return head + empty + packer.compress(plain) + packer.flush() + tail


def test_packed_bytes_without_content_are_passed_over_in_linear_time(tmp_path: Path) -> None:
    """Nothing is kept of them, and they count to the limit of the packed size."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(blocks_of_nothing(good(tmp_path)))

    assert path.stat().st_size > 1_000_000
    assert set(read_archive(path, LIMITS, keep=()).members) == {"model.onnx"}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        pytest.param(lambda raw: raw + raw, "bytes follow the gzip data", id="a second gzip member"),
        pytest.param(lambda raw: raw + gzip.compress(b""), "bytes follow the gzip data", id="an empty gzip member"),
        pytest.param(lambda raw: gzip.compress(b"") * 1000 + raw, "too early", id="a thousand empty members first"),
        pytest.param(lambda raw: raw + bytes(512), "bytes follow the gzip data", id="zeros after the end"),
        pytest.param(lambda raw: raw + b"evil", "bytes follow the gzip data", id="something after the end"),
        pytest.param(lambda raw: raw[:-8] + bytes(8), "incorrect data check", id="a wrong checksum at the end"),
        pytest.param(lambda raw: raw[:-4] + bytes(4), "incorrect length check", id="a wrong length at the end"),
        pytest.param(
            lambda raw: gzip.compress(gzip.decompress(raw) + raw_header(b"evil") + END),
            "something follows the end",
            id="members after the archive's end",
        ),
        pytest.param(lambda raw: gzip.compress(gzip.decompress(raw)[:1024]), "too early", id="no end of the archive"),
    ],
)
def test_an_archive_ends_once(tmp_path: Path, change: Callable[[bytes], bytes], finding: str) -> None:
    """What a second reader could read on is refused."""
    path = tmp_path / "model.tar.gz"
    path.write_bytes(change(good(tmp_path)))

    with pytest.raises(ArtifactError, match=finding):
        read_archive(path, LIMITS, keep=())


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


def cut_in_half(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def cut_inside(raw: bytes) -> bytes:
    plain = gzip.decompress(raw)
    return gzip.compress(plain[:700])


def flip_a_byte(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(cut_in_half, id="truncated gzip"),
        pytest.param(cut_inside, id="truncated tar in a whole gzip"),
        pytest.param(flip_a_byte, id="a flipped byte"),
        pytest.param(lambda _raw: b"", id="empty"),
        pytest.param(lambda _raw: b"not a tar.gz", id="something else"),
        pytest.param(gzip.decompress, id="a tar without gzip"),
    ],
)
def test_a_damaged_archive_is_refused_with_one_kind_of_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever the libraries raise, the reader gets one type that names the file."""
    path = packed(tmp_path, (entry("model.onnx"), hashlib.sha256(b"noise").digest() * 30))
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(ArtifactError, match=r"model\.tar\.gz is not a readable tar\.gz") as caught:
        read_archive(path, LIMITS, keep={"model.onnx"})

    assert caught.value.reason is Reason.ARCHIVE_REJECTED
