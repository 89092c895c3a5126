"""The resources of a Terraform plan, as far as their price asks for them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from psm_cloud.errors import CloudError


@dataclass(frozen=True)
class Resource:
    """One resource that would exist; attributes that only the apply knows are absent."""

    address: str
    type: str
    values: Mapping[str, Any]

    def with_values(self, **values: Any) -> "Resource":
        """Return it with other attributes."""
        return replace(self, values={**self.values, **values})


@dataclass(frozen=True)
class Planned:
    """What is to be priced."""

    resources: tuple[Resource, ...]
    arguments: Mapping[str, Any]
    """Arguments of module calls that the configuration or a variable gives as a constant, by name."""

    def of(self, *types: str) -> tuple[Resource, ...]:
        """Return the resources of these types."""
        return tuple(found for found in self.resources if found.type in types)


def key_of(address: str) -> str:
    """Return the key of a resource with `for_each`, else nothing."""
    found = re.search(r'\["([^"]+)"\]$', address)
    return found.group(1) if found else ""


def planned(plan: Mapping[str, Any]) -> Planned:
    """Read the JSON of `terraform show -json PLAN`."""
    try:
        root = plan["planned_values"]["root_module"]
    except KeyError as err:
        message = f"the plan has no {err.args[0]}: give the output of `terraform show -json` for a saved plan"
        raise CloudError(message) from err
    resources = tuple(_resources(root))
    if not resources:
        message = "the plan has no resources, so it has no price: plan an environment of terraform/envs"
        raise CloudError(message)
    return Planned(resources, _arguments(plan))


def _resources(module: Mapping[str, Any]) -> Iterator[Resource]:
    for found in module.get("resources", ()):
        if found.get("mode", "managed") == "managed":
            yield Resource(found["address"], found["type"], found.get("values", {}))
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _arguments(plan: Mapping[str, Any]) -> dict[str, Any]:
    variables = {name: given.get("value") for name, given in plan.get("variables", {}).items()}
    found: dict[str, Any] = {}
    calls = plan.get("configuration", {}).get("root_module", {}).get("module_calls", {})
    for call in calls.values():
        for name, variable in call.get("module", {}).get("variables", {}).items():
            found.setdefault(name, variable.get("default"))
        for name, expression in call.get("expressions", {}).items():
            if not isinstance(expression, Mapping):
                continue
            if "constant_value" in expression:
                found[name] = expression["constant_value"]
            elif (references := expression.get("references")) and references[0].startswith("var."):
                found[name] = variables.get(references[0].split(".")[1])
    return found
