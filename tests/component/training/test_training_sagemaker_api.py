"""Pipeline, jobs, schedule and alarms against the emulator of AWS, through the command line."""

import json
from typing import Any

import boto3
import pytest

from psm_local.emulator.control import EmulatorControl
from psm_training.__main__ import main

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::123456789012:role/training"
TOPIC = "arn:aws:sns:ap-southeast-1:123456789012:mlops"
IMAGE = "123456789012.dkr.ecr.ap-southeast-1.amazonaws.com/mlops/psm-training:0.1.0"
COMMON = ["--role", ROLE, "--image", IMAGE, "--prefix", "s3://mlops-dev-training/psm"]


@pytest.fixture
def clients(registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes clients of the emulator, found through the standard variables alone."""
    variables = {
        "AWS_ENDPOINT_URL": registry.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return lambda service: boto3.client(service, region_name=REGION)


def psm_train(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(list(arguments)) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_the_pipeline_is_put_there_and_then_changed(
    clients: Any, registry: EmulatorControl, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice the same command: one pipeline, schedule and set of alarms, as the second one wants them."""
    for instance, hour in (("ml.m5.xlarge", 3), ("ml.m5.2xlarge", 4)):
        done = psm_train(
            capsys, "pipeline", *COMMON, "--data", "s3://mlops-dev-raw/files", "--instance-type", instance,
            "--upsert", "--start", "--schedule", f"cron(0 {hour} ? * MON *)", "--alarm-topic", TOPIC,
        )  # fmt: skip
    sagemaker = clients("sagemaker")
    (summary,) = sagemaker.list_pipelines()["PipelineSummaries"]
    assert summary["PipelineName"] == "psm-training"
    described = sagemaker.describe_pipeline(PipelineName="psm-training")
    assert "ml.m5.2xlarge" in described["PipelineDefinition"]
    assert "ml.m5.xlarge" not in described["PipelineDefinition"]
    assert done["pipeline"] == described["PipelineArn"]
    assert len(sagemaker.list_pipeline_executions(PipelineName="psm-training")["PipelineExecutionSummaries"]) == 2

    (schedule,) = clients("scheduler").list_schedules()["Schedules"]
    stored = clients("scheduler").get_schedule(Name=schedule["Name"])
    assert stored["ScheduleExpression"] == "cron(0 4 ? * MON *)"
    assert stored["Target"]["Arn"] == described["PipelineArn"]
    alarms = clients("cloudwatch").describe_alarms()["MetricAlarms"]
    assert sorted(alarm["AlarmName"] for alarm in alarms) == sorted(done["alarms"])
    assert registry.missing() == []


def test_a_training_and_a_tuning_job_are_created(
    clients: Any, registry: EmulatorControl, capsys: pytest.CaptureFixture[str]
) -> None:
    """As printed."""
    request = psm_train(capsys, "aws-job", "training", "t-1", *COMMON, "--set", "recipe=v1", "--create")
    seen = clients("sagemaker").describe_training_job(TrainingJobName="t-1")
    for name in ("HyperParameters", "CheckpointConfig", "StoppingCondition", "EnableManagedSpotTraining"):
        assert seen[name] == request[name]
    request = psm_train(capsys, "aws-job", "tuning", "t-2", *COMMON, "--jobs", "8", "--create")
    seen = clients("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="t-2")
    assert seen["HyperParameterTuningJobConfig"] == request["HyperParameterTuningJobConfig"]
    assert registry.missing() == []


def test_a_registered_version_answers_in_batch(
    clients: Any, registry: EmulatorControl, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of the version's image and archive, and a job that asks it line by line."""
    sagemaker = clients("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="price-sensitivity")
    container = {
        "Image": "mlops/api-price-sensitivity:0.1.0",
        "ModelDataUrl": "s3://mlops-dev-models/g/abc/model.tar.gz",
        "Environment": {"PSM_MODEL_SHA256": "ab" * 32},
    }
    sagemaker.create_model_package(
        ModelPackageGroupName="price-sensitivity",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["application/jsonlines"],
            "SupportedResponseMIMETypes": ["application/jsonlines"],
        },
    )
    arguments = ["--version", "1", "--data", "s3://mlops-dev-raw/baskets.jsonl", "--create"]
    psm_train(capsys, "aws-job", "transform", "price-1", *COMMON, *arguments)
    model = sagemaker.describe_model(ModelName="price-1")["PrimaryContainer"]
    assert model["Environment"]["PSM_MODEL_SHA256"] == "ab" * 32
    assert model["Environment"]["PSM_MODEL_PACKAGE_VERSION"] == "1"
    job = sagemaker.describe_transform_job(TransformJobName="price-1")
    assert job["ModelName"] == "price-1"
    assert registry.missing() == []


@pytest.mark.usefixtures("clients")
def test_a_refused_call_is_one_line(registry: EmulatorControl, capsys: pytest.CaptureFixture[str]) -> None:
    """A denied read must not be taken for a pipeline that is not there."""
    registry.set_faults(refused={"DescribePipeline": "AccessDeniedException"})
    assert main(["pipeline", *COMMON, "--data", "s3://x/y", "--upsert"]) == 1
    assert "could not describe pipeline: " in capsys.readouterr().err
    assert "CreatePipeline" not in registry.calls()
