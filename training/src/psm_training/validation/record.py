"""The verdict on data, written to a model package that is registered already: a served version can lose its ground.

The operator reads `psm.data_validation` at every poll and goes back from a version that says `failed`. So a failure is
always recorded; a pass only where the data is what the version was trained on, because good data of another week
proves nothing about the old.
"""

from typing import Any

from psm_contract.metadata import DATA_SHA256, DATA_VALIDATION, VALIDATION_PASSED
from psm_training.errors import PipelineError
from psm_training.provenance import data_sha256
from psm_training.registry import ModelPackage, ModelRegistry
from psm_training.workspace import Workspace, read_json


def record(space: Workspace, registry: ModelRegistry, package: ModelPackage) -> dict[str, Any]:
    """Writes the workspace's verdict to a version.

    Returns:
        The version's ARN, the property, and whether that changed anything.

    Raises:
        PipelineError: It passed, but the version was trained on other data.
    """
    verdict = str(read_json(space.validation, "validate")["verdict"])
    trained_on = registry.details(package).properties.get(DATA_SHA256)
    if verdict == VALIDATION_PASSED and trained_on != data_sha256(space):
        raise PipelineError(
            f"the data in {space.root} passed, but version {package.version} was trained on other data "
            f"({DATA_SHA256}={trained_on}); validate that, or register a version trained on this"
        )
    changed = registry.add_properties(package, {DATA_VALIDATION: verdict})
    return {"arn": package.arn, "version": package.version, DATA_VALIDATION: verdict, "changed": changed}
