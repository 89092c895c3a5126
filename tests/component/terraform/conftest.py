"""What the modules plan, for tests of policies."""

from collections.abc import Mapping

import pytest
from planned_policies import RUNS, Planned, planned_by

from psm_cloud.terraform import Terraform


@pytest.fixture(scope="session")
def planned(terraform: Terraform) -> Mapping[str, Planned]:
    """Module -> what one run of its tests plans."""
    return {module: planned_by(terraform, module, run) for module, run in RUNS.items()}
