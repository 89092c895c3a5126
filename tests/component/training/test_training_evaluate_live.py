"""`psm-train evaluate-live` against the registry emulator and a real S3 server, and the operator reading what it wrote."""

import json
import random
from pathlib import Path
from typing import Any

import boto3
import pytest

from psm_contract import metadata
from psm_contract.schema import CLASSES
from psm_local.aws import AwsEndpoints
from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.evaluation import parse_evaluation
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.values import Approval, GroupRef
from psm_training.__main__ import main

BUCKET = "mlops-dev-live"
GROUP = "price-sensitivity"
REGISTERED = {
    metadata.PROTOCOL: "3",
    metadata.SHA256: "ab" * 32,
    metadata.ACCURACY: "0.804000",
    metadata.MACRO_F1: "0.802000",
    metadata.PRECISION_MIN_CLASS: "0.770000",
    metadata.DATA_VALIDATION: "passed",
    "team": "pricing",
}
LOG = f"s3://{BUCKET}/logs/2026/*.jsonl"


class Clients:
    """boto3 clients of the stand-ins."""

    def __init__(self, storage: Any, endpoints: AwsEndpoints) -> None:
        self.sagemaker = boto3.client("sagemaker", region_name=endpoints.region)
        self.storage = storage

    def register(self) -> str:
        """An approved version whose evaluation lies in S3, as `register` makes it; its ARN."""
        folder = f"s3://{BUCKET}/{GROUP}/{'ab' * 32}"
        container = {"Image": "x", "ModelDataUrl": f"{folder}/model.tar.gz"}
        made = self.sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            ModelApprovalStatus="Approved",
            InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["application/json"],
                                    "SupportedResponseMIMETypes": ["application/json"]},
            ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json",
                                                          "S3Uri": f"{folder}/evaluation.json"}}},
            CustomerMetadataProperties=REGISTERED,
        )  # fmt: skip
        evaluation = json.dumps({"accuracy": 0.804, "macro_f1": 0.802})
        self.put(f"{GROUP}/{'ab' * 32}/evaluation.json", evaluation)
        return str(made["ModelPackageArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        described: dict[str, Any] = self.sagemaker.describe_model_package(ModelPackageName=arn)
        return described

    def put(self, key: str, text: str) -> None:
        self.storage.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def get(self, url: str) -> bytes:
        found: bytes = self.storage.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        return found


@pytest.fixture
def clients(storage: Any, s3: AwsEndpoints) -> Clients:
    """Found through the standard variables alone; bucket and group exist."""
    made = Clients(storage, s3)
    made.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    return made


def logged(clients: Clients, folder: Path, *, right: float, baskets: int = 600, version: int = 1) -> Path:
    """Predictions in two objects in S3 and labels in a local file; the model is right in a share of them."""
    chance = random.Random(0)  # noqa: S311  # a test
    rows, labels = [], ["request_id,label"]
    for number in range(baskets):
        said = chance.choice(CLASSES)
        was = said if number < right * baskets else chance.choice([name for name in CLASSES if name != said])
        row = {"message": "prediction", "group": GROUP, "request_id": f"r{number}", "index": 0, "label": said,
               "model_version": version, "time": f"2026-05-04T12:00:{number % 60:02d}"}  # fmt: skip
        rows.append(json.dumps(row))
        labels.append(f"r{number},{was}")
    clients.put("logs/2026/one.jsonl", "\n".join(rows[: baskets // 2]))
    clients.put("logs/2026/two.jsonl", "\n".join(rows[baskets // 3 :]))  # a sixth of them twice
    clients.put("logs/2025/old.jsonl", "not asked for")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    return folder / "labels.csv"


def evaluated(capsys: pytest.CaptureFixture[str], labels: Path, *more: str) -> Any:
    capsys.readouterr()
    status = main(
        ["evaluate-live", "--predictions", LOG, "--labels", str(labels), "--group", GROUP, "--version", "1", *more]
    )
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out)


def test_nothing_is_written_unless_asked_for(
    clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str], registry: EmulatorControl
) -> None:
    """The result is shown, with its interval."""
    clients.register()
    answer = evaluated(capsys, logged(clients, tmp_path, right=0.7))
    assert answer["metrics"]["accuracy"] == pytest.approx(0.7)
    low, high = answer["accuracy_interval_95"]
    assert 0.65 < low < 0.7 < high < 0.75
    assert (answer["written"], answer["kpis_met"], answer["counts"]["matched"]) == (None, False, 600)
    assert answer["counts"]["predictions_repeated"] == 100
    assert "UpdateModelPackage" not in registry.calls()


async def test_what_is_written_is_what_the_operator_reads_first(
    clients: Clients,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    s3: AwsEndpoints,
    registry: EmulatorControl,
) -> None:
    """The document in S3, the metrics in the metadata; everything else of the package as it was."""
    arn = clients.register()
    before = clients.describe(arn)
    answer = evaluated(capsys, logged(clients, tmp_path, right=0.7), "--write")

    after = clients.describe(arn)
    written = answer["written"]["properties"]
    assert after["CustomerMetadataProperties"] == {**REGISTERED, **written}
    assert written[metadata.LIVE_PREFIX + "accuracy"] == "0.700000"
    for field in ("ModelApprovalStatus", "ModelMetrics", "InferenceSpecification"):
        assert after[field] == before[field]

    url = written[metadata.LIVE_EVALUATION]
    assert url.startswith(f"s3://{BUCKET}/{GROUP}/{'ab' * 32}/live/")
    document = parse_evaluation(clients.get(url), url)
    assert document.error == ""
    assert float(document.metrics["accuracy"]) == pytest.approx(0.7)
    assert document.metrics.keys() >= {"accuracy", "macro_f1", "accuracy_upper", "weighted_f1"}
    assert json.loads(clients.get(f"s3://{BUCKET}/{GROUP}/{'ab' * 32}/evaluation.json"))["accuracy"] == 0.804

    reader = SageMakerRegistry(AwsClients(AwsLimits()), clock=SystemClock())
    (package,) = (await reader.read_group(GroupRef(GROUP, s3.region), frozenset(), 1)).packages.values()
    assert package.approval is Approval.APPROVED
    assert package.metrics["accuracy"] == "0.700000"
    assert "accuracy" in package.live_metrics
    assert "live_evaluation" not in package.metrics
    assert registry.missing() == []


def test_the_same_again_changes_nothing(
    clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str], registry: EmulatorControl
) -> None:
    """A job that runs every night tells nobody that something changed."""
    arn = clients.register()
    labels = logged(clients, tmp_path, right=0.7)
    first, modified = evaluated(capsys, labels, "--write"), clients.describe(arn).get("LastModifiedTime")
    second = evaluated(capsys, labels, "--write")
    assert (first["written"]["changed"], second["written"]["changed"]) == (True, False)
    assert second["written"]["properties"] == first["written"]["properties"]
    assert registry.calls()["UpdateModelPackage"] == 1
    assert clients.describe(arn).get("LastModifiedTime") == modified

    worse = evaluated(capsys, logged(clients, tmp_path, right=0.6), "--write")
    assert worse["written"]["changed"] is True
    assert clients.describe(arn)["CustomerMetadataProperties"]["psm.live.accuracy"] == "0.600000"
    assert clients.get(first["written"]["properties"][metadata.LIVE_EVALUATION]), "the earlier document stays"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min-labels", "601"], "600 labels match a prediction of version 1, 601 are needed"),
        (["--version", "2", "--write"], "no prediction of version 2; there are some of 1"),
        (["--predictions", f"s3://{BUCKET}/nowhere/*"], f"no object matches s3://{BUCKET}/nowhere/*"),
        (["--predictions", "s3://"], "'s3://' is not s3://bucket/key"),
        (["--group", "another", "--write"], "no prediction of group another"),
    ],
    ids=["too few labels", "another version", "no log", "no address", "another group"],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit status 1, nothing on stdout, no traceback."""
    arn = clients.register()
    labels = logged(clients, tmp_path, right=0.7)
    capsys.readouterr()
    assert main(["evaluate-live", "--predictions", LOG, "--labels", str(labels), "--group", GROUP, *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert clients.describe(arn)["CustomerMetadataProperties"] == REGISTERED


def test_a_version_that_was_logged_and_is_not_registered_is_named(
    clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a group was made anew."""
    labels = logged(clients, tmp_path, right=0.7, version=9)
    arguments = ["evaluate-live", "--predictions", LOG, "--labels", str(labels), "--group", GROUP, "--write"]
    assert main(arguments) == 1
    assert f"model package group {GROUP} has no version 9" in capsys.readouterr().err
