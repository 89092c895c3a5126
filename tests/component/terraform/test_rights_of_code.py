"""What the code calls of AWS, each role may do: operations are found in the sources, rights in the tables of policies.

A new call fails here until `MUST` of tests/role_rights.py has a row for it, which fails until the role may do it.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import botocore.session
import pytest
from botocore import xform_name
from role_rights import MUST

pytestmark = pytest.mark.component

ROOT: Final = Path(__file__).parents[3]
SERVICES: Final = (
    "cloudwatch", "s3", "sagemaker", "sagemaker-featurestore-runtime", "scheduler", "sns", "sqs", "sts",
)  # fmt: skip

SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "operator": ("operator/src/psm_operator/adapters", "operator/src/psm_operator/preflight.py"),
    "predictor": ("predictor/src/psm_predictor/artifact",),
    "training": ("training/src/psm_training/registry.py", "training/src/psm_training/feature_store/aws.py"),
    "github_model": ("training/src/psm_training/sagemaker/deploy.py",),
}
"""Role -> folders and files whose calls it makes."""

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3:HeadObject": ("s3:GetObject",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sts:GetCallerIdentity": (),  # needs no right
    # the schedule of training is Terraform's own (module events), so a workflow needs no right to make one
    "scheduler:GetSchedule": (),
    "scheduler:CreateSchedule": (),
    "scheduler:UpdateSchedule": (),
}
"""Operations whose action has another name, or that a role does without."""

OTHERS: Final = {"search"}
"""Names that are Python's own, of re, as well."""

PREFIXES: Final = {"sagemaker-featurestore-runtime": "sagemaker"}


@cache
def operations() -> dict[str, set[str]]:
    """Name in the source, as boto3's method or as the API spells it -> actions that it may be."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = {}
    for service in SERVICES:
        for name in session.get_service_model(service).operation_names:
            action = f"{PREFIXES.get(service, service)}:{name}"
            found.setdefault(xform_name(name), set()).add(action)
            found.setdefault(name, set()).add(action)
    return found


def names_in(paths: Iterable[str]) -> Iterator[str]:
    """Every attribute and text of Python files that is the name of an operation."""
    for path in paths:
        place = ROOT / path
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    words = [node.func, *node.args]
                    yield from (
                        word.attr for word in words if isinstance(word, ast.Attribute) and word.attr in operations()
                    )
                    yield from (
                        word.value
                        for word in words
                        if isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value in operations()
                    )


@pytest.mark.parametrize("role", SOURCES)
def test_a_role_may_do_what_its_code_calls(role: str) -> None:
    allowed = {row[0] for row in MUST[role]}
    names = set(names_in(SOURCES[role])) - OTHERS
    missing = {
        name
        for name in names
        if not any(set(ACTIONS.get(action, (action,))) <= allowed for action in operations()[name])
    }
    assert names
    assert not missing
