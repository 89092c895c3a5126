"""Texts that a service reads before anybody parses JSON: the characters that reach the API, not the value that they mean.

`jsonencode` of Terraform writes <, > and & as escapes. A parser reads the same value; a service that looks for its
placeholders in the text does not find them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from planned_policies import Planned

from psm_cloud.terraform import Plan
from psm_local.emulator.shapes import faults, request_shape

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

ESCAPES: Final = ("\\u003c", "\\u003e", "\\u0026")
PLACEHOLDER: Final = re.compile(r"<aws\.scheduler\.([a-z-]+)>")
KNOWN: Final = {"execution-id", "schedule-arn", "scheduled-time", "attempt-number"}
"""What EventBridge Scheduler replaces (user guide, "Context attributes")."""


def texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in what a plan says, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from texts(one, f"{path}.{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from texts(one, f"{path}[{number}]")


def test_no_text_carries_escapes(planned: Mapping[str, Planned], plans: Mapping[str, Plan]) -> None:
    """Of any resource of any module and environment, so that no service depends on who parses what."""
    modules = {f"{name}.{key}": found for name, one in planned.items() for key, found in one.resources.items()}
    environments = {
        f"{name}.{change['address']}": change["change"]["after"] or {}
        for name, plan in plans.items()
        for change in plan["resource_changes"]
    }
    escaped = [
        path
        for address, attributes in {**modules, **environments}.items()
        for path, text in texts(attributes, address)
        if any(escape in text for escape in ESCAPES)
    ]
    assert escaped == []


def test_the_scheduler_finds_its_placeholders(planned: Mapping[str, Planned]) -> None:
    """And what it sends then is a request that SageMaker takes; every night's job has a name of its own."""
    (target,) = planned["events"].resources["aws_scheduler_schedule.etl[0]"]["target"]
    sent = target["input"]
    assert set(PLACEHOLDER.findall(sent)) == {"execution-id"} <= KNOWN
    request = json.loads(PLACEHOLDER.sub("d32c5kdd-8d2d-4bb8-b7d8-0a1b2c3d4e5f", sent))
    assert list(faults(request, request_shape("sagemaker", "CreateProcessingJob"))) == []
    other = json.loads(PLACEHOLDER.sub("e43d6lee-9e3e-5cc9-c8e9-1b2c3d4e5f60", sent))
    assert request["ProcessingJobName"] != other["ProcessingJobName"]
