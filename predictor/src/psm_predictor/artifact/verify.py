"""Second step: proves that the archive is the one that was registered and that its files are the manifest's.

Called by `loading` between fetch and load. Runs nothing from the archive. Blocking.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from psm_contract.manifest import JOBLIB, MANIFEST, ONNX, TABLES, TREES, Manifest, ManifestError
from psm_predictor.artifact.archive import Member, read_archive
from psm_predictor.artifact.fetch import FetchedArtifact
from psm_predictor.errors import ArtifactError, Reason
from psm_predictor.settings import ArchiveLimits

_KEPT: Final = frozenset({MANIFEST, ONNX, TABLES, TREES})
_MOST_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""A manifest has some 200 kB; parsed JSON takes many times its bytes."""
_MOST_FINDINGS: Final = 2000  # characters; a manifest may be wrong in a million places


@dataclass(frozen=True, slots=True)
class VerifiedArtifact:
    """An archive whose every byte is accounted for; only `verify` makes one.

    Attributes:
        manifest: The manifest.
        onnx: Bytes of model.onnx.
        tables: Bytes of tables.npz.
        trees: Bytes of trees.npz, if the archive has them.
        joblib: Bytes of model.joblib, a pickle, if the caller asked for them and the archive has them.
    """

    manifest: Manifest
    onnx: bytes
    tables: bytes
    trees: bytes | None = None
    joblib: bytes | None = None


def verify(fetched: FetchedArtifact, limits: ArchiveLimits, *, keep_joblib: bool = False) -> VerifiedArtifact:
    """Checks digest, members, manifest and the digest of every member, in this order.

    Raises:
        ArtifactError: The first thing that is not as it should be.
    """
    if fetched.sha256 != fetched.expected_sha256:
        raise ArtifactError(
            Reason.DIGEST_MISMATCH,
            f"artifact {fetched.source} has sha256 {fetched.sha256}, the package says {fetched.expected_sha256}; "
            "register the model again",
        )
    archive = read_archive(fetched.path, limits, _KEPT | {JOBLIB} if keep_joblib else _KEPT)
    if archive.sha256 != fetched.expected_sha256:
        raise ArtifactError(Reason.DIGEST_MISMATCH, f"{fetched.path} was changed while it was read; start again")
    manifest = _manifest(archive.members)
    _check_digests(archive.members, manifest)
    return VerifiedArtifact(
        manifest=manifest,
        onnx=_bytes(archive.members, ONNX),
        tables=_bytes(archive.members, TABLES),
        trees=_bytes(archive.members, TREES) if TREES in archive.members else None,
        joblib=_bytes(archive.members, JOBLIB) if keep_joblib and JOBLIB in archive.members else None,
    )


def _manifest(members: Mapping[str, Member]) -> Manifest:
    if MANIFEST not in members:
        raise ArtifactError(
            Reason.MANIFEST_INVALID,
            f"the archive has no {MANIFEST}, it holds {sorted(members)}; package the model again",
        )
    raw = _bytes(members, MANIFEST)
    if len(raw) > _MOST_MANIFEST_BYTES:
        raise ArtifactError(
            Reason.MANIFEST_INVALID, f"{MANIFEST} has {len(raw)} bytes, {_MOST_MANIFEST_BYTES} are allowed"
        )
    try:
        return Manifest.from_json(raw)
    except ManifestError as err:
        raise ArtifactError(Reason.MANIFEST_INVALID, str(err)[:_MOST_FINDINGS]) from err
    except RecursionError as err:
        raise ArtifactError(Reason.MANIFEST_INVALID, f"{MANIFEST} is nested beyond reason") from err


def _check_digests(members: Mapping[str, Member], manifest: Manifest) -> None:
    present = set(members) - {MANIFEST}
    if missing := sorted(set(manifest.files) - present):
        raise ArtifactError(
            Reason.ARCHIVE_REJECTED, f"the archive lacks {', '.join(missing)}, named by its manifest; package it again"
        )
    if extra := sorted(present - set(manifest.files)):
        raise ArtifactError(
            Reason.ARCHIVE_REJECTED, f"the archive holds {', '.join(extra)}, unknown to its manifest; package it again"
        )
    for name, expected in manifest.files.items():
        if members[name].sha256 != expected:
            raise ArtifactError(
                Reason.DIGEST_MISMATCH,
                f"{name} in the archive has sha256 {members[name].sha256}, the manifest says {expected}; package it again",
            )


def _bytes(members: Mapping[str, Member], name: str) -> bytes:
    data = members[name].data
    if data is None:
        raise ArtifactError(Reason.ARCHIVE_REJECTED, f"{name} was not read")
    return data
