import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

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


def packed(directory: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A tar.gz of the members, however odd they are."""
    path = directory / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
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

    members = read_archive(path, LIMITS, keep={"model.onnx"})

    assert members == {
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
    """An extended header may claim any size; its bytes count like all others."""
    info = entry("small")
    info.pax_headers = {"comment": "x" * 200_000}
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)

    with pytest.raises(ArtifactError, match="unpacks to more than 100000 bytes"):
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
