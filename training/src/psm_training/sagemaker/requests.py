"""Requests of SageMaker's jobs as its API takes them: training, tuning, processing, transform. Pure.

What differs between accounts is in `Place`; everything else is decided here and explained in docs/training-on-aws.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psm_contract import environment
from psm_training.errors import PipelineError
from psm_training.sagemaker.observed import RUN_OBJECTIVE_S, metric_definitions
from psm_training.sagemaker.order import JobOrder
from psm_training.sagemaker.paths import WORKSPACE_CHANNEL

Json = dict[str, Any]

INSTANCE_TYPE: Final = "ml.m5.xlarge"
"""4 vCPU, 16 GiB: a run of the real transactions takes minutes and below 4 GiB."""
VOLUME_GIB: Final = 50
SPOT_WAITS: Final = 4
"""Run and wait for spot capacity together, in longest runs."""
FILE: Final = "File"
"""The channel is on the volume before the container starts; FastFile streams it as it is read."""
ENTRYPOINT: Final = ["python", "-m", "psm_training.sagemaker"]

OBJECTIVE_METRIC: Final = "validation:macro_f1"
"""What tuning looks at: of validation households, never of the test set."""

RANGES: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "estimator.trees": ("Integer", "40", "160", "Linear"),
    "estimator.max_depth": ("Integer", "6", "16", "Linear"),
    "estimator.min_samples_leaf": ("Integer", "5", "50", "Logarithmic"),
    "tables.effect_penalty": ("Continuous", "0.03", "10", "Logarithmic"),
    "tables.min_lines": ("Integer", "2", "30", "Logarithmic"),
}
"""Field of a forest's recipe -> kind, least, most and scale of what a tuning job tries."""


@dataclass(frozen=True)
class Place:
    """Where jobs run and what they may touch.

    Attributes:
        role: ARN of the execution role.
        image: The training image, in the account's registry.
        prefix: s3:// address below which jobs write, without a slash at its end.
        region: Of the registry that a job registers in.
        instance_type: Of every job.
        instance_count: Of machines, which a transform job alone shares its files among.
        volume_gib: Of each machine's disk.
        max_runtime_s: After which a job is stopped.
        input_mode: FILE or FastFile, of training's channels.
        subnets: With security_groups, the VPC of the jobs; empty: SageMaker's own network.
        security_groups: See subnets.
        kms_key: For volumes and outputs; None: the account's default keys.
    """

    role: str
    image: str
    prefix: str
    region: str
    instance_type: str = INSTANCE_TYPE
    instance_count: int = 1
    volume_gib: int = VOLUME_GIB
    max_runtime_s: int = RUN_OBJECTIVE_S
    input_mode: str = FILE
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None

    def environment(self) -> Json:
        """Of every container."""
        return {"AWS_REGION": self.region}

    def vpc(self) -> Json:
        """VpcConfig, or nothing."""
        if not self.subnets:
            return {}
        return {"VpcConfig": {"SecurityGroupIds": list(self.security_groups), "Subnets": list(self.subnets)}}

    def output(self, **more: Any) -> Json:
        """More, with the key."""
        return {**more, **({"KmsKeyId": self.kms_key} if self.kms_key else {})}

    def cluster(self) -> Json:
        """One machine: a run fits, and the outcome must not depend on how many there are."""
        volume = {"VolumeKmsKeyId": self.kms_key} if self.kms_key else {}
        return {"InstanceType": self.instance_type, "InstanceCount": 1, "VolumeSizeInGB": self.volume_gib, **volume}


def training_job(
    place: Place, name: str, hyperparameters: Mapping[str, str], *, data: str | None = None, spot: bool = True
) -> Json:
    """CreateTrainingJob: all steps from the data to the packed model.

    Args:
        place: Where.
        name: Of the job.
        hyperparameters: See `order.DEFAULTS`.
        data: s3:// prefix of the source's files, where the source needs some.
        spot: Whether to run on spare capacity, from checkpoints where it was taken away.
    """
    JobOrder.of(hyperparameters)
    return {
        "TrainingJobName": name,
        "HyperParameters": dict(hyperparameters),
        **_training(place, data, name, spot=spot),
        "Environment": place.environment(),
        "RetryStrategy": {"MaximumRetryAttempts": 2},
    }


def tuning_job(
    place: Place,
    name: str,
    hyperparameters: Mapping[str, str],
    *,
    data: str | None = None,
    jobs: int = 20,
    seed: int = 20170101,
) -> Json:
    """CreateHyperParameterTuningJob over RANGES, by the F1 score of validation households.

    Args:
        place: Where.
        name: Of the job.
        hyperparameters: What all trials share.
        data: s3:// prefix of the source's files, where the source needs some.
        jobs: Trials.
        seed: Of the search.
    """
    taken = sorted(RANGES.keys() & hyperparameters.keys())
    if taken:
        raise PipelineError(f"hyperparameter {taken[0]} is tuned; leave it out")
    JobOrder.of({**hyperparameters, **{field: low for field, (_, low, _, _) in RANGES.items()}})
    ranges: dict[str, list[Json]] = {"Integer": [], "Continuous": []}
    for field, (kind, low, high, scale) in RANGES.items():
        ranges[kind].append({"Name": field, "MinValue": low, "MaxValue": high, "ScalingType": scale})
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE_METRIC},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": min(4, jobs)},
            "ParameterRanges": {f"{kind}ParameterRanges": found for kind, found in ranges.items()},
            "TrainingJobEarlyStoppingType": "Off",  # a trial reports once, at its end
            "RandomSeed": seed,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": dict(hyperparameters),
            **_training(place, data, name, spot=True),
            "Environment": place.environment(),
            "RetryStrategy": {"MaximumRetryAttempts": 2},
        },
    }


def training_arguments(place: Place, hyperparameters: Mapping[str, Any], workspace: Any, checkpoints: Any) -> Json:
    """Arguments of a pipeline's training step, on spare capacity, whose input is a workspace of earlier steps.

    Args:
        place: Where.
        hyperparameters: See `order.DEFAULTS`; values may be functions of the pipeline.
        workspace: s3:// address of what the steps before left.
        checkpoints: s3:// address of this execution alone, from which a machine goes on when another was taken away.
    """
    return {
        "AlgorithmSpecification": _algorithm(place),
        "HyperParameters": dict(hyperparameters),
        "InputDataConfig": [_channel(WORKSPACE_CHANNEL, workspace)],
        "OutputDataConfig": place.output(S3OutputPath=f"{place.prefix}/training"),
        "ResourceConfig": place.cluster(),
        "RoleArn": place.role,
        "StoppingCondition": {
            "MaxRuntimeInSeconds": place.max_runtime_s,
            "MaxWaitTimeInSeconds": SPOT_WAITS * place.max_runtime_s,
        },
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": checkpoints},
        "Environment": place.environment(),
        **place.vpc(),
    }


def processing_arguments(
    place: Place, arguments: list[Any], inputs: Mapping[str, tuple[Any, str]], outputs: Mapping[str, tuple[Any, str]]
) -> Json:
    """Arguments of a processing job.

    Args:
        place: Where.
        arguments: Of `psm_training.sagemaker`.
        inputs: Name -> s3:// address and folder in the container.
        outputs: The same.
    """
    network = {"NetworkConfig": place.vpc()} if place.subnets else {}
    return {
        "AppSpecification": {
            "ImageUri": place.image,
            "ContainerEntrypoint": ENTRYPOINT,
            "ContainerArguments": arguments,
        },
        "ProcessingResources": {"ClusterConfig": place.cluster()},
        "ProcessingInputs": [
            {
                "InputName": name,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": folder,
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                },
            }
            for name, (uri, folder) in inputs.items()
        ],
        "ProcessingOutputConfig": place.output(
            Outputs=[
                {
                    "OutputName": name,
                    "S3Output": {"S3Uri": uri, "LocalPath": folder, "S3UploadMode": "EndOfJob"},
                }
                for name, (uri, folder) in outputs.items()
            ]
        ),
        "StoppingCondition": {"MaxRuntimeInSeconds": place.max_runtime_s},
        "Environment": place.environment(),
        "RoleArn": place.role,
        **network,
    }


def model(place: Place, name: str, package: Mapping[str, Any]) -> Json:
    """CreateModel of a registered version, for Batch Transform: the predictor fetches and verifies the archive itself.

    Args:
        place: Where.
        name: Of the model.
        package: As DescribeModelPackage answers.
    """
    (container,) = package["InferenceSpecification"]["Containers"]
    return {
        "ModelName": name,
        "ExecutionRoleArn": place.role,
        "PrimaryContainer": {
            "Image": container["Image"],
            "Environment": {
                **container.get("Environment", {}),
                environment.MODEL_DATA_URL: container["ModelDataUrl"],
                environment.MODEL_PACKAGE_ARN: package["ModelPackageArn"],
                environment.MODEL_PACKAGE_VERSION: str(package["ModelPackageVersion"]),
                **place.environment(),
            },
        },
        **place.vpc(),
    }


def transform_job(place: Place, name: str, *, data: str) -> Json:
    """CreateTransformJob: an answer for every line of JSON Lines, beside its question.

    Args:
        place: Where.
        name: Of the job and of its model.
        data: s3:// prefix of .jsonl files, one basket of ready features a line.
    """
    return {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 1,  # the predictor's own limit, PSM_MAX_BODY_BYTES
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        "TransformOutput": place.output(
            S3OutputPath=f"{place.prefix}/transform/{name}", Accept="application/jsonlines", AssembleWith="Line"
        ),
        "TransformResources": {
            "InstanceType": place.instance_type,
            "InstanceCount": place.instance_count,
            **({"VolumeKmsKeyId": place.kms_key} if place.kms_key else {}),
        },
        "DataProcessing": {"JoinSource": "Input"},
    }


def _training(place: Place, data: str | None, name: str, *, spot: bool) -> Json:
    """What a training job and the trials of a tuning job have in common."""
    wait = {"MaxWaitTimeInSeconds": SPOT_WAITS * place.max_runtime_s} if spot else {}
    return {
        "AlgorithmSpecification": _algorithm(place),
        "RoleArn": place.role,
        **({"InputDataConfig": [_channel("data", data)]} if data is not None else {}),
        "OutputDataConfig": place.output(S3OutputPath=f"{place.prefix}/training"),
        "ResourceConfig": place.cluster(),
        "StoppingCondition": {"MaxRuntimeInSeconds": place.max_runtime_s, **wait},
        "EnableManagedSpotTraining": spot,
        **({"CheckpointConfig": {"S3Uri": f"{place.prefix}/checkpoints/{name}"}} if spot else {}),
        **place.vpc(),
    }


def _algorithm(place: Place) -> Json:
    return {
        "TrainingImage": place.image,
        "TrainingInputMode": place.input_mode,
        "MetricDefinitions": metric_definitions(),
    }


def _channel(name: str, uri: Any) -> Json:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
