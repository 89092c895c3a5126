"""The ConfigMap of integrations/ carries the very scripts that are tested."""

import pytest
import yaml
from argocd_scripts import ACTIONS, CONFIG_MAP, DISCOVERY, HEALTH, config_map


def test_the_config_map_carries_the_scripts(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--golden-rewrite", default=False):
        CONFIG_MAP.write_text(config_map(), encoding="utf-8")
    assert config_map() == CONFIG_MAP.read_text(encoding="utf-8"), "run `make golden` and review"
    data = yaml.safe_load(config_map())["data"]
    actions = yaml.safe_load(data["resource.customizations.actions.retail.mlops_PriceSensitivityModel"])
    assert data["resource.customizations.health.retail.mlops_PriceSensitivityModel"] == HEALTH
    assert actions["discovery.lua"] == DISCOVERY
    assert {entry["name"]: entry["action.lua"] for entry in actions["definitions"]} == ACTIONS
