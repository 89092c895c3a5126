"""model.tar.gz with the same bytes for the same members: no time, no user, one order."""

import gzip
import io
import tarfile
from collections.abc import Mapping


def pack(members: Mapping[str, bytes]) -> bytes:
    """Packs members in the order of their names.

    Args:
        members: Relative path -> content.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(members[name]))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)


def unpack(raw: bytes) -> dict[str, bytes]:
    """Members of an archive that we packed ourselves; archives from elsewhere are the predictor's to check."""
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
        return {entry.name: content.read() for entry in tar if (content := tar.extractfile(entry)) is not None}
