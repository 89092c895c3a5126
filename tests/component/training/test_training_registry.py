"""Registering against the registry emulator and a real S3 server, through the command line."""

import hashlib
import json
from typing import Any

import boto3
import pytest
from training_spaces import Ran, copied

from psm_contract import metadata
from psm_contract.manifest import Manifest
from psm_local.aws import AwsEndpoints
from psm_local.emulator.control import EmulatorControl
from psm_training.__main__ import main
from psm_training.archive import unpack
from psm_training.provenance import data_sha256
from psm_training.report import ROOT
from psm_training.workspace import ModelFiles, Workspace

BUCKET = "mlops-dev-models"
GROUP = "price-sensitivity"


@pytest.fixture
def clients(storage: Any, s3: AwsEndpoints) -> tuple[Any, Any]:
    """boto3 clients of the stand-ins, found through the standard variables alone; the bucket exists."""
    return boto3.client("sagemaker", region_name=s3.region), storage


@pytest.fixture(scope="module")
def trained(synthetic_run: Ran, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """A model trained on synthetic baskets, by the command."""
    return copied(synthetic_run.space, tmp_path_factory.mktemp("trained")).of("v1")


def psm_train(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    """Runs the command and reads its JSON."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return json.loads(captured.out)


def test_a_registered_model_carries_all_that_the_operator_needs(
    clients: tuple[Any, Any], trained: ModelFiles, capsys: pytest.CaptureFixture[str], registry: EmulatorControl
) -> None:
    """Archive and evaluation in S3 under the archive's digest; metadata; waiting for approval."""
    sagemaker, storage = clients
    package = psm_train(capsys, "register", "--model", trained.folder)
    card = json.loads(trained.card.read_text())
    assert (package["version"], package["status"]) == (1, "PendingManualApproval")

    seen = sagemaker.describe_model_package(ModelPackageName=package["arn"])
    (container,) = seen["InferenceSpecification"]["Containers"]
    folder = f"s3://{BUCKET}/{GROUP}/{card['sha256']}"
    assert container["ModelDataUrl"] == f"{folder}/model.tar.gz"
    assert seen["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == f"{folder}/evaluation.json"
    properties = seen["CustomerMetadataProperties"]
    assert properties == {
        metadata.PROTOCOL: "3",
        metadata.SHA256: card["sha256"],
        metadata.ACCURACY: metadata.format_metric(card["metrics"]["accuracy"]),
        metadata.MACRO_F1: metadata.format_metric(card["metrics"]["macro_f1"]),
        metadata.PRECISION_MIN_CLASS: metadata.format_metric(card["metrics"]["precision_min_class"]),
        metadata.DATA_VALIDATION: "passed",
        metadata.DATA_SHA256: card["data_sha256"],
        metadata.DATA_SOURCE: "synthetic",
        metadata.TRAINING_WINDOW: "200801-200836",
        metadata.RECIPE: "v1",
        metadata.GIT_SHA: card["git_sha"],
        metadata.LINEAGE: f"{folder}/lineage.json",
    }
    assert seen["MetadataProperties"]["CommitId"] == card["git_sha"]

    key = f"{GROUP}/{card['sha256']}"
    raw = storage.get_object(Bucket=BUCKET, Key=f"{key}/model.tar.gz")["Body"].read()
    assert hashlib.sha256(raw).hexdigest() == card["sha256"]
    assert Manifest.from_json(unpack(raw)["manifest.json"]).metrics == card["metrics"]
    evaluation = json.loads(storage.get_object(Bucket=BUCKET, Key=f"{key}/evaluation.json")["Body"].read())
    assert evaluation[ROOT]["accuracy"]["value"] == card["metrics"]["accuracy"]
    assert registry.missing() == []


def test_the_lineage_leads_from_the_registry_to_data_code_and_files(
    clients: tuple[Any, Any], trained: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file that it names lies in S3 with the digest that it says; the data's digest is that of silver."""
    sagemaker, storage = clients
    package = psm_train(capsys, "register", "--model", trained.folder)
    card = json.loads(trained.card.read_text())
    properties = sagemaker.describe_model_package(ModelPackageName=package["arn"])["CustomerMetadataProperties"]

    def stored(url: str) -> bytes:
        content: bytes = storage.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        return content

    lineage = json.loads(stored(properties[metadata.LINEAGE]))
    assert {name: hashlib.sha256(stored(made["url"])).hexdigest() for name, made in lineage["made"].items()} == {
        name: made["sha256"] for name, made in lineage["made"].items()
    }
    assert lineage["made"].keys() == {"archive", "evaluation", "predictions"}
    assert lineage["made"]["archive"]["sha256"] == card["sha256"] == properties[metadata.SHA256]
    assert (
        lineage["data"]["sha256"] == data_sha256(Workspace(trained.folder.parent)) == properties[metadata.DATA_SHA256]
    )
    assert lineage["code"]["git_sha"] == properties[metadata.GIT_SHA]
    assert lineage["recipe"]["name"] == "v1"


@pytest.mark.usefixtures("clients")
def test_versions_count_up_and_the_group_is_made_once(
    trained: ModelFiles, capsys: pytest.CaptureFixture[str], registry: EmulatorControl
) -> None:
    """Registering again is another version of the same group."""
    versions = [psm_train(capsys, "register", "--model", trained.folder)["version"] for _ in range(3)]
    assert versions == [1, 2, 3]
    assert registry.calls()["CreateModelPackageGroup"] == 1


def test_approval_and_rejection_keep_the_metadata(
    clients: tuple[Any, Any], trained: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """By number or by ARN; what was registered stays."""
    sagemaker, _ = clients
    package = psm_train(capsys, "register", "--model", trained.folder)
    assert psm_train(capsys, "approve", 1, "--reason", "looks good")["status"] == "Approved"
    assert psm_train(capsys, "reject", package["arn"], "--reason", "it does not")["status"] == "Rejected"
    seen = sagemaker.describe_model_package(ModelPackageName=package["arn"])
    assert seen["ApprovalDescription"] == "it does not"
    assert seen["CustomerMetadataProperties"][metadata.DATA_VALIDATION] == "passed"


def test_live_metrics_are_added_and_the_approval_stays(
    clients: tuple[Any, Any], trained: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an evaluation job writes is what the operator reads first."""
    sagemaker, _ = clients
    package = psm_train(capsys, "register", "--model", trained.folder)
    psm_train(capsys, "approve", 1)
    answer = psm_train(capsys, "record-metrics", 1, "accuracy=0.61", "macro_f1=0.58")
    assert answer["recorded"] == {"psm.live.accuracy": "0.610000", "psm.live.macro_f1": "0.580000"}
    seen = sagemaker.describe_model_package(ModelPackageName=package["arn"])
    assert seen["ModelApprovalStatus"] == "Approved"
    parsed = metadata.parse_metrics(seen["CustomerMetadataProperties"])
    assert str(parsed.values["accuracy"]) == "0.610000"
    assert seen["CustomerMetadataProperties"][metadata.SHA256] == json.loads(trained.card.read_text())["sha256"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["approve", "7"], "model package group price-sensitivity has no version 7"),
        (["approve", "seven"], "'seven' is neither a version number nor a model package ARN"),
        (["record-metrics", "1", "accuracy"], "'accuracy' is not NAME=VALUE"),
        (["record-metrics", "1", "accuracy=good"], "could not convert string to float: 'good'"),
        (["record-metrics", "1", "accuracy=nan"], "metric value nan is not finite"),
    ],
    ids=["no such version", "no version at all", "no value", "a word for a value", "not a number"],
)
@pytest.mark.usefixtures("clients")
def test_a_mistake_is_one_line_with_the_value(
    trained: ModelFiles,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    """Exit status 1, nothing on stdout, no traceback."""
    psm_train(capsys, "register", "--model", trained.folder)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.usefixtures("clients")
def test_a_missing_bucket_is_named(
    trained: ModelFiles, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, registry: EmulatorControl
) -> None:
    """Nothing is registered. Asked of the emulator's S3: SeaweedFS makes a bucket that is written to, AWS does not."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert main(["register", "--model", str(trained.folder), "--bucket", "no-such-bucket"]) == 1
    assert "could not upload model.tar.gz to s3://no-such-bucket/" in capsys.readouterr().err
    assert "CreateModelPackage" not in registry.calls()


def test_drift_from_a_registered_version_is_drift_from_its_archive(
    clients: tuple[Any, Any], trained: ModelFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--version` fetches what `--model` reads; an archive that is gone is named."""
    _, storage = clients
    psm_train(capsys, "register", "--model", trained.folder)
    order = ("drift", "--out", trained.folder.parent)
    assert psm_train(capsys, *order, "--version", 1) == psm_train(capsys, *order, "--model", trained.artifact)
    key = f"{GROUP}/{json.loads(trained.card.read_text())['sha256']}/model.tar.gz"
    storage.delete_object(Bucket=BUCKET, Key=key)
    assert main([*map(str, order), "--version", "1"]) == 1
    assert f"there is no s3://{BUCKET}/{key}; name the archive with --model" in capsys.readouterr().err


@pytest.mark.usefixtures("clients")
def test_a_throttled_registry_is_asked_again(
    trained: ModelFiles, capsys: pytest.CaptureFixture[str], registry: EmulatorControl
) -> None:
    """Adaptive retries ride over a short throttle."""
    psm_train(capsys, "register", "--model", trained.folder)
    registry.set_faults(throttle_rps=1.0)
    assert psm_train(capsys, "approve", 1)["status"] == "Approved"
