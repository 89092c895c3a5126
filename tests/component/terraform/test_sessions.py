"""How long workflows want their roles, against how long the roles may be had."""

from collections.abc import Iterator, Mapping
from typing import Final

import pytest
import yaml
from pipeline_steps import WORKFLOWS
from planned_policies import Planned

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

DEFAULT_S: Final = 3600
"""Of a session that nobody asks to be longer, and of a role that says nothing (IAM API reference, CreateRole)."""
ROLES: Final = {"plan", "apply", "release", "model"}


def asked() -> Iterator[tuple[str, int]]:
    """Role and seconds of every step that takes one."""
    for path in sorted(WORKFLOWS.glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job.get("steps", []):
                if "configure-aws-credentials" in step.get("uses", ""):
                    given = step["with"]
                    role = given["role-to-assume"].rpartition("-github-")[2]
                    yield role, int(given.get("role-duration-seconds", DEFAULT_S))


def test_no_workflow_wants_a_role_longer_than_it_may(planned: Mapping[str, Planned]) -> None:
    """AWS refuses the whole session, and not just its end."""
    assert {role for role, _ in asked()} == ROLES
    for role, seconds in asked():
        made = planned["iam"].resources[f'aws_iam_role.this["github_{role}"]']
        assert seconds <= (made["max_session_duration"] or DEFAULT_S), role
