"""Requests that start jobs on AWS: against AWS's own shapes, and against what our container does with them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psm_local.emulator.shapes import faults, request_shape
from psm_training.__main__ import main
from psm_training.errors import PipelineError
from psm_training.model_quality import KPIS
from psm_training.sagemaker import deploy, limits, requests
from psm_training.sagemaker.observed import OBJECTIVES
from psm_training.sagemaker.order import DEFAULTS, STEPS, JobOrder
from psm_training.sagemaker.pipeline import definition
from psm_training.sagemaker.requests import Place
from psm_training.sagemaker.work import parser as worker

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "123456789012.dkr.ecr.ap-southeast-1.amazonaws.com/mlops/psm-training:0.1.0"
PLAIN = Place(role=ROLE, image=IMAGE, prefix="s3://mlops-dev-training/psm", region="ap-southeast-1")
GUARDED = Place(
    role=ROLE,
    image=IMAGE,
    prefix="s3://mlops-dev-training/psm",
    region="ap-southeast-1",
    subnets=("subnet-0a1b2c3d",),
    security_groups=("sg-0a1b2c3d",),
    kms_key="arn:aws:kms:ap-southeast-1:123456789012:key/0a1b2c3d-0000-0000-0000-000000000000",
)
PLACES = pytest.mark.parametrize("place", [PLAIN, GUARDED], ids=["plain", "in a VPC with a key"])
PACKAGE = {
    "ModelPackageArn": "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package/price-sensitivity/17",
    "ModelPackageVersion": 17,
    "InferenceSpecification": {
        "Containers": [
            {
                "Image": "mlops/api-price-sensitivity:0.1.0",
                "ModelDataUrl": "s3://mlops-dev-models/g/abc/model.tar.gz",
                "Environment": {"PSM_MODEL_SHA256": "ab" * 32},
            }
        ]
    },
}
FILLED_IN = frozenset({"TrainingJobName", "ProcessingJobName"})
"""SageMaker names the jobs of a pipeline."""

STEP = {
    "type": "object",
    "required": ["Name", "Type", "Arguments"],
    "properties": {
        "Name": {"type": "string", "pattern": r"^[A-Za-z0-9\-_]{1,64}$"},
        "Type": {"enum": ["Processing", "Training", "Condition", "Fail"]},
        "Arguments": {"type": "object"},
        "PropertyFiles": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["PropertyFileName", "OutputName", "FilePath"],
                "additionalProperties": False,
                "properties": {
                    "PropertyFileName": {"type": "string"},
                    "OutputName": {"type": "string"},
                    "FilePath": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "required": ["Version", "Steps"],
    "additionalProperties": False,
    "properties": {
        "Version": {"const": "2020-12-01"},
        "Metadata": {"type": "object"},
        "Parameters": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["Name", "Type"],
                "additionalProperties": False,
                "properties": {
                    "Name": {"type": "string", "pattern": r"^[A-Za-z0-9\-_]*$"},
                    "Type": {"enum": ["String", "Integer", "Boolean", "Float"]},
                    "DefaultValue": {},
                },
            },
        },
        "Steps": {"type": "array", "minItems": 1, "items": STEP},
    },
}
"""The outline of AWS's published schema of pipeline definitions; arguments are held against the API's shapes instead."""

OPERATIONS = {"Training": "CreateTrainingJob", "Processing": "CreateProcessingJob"}


def pipeline(place: Place) -> dict[str, Any]:
    return definition(
        place,
        source="source-files",
        data="s3://mlops-dev-raw/source-files",
        group="price-sensitivity",
        bucket="mlops-dev-models",
        predictor_image="mlops/api-price-sensitivity:0.1.0",
    )


def steps_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps, those of the condition after it."""
    for step in document["Steps"]:
        yield step
        yield from step["Arguments"].get("IfSteps", [])
        yield from step["Arguments"].get("ElseSteps", [])


def gets(value: Any) -> Iterator[str]:
    """Everything that a value refers to."""
    match value:
        case {"Get": str(path)}:
            yield path
        case dict():
            for one in value.values():
                yield from gets(one)
        case list():
            for one in value:
                yield from gets(one)


@PLACES
@pytest.mark.parametrize(
    ("operation", "request_of"),
    [
        ("CreateTrainingJob", lambda place: requests.training_job(place, "t-1", {"recipe": "v2"}, data="s3://raw/x")),
        ("CreateTrainingJob", lambda place: requests.training_job(place, "t-1", {}, spot=False)),
        ("CreateHyperParameterTuningJob", lambda place: requests.tuning_job(place, "t-1", {"recipe": "v2"})),
        ("CreateModel", lambda place: requests.model(place, "price-17", PACKAGE)),
        ("CreateTransformJob", lambda place: requests.transform_job(place, "price-17", data="s3://b/x.jsonl")),
    ],
    ids=["training on spot", "training", "tuning", "model", "transform"],
)
def test_a_request_is_what_the_api_takes(place: Place, operation: str, request_of: Any) -> None:
    """Types, required fields, words, lengths and patterns."""
    assert list(faults(request_of(place), request_shape("sagemaker", operation))) == []


def test_the_check_of_shapes_finds_what_it_is_for() -> None:
    """One of each kind."""
    request = requests.training_job(PLAIN, "t_1", {}, data="s3://raw/x")
    request["InputMode"] = "File"
    del request["RoleArn"]
    request["EnableManagedSpotTraining"] = "true"
    request["ResourceConfig"]["InstanceType"] = "ml.m5.gigantic"
    request["StoppingCondition"]["MaxRuntimeInSeconds"] = 0
    found = "\n".join(faults(request, request_shape("sagemaker", "CreateTrainingJob")))
    for part in (
        "InputMode is unknown", "RoleArn is missing", "'true' is no boolean", "ml.m5.gigantic", "0 is below 1", "'t_1'",
    ):  # fmt: skip
        assert part in found


def test_a_job_that_could_only_fail_is_not_asked_for() -> None:
    """The container would refuse it minutes later; a tuned field must not be fixed as well."""
    with pytest.raises(PipelineError, match="unknown hyperparameter 'recpie'"):
        requests.training_job(PLAIN, "t", {"recpie": "v2"})
    with pytest.raises(PipelineError, match=r"tables\.min_lines is tuned"):
        requests.tuning_job(PLAIN, "t", {"tables.min_lines": "3"})


def test_what_is_tuned_is_a_field_of_the_recipe_in_its_range() -> None:
    """Both ends of each range are taken by the container."""
    for end in (1, 2):
        JobOrder.of({field: bounds[end] for field, bounds in requests.RANGES.items()})
    names = {
        one["Name"] for one in requests.training_job(PLAIN, "t", {})["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert requests.OBJECTIVE_METRIC in names


def test_a_model_has_all_that_the_predictor_needs() -> None:
    """The four variables of a serving pod; the registered digest stays."""
    variables = requests.model(PLAIN, "price-17", PACKAGE)["PrimaryContainer"]["Environment"]
    assert variables == {
        "PSM_MODEL_DATA_URL": "s3://mlops-dev-models/g/abc/model.tar.gz",
        "PSM_MODEL_SHA256": "ab" * 32,
        "PSM_MODEL_PACKAGE_ARN": PACKAGE["ModelPackageArn"],
        "PSM_MODEL_PACKAGE_VERSION": "17",
        "AWS_REGION": "ap-southeast-1",
    }


# --- the pipeline -----------------------------------------------------------------------------------------------------


@PLACES
def test_the_pipeline_is_a_definition(place: Place) -> None:
    """Its outline, and each step's arguments as the API's request."""
    document = json.loads(json.dumps(pipeline(place)))
    jsonschema.validate(document, SCHEMA)
    for step in steps_of(document):
        jsonschema.validate(step, STEP)
        if step["Type"] in OPERATIONS:
            shape = request_shape("sagemaker", OPERATIONS[step["Type"]])
            assert list(faults(step["Arguments"], shape, step["Name"], FILLED_IN)) == []


def test_every_step_comes_after_what_it_reads() -> None:
    """References name parameters, execution variables, and outputs of earlier steps that those have."""
    document = pipeline(PLAIN)
    seen: dict[str, dict[str, Any]] = {}
    parameters = {one["Name"] for one in document["Parameters"]}
    for step in steps_of(document):
        own = {**step, "Arguments": {k: v for k, v in step["Arguments"].items() if not k.endswith("Steps")}}
        for path in gets(own):
            kind, name, *rest = path.split(".")
            match kind:
                case "Parameters":
                    assert name in parameters
                case "Execution":
                    assert name in {"PipelineExecutionId", "PipelineExecutionArn"}
                case _:
                    assert rest[0] in {"ModelArtifacts", "ProcessingOutputConfig", "PropertyFiles"}
                    assert ("Training" if rest[0] == "ModelArtifacts" else "Processing") == seen[name]["Type"]
        seen[step["Name"]] = step
    assert list(seen) == ["Validate", "Features", "Train", "Evaluate", "MeetsKpis", "Register", "BelowKpis"]


def test_the_steps_of_the_pipeline_are_those_of_psm_train() -> None:
    """Each is done by somebody, in order; the container's command line takes what is asked of it."""
    done: list[str] = []
    for step in steps_of(pipeline(PLAIN)):
        if step["Type"] == "Training":
            done += JobOrder.of({**step["Arguments"]["HyperParameters"], "recipe": "v2", "source": "synthetic"}).steps
            assert step["Arguments"]["HyperParameters"].keys() <= DEFAULTS.keys()
        elif step["Type"] == "Processing":
            words = step["Arguments"]["AppSpecification"]["ContainerArguments"]
            plain = [word if isinstance(word, str) else "recipe=v2" for word in words]
            options = worker().parse_args(["--journal", "j", "--scratch", "s", *plain])
            done += options.steps.split(",")
    assert [name for number, name in enumerate(done) if name not in done[:number]] == list(STEPS)


def test_the_condition_asks_for_every_kpi() -> None:
    """With the minimum of the evaluation as the default, which an execution may raise."""
    document = pipeline(PLAIN)
    defaults = {one["Name"]: one["DefaultValue"] for one in document["Parameters"] if one["Type"] == "Float"}
    assert sorted(defaults.values()) == sorted(KPIS.values())
    (condition,) = [step for step in document["Steps"] if step["Type"] == "Condition"]
    asked = [
        (one["LeftValue"]["Std:JsonGet"]["Path"], one["RightValue"]["Get"])
        for one in condition["Arguments"]["Conditions"]
    ]
    root = "multiclass_classification_metrics"
    assert asked == [
        (f"{root}.accuracy.value", "Parameters.MinAccuracy"),
        (f"{root}.macro_f1.value", "Parameters.MinMacroF1"),
        *((f"{root}.precision.{name}.value", "Parameters.MinPrecision") for name in ("LA", "MM", "UM")),
    ]


# --- machines ---------------------------------------------------------------------------------------------------------


@given(
    kind=st.sampled_from([limits.TRAINING, limits.TUNING, limits.PROCESSING, limits.TRANSFORM]),
    instance_type=st.sampled_from(
        [
            "ml.m5.xlarge",
            "ml.m5.large",
            "ml.c5.large",
            "ml.m7g.large",
            "ml.c6gn.large",
            "ml.g5.xlarge",
            "ml.r5.2xlarge",
            "m5.large",
        ]
    ),
    instance_count=st.sampled_from([1, 1, 1, 2, 100, 101, 0]),
    volume_gib=st.one_of(st.integers(1, 16384), st.integers(-1, 20000)),
    max_runtime_s=st.one_of(st.integers(1, 777_600), st.integers(-1, 900_000)),
    input_mode=st.sampled_from(["File", "File", "FastFile", "Pipe", "file"]),
)
def test_what_passes_the_limits_passes_the_service_model(kind: str, **machines: Any) -> None:
    """And an ARM machine never passes, nor several machines for a job that would do its work several times."""
    place = replace(PLAIN, **machines)
    try:
        limits.check(place, kind)
    except PipelineError:
        return
    assert "7g" not in place.instance_type
    assert place.instance_count == 1 or kind == limits.TRANSFORM
    request: dict[str, Any]
    match kind:
        case limits.TRAINING:
            request = requests.training_job(place, "t", {})
            assert request["ResourceConfig"]["VolumeSizeInGB"] == place.volume_gib
            assert request["StoppingCondition"]["MaxWaitTimeInSeconds"] >= place.max_runtime_s
            assert request["AlgorithmSpecification"]["TrainingInputMode"] == place.input_mode
        case limits.TUNING:
            request = requests.tuning_job(place, "t", {})
        case limits.TRANSFORM:
            request = requests.transform_job(place, "t", data="s3://b/k")
            assert request["TransformResources"]["InstanceCount"] == place.instance_count
        case _:
            inputs = {"data": ("s3://b/k", "/opt/ml/processing/input/data")}
            request = {"ProcessingJobName": "t", **requests.processing_arguments(place, ["process"], inputs, {})}
    operation = {**OPERATIONS, **JOBS}[kind.capitalize()]
    assert list(faults(request, request_shape("sagemaker", operation))) == []


JOBS = {"Tuning": "CreateHyperParameterTuningJob", "Transform": "CreateTransformJob"}


# --- schedule and alarms ----------------------------------------------------------------------------------------------


def test_schedule_and_alarms_are_what_the_apis_take() -> None:
    topic = "arn:aws:sns:ap-southeast-1:123456789012:mlops"
    arn = "arn:aws:sagemaker:ap-southeast-1:123456789012:pipeline/psm-training"
    request = deploy.schedule("psm-training", arn, ROLE, "cron(0 3 ? * MON *)", "Asia/Singapore")
    assert list(faults(request, request_shape("scheduler", "CreateSchedule"))) == []
    for alarm in deploy.alarms("psm-training", topic):
        assert list(faults(alarm, request_shape("cloudwatch", "PutMetricAlarm"))) == []


def test_every_step_of_the_pipeline_has_an_alarm() -> None:
    """Later than the objective of what it does, so that a slow start of a machine is no alarm."""
    alarms = {alarm["AlarmName"]: alarm for alarm in deploy.alarms("p", "arn:aws:sns:::t")}
    jobs = [step["Name"] for step in steps_of(pipeline(PLAIN)) if step["Type"] in OPERATIONS]
    assert list(deploy.STEP_ALARMS) == jobs
    for name in jobs:
        alarm = alarms[f"p-{name.lower()}-slow"]
        assert alarm["Dimensions"][1]["Value"] == name
        assert alarm["Threshold"] > 1000 * sum(OBJECTIVES[part] for part in deploy.STEP_ALARMS[name])
    assert {part for parts in deploy.STEP_ALARMS.values() for part in parts} == OBJECTIVES.keys()


# --- the commands -----------------------------------------------------------------------------------------------------

COMMON = ["--role", ROLE, "--image", IMAGE, "--prefix", "s3://mlops-dev-training/psm/", "--region", "ap-southeast-1"]


def test_the_command_prints_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of AWS; the slash at the prefix's end does not double."""
    assert main(["pipeline", *COMMON, "--data", "s3://mlops-dev-raw/source-files", "--predictor-image", "x:1"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    assert "psm//" not in json.dumps(document)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pipeline", *COMMON, "--data", "s3://x", "--start"], "need --upsert"),
        (["pipeline", *COMMON, "--data", "s3://x", "--subnet", "subnet-1"], "both --subnet and --security-group"),
        (["pipeline", *COMMON, "--data", "s3://x", "--prefix", "bucket/psm"], "is no s3:// address"),
        (["aws-job", "training", "t", *COMMON, "--set", "recipe"], "'recipe' is not NAME=VALUE"),
        (["aws-job", "training", "t", *COMMON, "--set", "recipe=v9"], "unknown recipe 'v9'"),
        (["aws-job", "transform", "t", *COMMON], "needs --version and --data"),
        (["aws-job", "training", "t_1", *COMMON], "'t_1' is no name of a training job"),
        (["aws-job", "tuning", "t" * 33, *COMMON], "32 at most"),
        (["aws-job", "training", "t", *COMMON, "--instance-type", "ml.m5.gigantic"], "takes ml.m5.large, ml.m5.xlarge"),
        (["aws-job", "training", "t", *COMMON, "--instance-count", "2"], "runs on one machine"),
        (["aws-job", "training", "t", *COMMON, "--volume-gib", "0"], "1 or more"),
        (["aws-job", "training", "t", *COMMON, "--max-runtime-s", "-1"], "1 or more"),
        (["aws-job", "training", "t", *COMMON, "--input-mode", "Slow"], "takes Pipe, File, FastFile"),
        (["aws-job", "training", "t", *COMMON, "--input-mode", "Pipe"], "reads files, not pipes"),
        (["pipeline", *COMMON, "--data", "s3://x", "--volume-gib", "16385"], "1 to 16384"),
        (["pipeline", *COMMON, "--data", "s3://x", "--max-runtime-s", "777601"], "1 to 777600"),
        (["aws-job", "transform", "t", *COMMON, "--instance-type", "ml.c5.large"], "a transform job takes"),
    ],
    ids=[
        "start alone",
        "half a VPC",
        "no address",
        "no value",
        "no recipe",
        "no version",
        "a name with an underscore",
        "a long name",
        "no type",
        "two machines",
        "no disk",
        "no time",
        "no mode",
        "pipes",
        "a disk beyond processing's",
        "a time beyond processing's",
        "a type that transform lacks",
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert re.search(re.escape(message), captured.err)
    assert captured.out == ""
