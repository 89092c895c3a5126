import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tarballs import END, entry, packed, raw_header, written

from psm_predictor.artifact.archive import Member, read_archive
from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import ArchiveLimits

LIMITS = ArchiveLimits(packed_bytes=100_000, unpacked_bytes=100_000, files=4)


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
