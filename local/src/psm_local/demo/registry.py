"""The data team's side: train, register, approve, reject, measure. All through `psm-train`, as a data team would."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from psm_contract.manifest import MANIFEST, Manifest
from psm_local.demo.stage import GROUP, Stage
from psm_local.errors import LocalError
from psm_local.settings import inherited

BUCKET = "mlops-dev-models"


def train_and_register(stage: Stage) -> str:
    """Two models from the same real transactions; the second is better. Version 1 is approved, 2 waits."""
    _make_bucket(stage)
    cards = _psm_train(stage, "run", "--source", "complete-journey", "--out", str(models_dir(stage)), "--register")
    approve(stage, 1)
    told = ", ".join(f"{name}: accuracy {card['metrics']['accuracy']:.3f}" for name, card in sorted(cards.items()))
    return f"{told}; registered as versions 1 and 2 of {GROUP}, 1 is approved"


def register_again(stage: Stage) -> None:
    """Version 3: the second model, registered once more."""
    _psm_train(stage, "register", "--model", str(models_dir(stage) / "v2"))


def approve(stage: Stage, version: int) -> None:
    """Let the operator take a version."""
    _psm_train(stage, "approve", str(version))


def reject(stage: Stage, version: int) -> None:
    """Withdraw a version's approval."""
    _psm_train(stage, "reject", str(version))


def measure(stage: Stage, version: int, **metrics: str) -> None:
    """Write what an evaluation job measured on live traffic."""
    _psm_train(stage, "record-metrics", str(version), *(f"{name}={value}" for name, value in metrics.items()))


def basket(stage: Stage) -> bytes:
    """A request with the till lines of one real basket."""
    lines = _manifest(stage).golden_baskets[0].lines
    return json.dumps({"lines": lines}).encode()


def batch(stage: Stage, size: int) -> bytes:
    """A request with `size` real baskets as ready features."""
    manifest = _manifest(stage)
    names = [feature.name for feature in manifest.features]
    rows = [dict(zip(names, row.instance, strict=True)) for row in manifest.golden]
    return json.dumps({"instances": [rows[i % len(rows)] for i in range(size)]}).encode()


def models_dir(stage: Stage) -> Path:
    """Where the trained models are."""
    return stage.cluster.run_dir / "models"


def _manifest(stage: Stage) -> Manifest:
    with tarfile.open(models_dir(stage) / "v1" / "model.tar.gz") as archive:
        member = archive.extractfile(MANIFEST)
        if member is None:
            raise LocalError(f"the archive of version 1 has no {MANIFEST}")
        return Manifest.from_json(member.read())


def _make_bucket(stage: Stage) -> None:
    aws = stage.cluster.aws
    s3 = boto3.client(
        "s3",
        endpoint_url=aws.s3_host_url,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
        region_name=aws.region,
        config=Config(s3={"addressing_style": "path"}),
    )
    try:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})
    except ClientError as err:
        if err.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise LocalError(f"bucket {BUCKET} cannot be made at {aws.s3_host_url}: {err}") from err


def _psm_train(stage: Stage, *args: str) -> Any:
    argv = [sys.executable, "-m", "psm_training", *args]
    env = inherited(stage.cluster.aws.environment())
    with subprocess.Popen(
        argv, env=env, cwd=stage.repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said = _tell(stage, process)
        output = process.stdout.read() if process.stdout is not None else ""
    if process.returncode != 0:
        raise LocalError(f"psm-train {' '.join(args)}: {said[-1] if said else 'no message'}")
    return json.loads(output)


def _tell(stage: Stage, process: subprocess.Popen[str]) -> list[str]:
    said = []
    for line in process.stderr or ():
        said.append(line.rstrip())
        stage.say(f"    {said[-1]}")
    return said
