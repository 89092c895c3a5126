"""Terraform's side: what its state knows goes, but for what is kept, which the state forgets first."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psm_cloud.teardown.decide import Keep
from psm_cloud.teardown.scope import Scope
from psm_cloud.terraform import Root


@dataclass(frozen=True)
class EnvironmentDestroyer:
    """`terraform destroy` in one environment."""

    root: Root
    """Initialised."""
    scope: Scope
    keep: Keep

    def destroy(self) -> None:
        """Forget what is kept, destroy the rest."""
        if kept := sorted(kept_addresses(json.loads(self.root.run("show", "-json")), self.scope, self.keep)):
            self.root.run("state", "rm", *kept)
        self.root.destroy()


def kept_addresses(state: Mapping[str, Any], scope: Scope, keep: Keep) -> Iterator[str]:
    """Yield addresses of kept buckets and of their settings, from `terraform show -json`."""
    if not keep.audit:
        return
    for found in _resources(state.get("values", {}).get("root_module", {})):
        values = found.get("values", {})
        if found["type"].startswith("aws_s3_bucket") and scope.is_audit(str(values.get("bucket") or "")):
            yield found["address"]


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (found for found in module.get("resources", ()) if found.get("mode") == "managed")
    for child in module.get("child_modules", ()):
        yield from _resources(child)
