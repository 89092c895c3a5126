"""Terraform for tests: the real AWS provider, started once, and the plan of each environment without an account."""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from psm_cloud import offline as answering
from psm_cloud.offline import offline, offline_plan
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Plan, Terraform

ROOT = Path(__file__).parents[1]
TREE = ROOT / "terraform"
ENVIRONMENTS = tuple(sorted(path.parent.name for path in TREE.glob("envs/*/main.tf")))
MODULES = tuple(sorted(path.parent.relative_to(TREE).as_posix() for path in TREE.glob("**/tests")))
"""Every directory with tests of its own."""
_KEPT_PLANS = 8


@pytest.fixture(scope="session")
def terraform() -> Iterator[Terraform]:
    """Terraform with a provider that runs already; one command after the other."""
    with offline(Terraform.found(read_settings())) as started:
        yield started


@pytest.fixture(scope="session")
def plans(terraform: Terraform) -> dict[str, Plan]:
    """What an apply from empty would make, by environment: `terraform show -json` of its plan.

    Plans are kept in the user's cache by what they are made of, for workers and commands that want the same.
    """
    folder = terraform.cache / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{_digest(terraform)}.json"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = {name: offline_plan(terraform, TREE, name) for name in ENVIRONMENTS}
            kept.write_text(json.dumps(made))
            for old in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)[:-_KEPT_PLANS]:
                old.unlink()
        read: dict[str, Plan] = json.loads(kept.read_text())
    return read


def _digest(terraform: Terraform) -> str:
    """Name everything that a plan depends on."""
    said = hashlib.sha256(f"{terraform.version} {terraform.mirror} {Path(answering.__file__).read_text()}".encode())
    for file in sorted(path for path in TREE.rglob("*") if path.suffix in {".tf", ".tfvars", ".hcl"}):
        said.update(f"{file.relative_to(TREE)}\0".encode() + file.read_bytes())
    return said.hexdigest()[:16]
