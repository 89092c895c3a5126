"""Policy documents of a Terraform module as `terraform test` plans them: every ARN is known, because its runs say so."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_cloud.terraform import Terraform

MODULES: Final = Path(__file__).parent.parent / "terraform/modules"
RUNS: Final = {
    "iam": "roles",
    "lake": "buckets",
    "events": "schedules",
    "audit": "trail",
    "secrets": "secrets",
    "cluster": "roles_of_pods_are_narrow",
    "network": "as_an_environment_wants_it",
}
"""Module -> the run of its tests whose plan is asked."""

DOCUMENTS: Final = ("policy", "assume_role_policy")
"""Attributes that hold a policy."""


@dataclass(frozen=True)
class Planned:
    """What one run of a module's tests plans.

    Attributes:
        resources: Address -> attributes.
    """

    resources: Mapping[str, Mapping[str, Any]]

    def policy(self, address: str) -> dict[str, Any]:
        """The rights of a role, or the policy of a resource."""
        return self._document(address, "policy")

    def trust(self, address: str) -> dict[str, Any]:
        """Who may take a role."""
        return self._document(address, "assume_role_policy")

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every policy that is known, by address and attribute."""
        return {
            f"{address}.{name}": json.loads(attributes[name])
            for address, attributes in self.resources.items()
            for name in DOCUMENTS
            if attributes.get(name) and '"Statement"' in attributes[name]
        }

    def _document(self, address: str, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.resources[address][name])
        return document


def planned_by(terraform: Terraform, module: str, run: str) -> Planned:
    """What a run of `tests/<module>.tftest.hcl` plans; terraform is what `offline` gives.

    Raises:
        TerraformError: A run failed.
        LookupError: There is no such run.
    """
    with tempfile.TemporaryDirectory(prefix="psm-policies-") as folder:
        copy = Path(folder) / module
        shutil.copytree(MODULES / module, copy, ignore=shutil.ignore_patterns(".terraform*"))
        _keep(copy / f"tests/{module}.tftest.hcl", run)
        root = terraform.at(copy)
        try:
            said = root.init(backend=False).test("-json", "-verbose", f"-filter=tests/{module}.tftest.hcl")
        finally:
            root.forget()
    (event,) = (json.loads(line) for line in said.splitlines() if '"type":"test_plan"' in line)
    changes = event["test_plan"]["resource_changes"]
    return Planned({change["address"]: change["change"]["after"] or {} for change in changes})


def _keep(file: Path, run: str) -> None:
    """Leave one run in a file of tests: a plan comes with megabytes of the provider's schema."""
    head, *runs = file.read_text().split('\nrun "')
    found = [text for text in runs if text.startswith(f'{run}"')]
    if not found:
        raise LookupError(f"{file.name} has no run {run}")
    file.write_text(f'{head}\nrun "{found[0]}')
