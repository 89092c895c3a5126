"""npz files that somebody made to harm: refused before they cost anything."""

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from psm_contract.npz import read_npz


def saved(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # arrays of any kind
    return buffer.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    """An array file with any header."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@given(
    arrays_of.arrays(
        st.sampled_from([np.dtype(kind) for kind in ("<f4", "<f8", "<i4", "<i8", "|i1", "|b1", "<U7")]),
        arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=None,
    ),
    st.sampled_from(["C", "F"]),
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(array: NDArray[Any], order: Literal["C", "F"]) -> None:
    """Types, shapes and orders; the arrays cannot be written to."""
    wanted = array.copy(order=order)

    found = read_npz(saved(a=wanted), ["a"])["a"]

    assert (found.dtype, found.shape, found.flags.writeable) == (wanted.dtype, wanted.shape, False)
    assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f")


LARGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }"


@pytest.mark.parametrize(
    ("header", "finding"),
    [
        pytest.param(LARGE % "999999999999", "does not fit", id="a shape of eight terabytes"),
        pytest.param("{'descr': '<U999999', 'fortran_order': False, 'shape': (), }", "does not fit", id="a huge text"),
        pytest.param("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "no header", id="objects"),
        pytest.param("{'descr': '|V9', 'fortran_order': False, 'shape': (1,), }", "no header", id="raw bytes"),
        pytest.param("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }", "no header", id="records"),
        pytest.param("(" * 5000, "no header", id="brackets that a parser would follow"),
        pytest.param("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "no header", id="less than nothing"),
    ],
)
def test_a_header_is_matched_and_never_believed(header: str, finding: str) -> None:
    """Nothing is reserved for what a header claims."""
    with pytest.raises(ValueError, match=finding):
        read_npz(zipped({"a.npy": npy(header)}), ["a"])


def test_a_packed_array_is_refused_before_it_is_unpacked() -> None:
    """Ten megabytes of zeros pack to ten kilobytes; arrays are stored as they are."""
    array = npy(LARGE % 1_250_000, bytes(10_000_000))

    with pytest.raises(ValueError, match="claim 10000074 bytes"):
        read_npz(zipped({"a.npy": array}, zipfile.ZIP_DEFLATED), ["a"])


def test_a_packed_array_is_refused_even_if_it_fits() -> None:
    """What does not shrink is no bomb, but still a kind of file that we do not write."""
    noise = np.random.default_rng(1).bytes(800)

    with pytest.raises(ValueError, match="a is packed"):
        read_npz(zipped({"a.npy": npy(LARGE % 100, noise)}, zipfile.ZIP_DEFLATED) + b"", ["a"])


def overlapping(raw: bytes) -> bytes:
    """The directory's entries all point at the first array."""
    end = raw.rindex(b"PK\x05\x06")
    first = raw.index(b"PK\x01\x02")
    entry = raw[first : raw.index(b"PK\x01\x02", first + 4)]
    copies = b"".join(entry.replace(b"a.npy", name) for name in (b"a.npy", b"b.npy"))
    counts = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(copies), first, 0)
    return raw[:first] + copies + counts + raw[end:][22:]


def test_arrays_that_share_their_bytes_are_refused() -> None:
    """Many entries over the same bytes would unpack to many times the file."""
    raw = overlapping(saved(a=np.zeros(1000), b=np.zeros(1)))

    with pytest.raises(ValueError, match=r"claim|no npz file"):
        read_npz(raw, ["a", "b"])


def encrypted(raw: bytes) -> bytes:
    first = raw.index(b"PK\x01\x02")
    return raw[:6] + b"\x01" + raw[7 : first + 8] + b"\x01" + raw[first + 9 :]


def test_a_directory_of_a_million_entries_is_refused_before_it_is_read() -> None:
    """Each of its 46 bytes would become half a kilobyte."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 16)
    directory = entry * 100_000
    raw = directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)

    with pytest.raises(ValueError, match="directory has 4600000 bytes for 1 arrays"):
        read_npz(raw, ["a"])


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(encrypted, id="encrypted"),
        pytest.param(lambda raw: raw + b"x", id="something after the end"),
        pytest.param(lambda raw: raw[:-30], id="cut off"),
        pytest.param(lambda raw: raw.replace(b"a.npy", b"b.npy"), id="another name"),
        pytest.param(lambda raw: raw.replace(b"a.npy", b"b.npy", 1), id="two names for one array"),
        pytest.param(lambda raw: raw[:200] + b"\xff" + raw[201:], id="a flipped byte"),
        pytest.param(lambda _raw: zipped({"a.npy": npy(LARGE % 0)}, comment=b"a comment"), id="a comment"),
        pytest.param(lambda _raw: b"", id="nothing"),
    ],
)
def test_a_damaged_file_is_one_kind_of_error(damage: Callable[[bytes], bytes]) -> None:
    """Whatever the libraries raise."""
    with pytest.raises(ValueError, match=r"a|npz"):
        read_npz(damage(saved(a=np.arange(50.0))), ["a"])


@pytest.mark.parametrize("point", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF], ids=hex)
def test_text_that_is_none_is_refused(point: int) -> None:
    """Code points that Python's strings, or UTF-8, do not have."""
    raw = saved(a=np.array(["ab"])).replace(b"a\0\0\0b\0\0\0", b"a\0\0\0" + struct.pack("<I", point))

    with pytest.raises(ValueError, match=r"no text|no npz file"):
        read_npz(repaired(raw), ["a"])


def repaired(raw: bytes) -> bytes:
    """The same array with a checksum that fits."""
    start = raw.index(b"\x93NUMPY")
    return zipped({"a.npy": raw[start : raw.index(b"PK\x01\x02")]})
