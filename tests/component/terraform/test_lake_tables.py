"""The tables of Athena have the columns that training writes, and a nightly job is asked for as training asks for jobs."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from planned_policies import Planned

from psm_training.lake.schema import GOLD_TYPES, PARTITION, SILVER_TYPES
from psm_training.sagemaker.observed import RUN_OBJECTIVE_S
from psm_training.sagemaker.order import OF_DATA
from psm_training.sagemaker.requests import Place, processing_arguments
from psm_training.synthetic import REGIONS

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("terraform-policies")]

ATHENA: Final = {"BIGINT": "bigint", "DOUBLE": "double", "VARCHAR": "string"}
EXECUTION: Final = "<aws.scheduler.execution-id>"


def columns_of(types: Mapping[str, str]) -> dict[str, str]:
    """Columns as Athena names and types them, which knows no upper case; without the partition's."""
    return {
        name.lower(): f"array<{ATHENA[kind[:-2]]}>" if kind.endswith("[]") else ATHENA[kind]
        for name, kind in types.items()
        if name not in PARTITION
    }


@pytest.mark.parametrize(("table", "types"), [("silver", SILVER_TYPES), ("gold", GOLD_TYPES)], ids=["silver", "gold"])
def test_a_table_is_as_training_writes_it(planned: Mapping[str, Planned], table: str, types: Mapping[str, str]) -> None:
    made = planned["lake"].resources[f'aws_glue_catalog_table.this["{table}"]']
    (storage,) = made["storage_descriptor"]
    assert {column["name"]: column["type"] for column in storage["columns"]} == columns_of(types)
    partition = {key["name"]: key["type"] for key in made["partition_keys"]}
    assert partition == {name.lower(): ATHENA[types[name]] for name in PARTITION}


def test_every_region_is_a_partition(planned: Mapping[str, Planned]) -> None:
    made = planned["lake"].resources['aws_glue_catalog_table.this["silver"]']
    assert set(made["parameters"]["projection.store_region.values"].split(",")) == set(REGIONS.tolist())


def test_the_nightly_job_is_asked_for_as_training_does(planned: Mapping[str, Planned]) -> None:
    asked = nightly(planned)
    place = Place(
        role=asked["RoleArn"],
        image=asked["AppSpecification"]["ImageUri"],
        prefix="",
        region="ap-southeast-1",
        kms_key=asked["ProcessingOutputConfig"]["KmsKeyId"],
    )
    arguments = ["process", "--steps", ",".join(OF_DATA), "--data", "/opt/ml/processing/input/data"]
    arguments += ["--set", "source=source-files", "--out", "/opt/ml/processing/output"]
    inputs = {"data": ("s3://mlops-dev-lake-111111111111/raw/source-files", "/opt/ml/processing/input/data")}
    output = f"s3://mlops-dev-lake-111111111111/training/etl/{EXECUTION}"
    outputs = {"workspace": (output, "/opt/ml/processing/output")}
    name = asked.pop("ProcessingJobName")
    assert asked == processing_arguments(place, arguments, inputs, outputs)
    assert asked["StoppingCondition"]["MaxRuntimeInSeconds"] == RUN_OBJECTIVE_S
    assert len(name.replace(EXECUTION, "0" * 36)) <= 63  # SageMaker's limit


def nightly(planned: Mapping[str, Planned]) -> dict[str, Any]:
    """CreateProcessingJob as the schedule sends it."""
    (target,) = planned["events"].resources["aws_scheduler_schedule.etl[0]"]["target"]
    asked: dict[str, Any] = json.loads(target["input"])
    return asked
