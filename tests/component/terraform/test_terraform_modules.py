"""Each module's own tests, by the real provider."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest
from terraform_plans import MODULES, TREE

from psm_cloud.terraform import Terraform

pytestmark = pytest.mark.component


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_asks_of_aws_is_as_its_tests_say(module: str, terraform: Terraform) -> None:
    said = terraform.at(TREE / module).init(backend=False).test()
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", said), said


@pytest.mark.parametrize(
    "module", [path.parent for path in sorted(TREE.glob("modules/*/variables.tf"))], ids=lambda path: path.name
)
def test_every_validation_is_seen_to_refuse(module: Path) -> None:
    """A run with expect_failures names the variable."""
    with (module / "variables.tf").open() as text:
        said: dict[str, Any] = hcl2.load(text)
    named = [(label.strip('"'), block) for one in said["variable"] for label, block in one.items()]
    validated = {name for name, block in named if isinstance(block, dict) and "validation" in block}
    tests = "".join(path.read_text() for path in module.glob("tests/*.tftest.hcl"))
    refused = set(re.findall(r"var\.(\w+)", " ".join(re.findall(r"expect_failures\s*=\s*\[(.*?)\]", tests, re.DOTALL))))
    assert validated - refused == set()
