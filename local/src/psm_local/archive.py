"""Write a container image archive (docker-archive format) from a few files, without any image tool."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_image(target: Path, name: str, files: Mapping[str, bytes], entrypoint: Sequence[str], arch: str) -> Path:
    """Write an image of one layer with the given executables; return the archive's path."""
    layer = _tar({path.lstrip("/"): content for path, content in files.items()}, mode=0o755)
    config = {
        "architecture": arch,
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "psm-local"}],
    }
    encoded = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    members = {"layer.tar": layer, config_name: encoded, "manifest.json": json.dumps(manifest).encode()}
    target.write_bytes(_tar(members, mode=0o644))
    return target


def _tar(members: Mapping[str, bytes], *, mode: int) -> bytes:
    """Return a tar of the members, the same bytes for the same content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = mode
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
