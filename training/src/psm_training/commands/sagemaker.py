"""`psm-train pipeline` and `psm-train aws-job`: the requests by which SageMaker runs the training image."""

import argparse
from typing import Any

from psm_training.commands.options import add_group
from psm_training.errors import PipelineError
from psm_training.register import DEFAULT_BUCKET, DEFAULT_IMAGE
from psm_training.settings import Settings

PIPELINE_EXAMPLES = """examples:
  psm-train pipeline --role arn:aws:iam::111111111111:role/training --image REGISTRY/psm-training:0.1.0 \\
    --prefix s3://mlops-dev-training/psm --data s3://mlops-dev-raw/source-files > pipeline.json
  psm-train pipeline ... --upsert --schedule 'cron(0 3 ? * MON *)' --timezone Asia/Singapore --alarm-topic TOPIC_ARN
"""

JOB_EXAMPLES = """examples:
  psm-train aws-job training price-2027-w02 --role ROLE --image IMAGE --prefix s3://b/psm --set recipe=v2 --create
  psm-train aws-job tuning price-tuning-1 --role ROLE --image IMAGE --prefix s3://b/psm --data s3://raw/files
  psm-train aws-job transform price-17 --version 17 --role ROLE --prefix s3://b/psm --data s3://b/baskets.jsonl
"""


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    raw = argparse.RawDescriptionHelpFormatter
    step = commands.add_parser(
        "pipeline", help="definition of the SageMaker Pipeline", epilog=PIPELINE_EXAMPLES, formatter_class=raw
    )
    _add_place(step, image_needed=True)
    add_group(step)
    step.add_argument("--name", default="psm-training", help="of the pipeline")
    step.add_argument("--source", default="source-files", choices=["complete-journey", "source-files", "synthetic"])
    step.add_argument("--data", required=True, help="s3:// prefix of the source's files")
    step.add_argument("--bucket", default=DEFAULT_BUCKET, help="of registered artifacts")
    step.add_argument("--predictor-image", default=DEFAULT_IMAGE, help="image that serves the model")
    step.add_argument("--upsert", action="store_true", help="create or update it, not only print it")
    step.add_argument("--start", action="store_true", help="and run it once")
    step.add_argument("--schedule", help="and start it by this expression of EventBridge Scheduler")
    step.add_argument("--schedule-role", help="role of the scheduler (--role)")
    step.add_argument("--timezone", default="UTC", help="of --schedule")
    step.add_argument("--alarm-topic", help="and raise alarms to this SNS topic")
    step.set_defaults(command=_pipeline)

    job = commands.add_parser("aws-job", help="request of one SageMaker job", epilog=JOB_EXAMPLES, formatter_class=raw)
    job.add_argument("kind", choices=["training", "tuning", "transform"])
    job.add_argument("name", help="of the job")
    _add_place(job, image_needed=False)
    add_group(job)
    job.add_argument("--data", help="s3:// prefix: files of the source, or baskets for transform")
    job.add_argument("--set", action="append", dest="settings", default=[], metavar="NAME=VALUE", help="hyperparameter")
    job.add_argument("--version", help="registered version, for transform")
    job.add_argument("--jobs", type=int, default=20, help="trials, for tuning (20)")
    job.add_argument("--no-spot", action="store_true", help="train on machines that are not taken away")
    job.add_argument("--create", action="store_true", help="create it, not only print it")
    job.set_defaults(command=_job)


def _add_place(step: argparse.ArgumentParser, *, image_needed: bool) -> None:
    step.add_argument("--role", required=True, help="ARN of the jobs' execution role")
    step.add_argument("--image", required=image_needed, default="", help="training image in the account's registry")
    step.add_argument("--prefix", required=True, help="s3:// address below which jobs write")
    step.add_argument("--instance-type", help="of the jobs (ml.m5.xlarge)")
    step.add_argument("--instance-count", type=int, help="machines of a transform job (1)")
    step.add_argument("--volume-gib", type=int, help="of each machine's disk (50)")
    step.add_argument("--max-runtime-s", type=int, help="after which a job is stopped (7200)")
    step.add_argument("--input-mode", help="File, or FastFile: training's files are streamed as they are read (File)")
    step.add_argument("--subnet", action="append", default=[], help="of the jobs' VPC; repeatable")
    step.add_argument("--security-group", action="append", default=[], help="of the jobs' VPC; repeatable")
    step.add_argument("--kms-key", help="for volumes and outputs")


def _place(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.sagemaker.requests import Place  # noqa: PLC0415  # only these commands need it

    region = options.region or settings.region
    if region is None:
        raise PipelineError("no AWS region; set AWS_REGION or pass --region")
    if not options.prefix.startswith("s3://"):
        raise PipelineError(f"--prefix {options.prefix} is no s3:// address")
    if bool(options.subnet) != bool(options.security_group):
        raise PipelineError("a VPC needs both --subnet and --security-group")
    machines = ("instance_type", "instance_count", "volume_gib", "max_runtime_s", "input_mode")
    return Place(
        role=options.role,
        image=options.image,
        prefix=options.prefix.rstrip("/"),
        region=region,
        subnets=tuple(options.subnet),
        security_groups=tuple(options.security_group),
        kms_key=options.kms_key,
        **{name: value for name in machines if (value := getattr(options, name)) is not None},
    )


def _pipeline(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.sagemaker import limits  # noqa: PLC0415  # only this command needs it
    from psm_training.sagemaker.deploy import Account, alarms, schedule  # noqa: PLC0415
    from psm_training.sagemaker.pipeline import definition  # noqa: PLC0415

    place = _place(options, settings)
    limits.check(place, limits.TRAINING, limits.PROCESSING)
    document = definition(
        place,
        source=options.source,
        data=options.data,
        group=options.group,
        bucket=options.bucket,
        predictor_image=options.predictor_image,
    )
    if not options.upsert:
        if options.start or options.schedule or options.alarm_topic:
            raise PipelineError("--start, --schedule and --alarm-topic need --upsert")
        return document
    account = Account(place.region)
    arn = account.upsert_pipeline(options.name, document, options.role)
    done: dict[str, Any] = {"pipeline": arn}
    if options.schedule:
        role = options.schedule_role or options.role
        done["schedule"] = account.upsert_schedule(
            schedule(options.name, arn, role, options.schedule, options.timezone)
        )
    if options.alarm_topic:
        done["alarms"] = account.put_alarms(alarms(options.name, options.alarm_topic))
    if options.start:
        started = account.call("sagemaker", "start_pipeline_execution", PipelineName=options.name)
        done["execution"] = started["PipelineExecutionArn"]
    return done


def _job(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.sagemaker import limits, requests  # noqa: PLC0415  # only this command needs it
    from psm_training.sagemaker.deploy import Account  # noqa: PLC0415

    place = _place(options, settings)
    limits.check(place, options.kind)
    limits.check_name(options.name, options.kind)
    given = _settings(options.settings)
    if options.kind == "transform":
        return _transform(options, place, Account(place.region))
    if not options.image:
        raise PipelineError(f"a {options.kind} job needs --image")
    if options.kind == "training":
        request = requests.training_job(place, options.name, given, data=options.data, spot=not options.no_spot)
        operation = "create_training_job"
    else:
        request = requests.tuning_job(place, options.name, given, data=options.data, jobs=options.jobs)
        operation = "create_hyper_parameter_tuning_job"
    if options.create:
        Account(place.region).call("sagemaker", operation, **request)
    return request


def _transform(options: argparse.Namespace, place: Any, account: Any) -> Any:
    """A model of the registered version, and a job that asks it."""
    from psm_training.registry import ModelRegistry  # noqa: PLC0415
    from psm_training.sagemaker import requests  # noqa: PLC0415

    if not options.version or not options.data:
        raise PipelineError("a transform job needs --version and --data")
    package = ModelRegistry(place.region).find(options.group, options.version)
    described = account.call("sagemaker", "describe_model_package", ModelPackageName=package.arn)
    made = requests.model(place, options.name, described)
    job = requests.transform_job(place, options.name, data=options.data)
    if options.create:
        account.call("sagemaker", "create_model", **made)
        account.call("sagemaker", "create_transform_job", **job)
    return {"model": made, "job": job}


def _settings(items: list[str]) -> dict[str, str]:
    found = {}
    for item in items:
        name, separator, value = item.partition("=")
        if not separator:
            raise PipelineError(f"{item!r} is not NAME=VALUE; write for example recipe=v2")
        found[name] = value
    return found
