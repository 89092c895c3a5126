"""PURE. Counts how long a candidate was tried: only what this process watched, while a pod of it was placed and running.

A pod that no node takes, an image that cannot be pulled, a quota, a store that does not answer, an operator that was away and
a clock that jumped are no time in which a version could have proved itself.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from psm_operator.decide.packages import is_same
from psm_operator.decide.scene import artifact_of, proving_workload
from psm_operator.values import ArtifactState, Observation, Proof

LONGEST_LOOK: Final = timedelta(seconds=15)
"""No two looks count for more, however far apart the clock says they are."""


def fold_proof(before: Proof, seen: Observation) -> Proof:
    """Count one more look; another version, another choice of it or another spec begins anew."""
    candidate, now = seen.status.candidate, seen.now
    if candidate is None or candidate.proving_since is None:
        return Proof()
    about = candidate.version, candidate.proving_since, seen.generation
    if before.about != about:
        before = Proof(about)
    pods = proving_workload(seen, seen.status)
    is_there = artifact_of(seen, candidate.version).state is ArtifactState.PRESENT
    if pods is None or not is_same(pods, candidate) or not pods.is_tried or not is_there:
        return replace(before, seen_at=None)
    passed = now - before.seen_at if before.seen_at is not None else timedelta(0)
    gained = min(max(passed, timedelta(0)), LONGEST_LOOK)
    return replace(before, watched=before.watched + gained, seen_at=now)
