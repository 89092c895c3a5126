"""Whose a resource is. Pure: nothing is touched that does not carry the tags of this project and environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PROJECT: Final = "PriceSensitivityMLOps"
TERRAFORMS: Final = "Component"
"""Every module of terraform/ sets this tag; what has it goes with `terraform destroy`."""
OPERATOR: Final = "psm-operator"
"""`ManagedBy` of what the operator made for a model."""
MODEL_HASH: Final = r"-[0-9a-f]{8}"


@dataclass(frozen=True)
class Scope:
    """One environment of one account."""

    environment: str
    account: str
    region: str
    project: str = PROJECT

    @property
    def name(self) -> str:
        """What has to be typed to delete it, and how its resources' names begin."""
        return f"mlops-{self.environment}"

    @property
    def prefix(self) -> str:
        """How names of its resources begin; `mlops-dev-`, which `mlops-dev2-x` does not."""
        return f"{self.name}-"

    @property
    def tags(self) -> dict[str, str]:
        """What everything of it carries."""
        return {"Project": self.project, "Environment": self.environment}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags are of this environment."""
        return all(tags.get(key) == value for key, value in self.tags.items())

    def is_terraforms(self, tags: Mapping[str, str]) -> bool:
        """Whether `terraform destroy` takes it."""
        return self.owns(tags) and TERRAFORMS in tags

    def is_of_a_model(self, name: str, tags: Mapping[str, str]) -> bool:
        """Whether the operator made it for a model of this environment, by its name, the project and its own mark."""
        return (
            name.startswith(self.prefix) and tags.get("Project") == self.project and tags.get("ManagedBy") == OPERATOR
        )

    def is_models_dashboard(self, name: str) -> bool:
        """Whether it is the dashboard of a model; dashboards are named, not tagged."""
        return name.startswith(self.prefix) and re.search(rf"{MODEL_HASH}$", name) is not None

    def is_state(self, bucket: str) -> bool:
        """Whether the bucket keeps Terraform's state, without which nobody knows what is left."""
        return "-terraform-state-" in bucket or "-tfstate-" in bucket

    def is_audit(self, bucket: str) -> bool:
        """Whether the bucket keeps the audit trail."""
        return bucket.startswith((f"{self.prefix}logs-", f"{self.prefix}audit-", f"{self.prefix}trail-"))
