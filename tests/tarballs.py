"""tar.gz files as nobody would pack them."""

import gzip
import io
import tarfile
from pathlib import Path


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
