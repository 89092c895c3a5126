"""A verdict that reaches a registered version: what the operator reads at its next poll."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from training_spaces import copied

from psm_contract import metadata
from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.sagemaker import validation_of
from psm_operator.values import DataValidation
from psm_training.__main__ import main
from psm_training.ingest import ingest
from psm_training.provenance import data_sha256
from psm_training.registry import ModelRegistry, Registration
from psm_training.workspace import Workspace

GROUP = "price-sensitivity"
REGION = "ap-southeast-1"


@pytest.fixture
def sagemaker(registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The registry, found through the standard variables alone."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", registry.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    return boto3.client("sagemaker", region_name=REGION)


@pytest.fixture(scope="module")
def good(synthetic_gold: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return copied(synthetic_gold, tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The newest delivery, in which the large baskets have a size that nobody knows."""
    from psm_training.synthetic_files import Order, synthesize  # noqa: PLC0415

    root = tmp_path_factory.mktemp("bad")
    synthesize(root / "files", Order(lines=20_000))
    for path in (root / "files").glob("*.csv"):
        path.write_text(path.read_text().replace(",L,", ",XXL,"))
    space = Workspace(root / "out")
    ingest(space, "source-files", root / "files")
    return space


def registered(space: Workspace) -> str:
    """A version trained on the workspace's data; its ARN."""
    properties = {
        metadata.DATA_VALIDATION: "passed",
        metadata.DATA_SHA256: data_sha256(space),
        metadata.ACCURACY: "0.78",
    }
    package = ModelRegistry(REGION).register(
        Registration(
            group=GROUP, image="image", model_url="s3://b/k/model.tar.gz", evaluation_url="s3://b/k/evaluation.json",
            environment={}, properties=properties, commit="0" * 40, description="for the test",
        )
    )  # fmt: skip
    return package.arn


def properties_of(sagemaker: Any, arn: str) -> dict[str, str]:
    found: dict[str, str] = sagemaker.describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    return found


def test_a_failure_reaches_the_version_that_serves_and_is_taken_back_by_the_data_it_was_trained_on(
    sagemaker: Any, good: Workspace, bad: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command fails all the same; approval and the other properties stay."""
    arn = registered(good)
    main(["approve", "1"])
    assert main(["validate", "--out", str(bad.root), "--record", "1"]) == 1
    assert "version 1 says failed" in (told := capsys.readouterr().err)
    assert "silver words: BASKET_SIZE is one of S, M, L; seen: 'XXL'" in told
    properties = properties_of(sagemaker, arn)
    assert validation_of(properties) is DataValidation.FAILED
    assert properties[metadata.ACCURACY] == "0.78"
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Approved"

    assert main(["validate", "--out", str(good.root), "--record", arn]) == 0
    assert json.loads(capsys.readouterr().out)["recorded"]["changed"] is True
    assert validation_of(properties_of(sagemaker, arn)) is DataValidation.PASSED


def test_good_data_of_another_window_proves_nothing(
    sagemaker: Any, good: Workspace, bad: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that failed does not pass because this week's data does."""
    arn = registered(bad)
    main(["validate", "--out", str(bad.root), "--record", "1"])
    assert main(["validate", "--out", str(good.root), "--record", "1"]) == 1
    assert "version 1 was trained on other data" in capsys.readouterr().err
    assert validation_of(properties_of(sagemaker, arn)) is DataValidation.FAILED


@pytest.mark.usefixtures("sagemaker")
def test_data_that_could_not_be_judged_is_no_verdict(
    sagemaker: Any, good: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is recorded where nothing was found out."""
    arn = registered(good)
    assert main(["validate", "--out", str(tmp_path), "--record", "1"]) == 1
    assert "run `psm-train ingest` first" in capsys.readouterr().err
    assert validation_of(properties_of(sagemaker, arn)) is DataValidation.PASSED
