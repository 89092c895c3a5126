"""`psm-train approve --auto` against the registry emulator and a real S3 server; two processes at once among it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from model_versions import answers, model_files

from psm_contract import metadata
from psm_local.aws import AwsEndpoints
from psm_local.emulator.control import EmulatorControl
from psm_training import auto_approval
from psm_training.__main__ import main
from psm_training.registry import APPROVED, PENDING, REJECTED, ModelPackage, ModelRegistry

BUCKET = "mlops-dev-models"
GROUP = "price-sensitivity"
WAIT_S = 60

Answer = dict[str, Any]


@pytest.fixture
def aws(storage: Any, s3: AwsEndpoints) -> ModelRegistry:
    """The registry and an empty bucket, found through the standard variables alone."""
    for found in storage.list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/").get("Contents", []):
        storage.delete_object(Bucket=BUCKET, Key=found["Key"])
    return ModelRegistry(s3.region)


@pytest.fixture
def psm_train(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command and reads its JSON."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        answer: Answer = json.loads(captured.out)
        return answer

    return run


def registered(psm_train: Callable[..., Answer], folder: Path, *models: tuple[float, int]) -> None:
    """A version for each (share of right answers, seed)."""
    for number, (right, seed) in enumerate(models, start=1):
        psm_train("register", "--model", model_files(folder / f"m{number}", answers(right, seed=seed)).folder)


def described(aws: ModelRegistry, version: int) -> dict[str, Any]:
    found = aws.find(GROUP, str(version))
    details = aws.details(found)
    return {"status": found.status, "reason": details.decision, **details.properties}


def statuses(aws: ModelRegistry) -> dict[int, str]:
    return {package.version: package.status for package in aws.versions(GROUP)}


def test_the_ruling_and_its_evidence_are_written(
    aws: ModelRegistry, psm_train: Callable[..., Answer], tmp_path: Path
) -> None:
    """The first is approved for its KPIs, the next waits as no more than noise, the better one is approved."""
    registered(psm_train, tmp_path, (0.78, 1), (0.785, 3), (0.86, 2))
    assert psm_train("approve", "--auto", 1)["status"] == APPROVED
    assert psm_train("approve", "--auto", 2)["status"] == PENDING
    answer = psm_train("approve", "--auto", 3)
    assert statuses(aws) == {1: APPROVED, 2: PENDING, 3: APPROVED}

    assert "no version was approved before" in described(aws, 1)["reason"]
    assert "accuracy against version 1" in described(aws, 2)["reason"]
    assert "may be noise" in described(aws, 2)["reason"]
    third = described(aws, 3)
    assert third["reason"] == answer["reason"]
    assert third[metadata.DATA_SHA256] == "d" * 64
    stored = aws.get(third[metadata.APPROVAL])
    assert stored is not None
    assert json.loads(stored.content) == {**answer["evidence"], "reason": answer["reason"]}
    assert answer["evidence"]["comparison"]["accuracy_difference"]["confidence_interval_95"][0] > 0


def test_ruling_again_writes_nothing(
    aws: ModelRegistry, psm_train: Callable[..., Answer], tmp_path: Path, registry: EmulatorControl
) -> None:
    """An update would tell every operator that the package changed; and --dry-run never writes."""
    registered(psm_train, tmp_path, (0.78, 1), (0.785, 3))
    assert psm_train("approve", "--auto", "--dry-run", 1)["approve"] is True
    assert "UpdateModelPackage" not in registry.calls()
    for version in (1, 2, 1, 2):
        psm_train("approve", "--auto", version)
    assert registry.calls()["UpdateModelPackage"] == 2
    assert statuses(aws) == {1: APPROVED, 2: PENDING}


def test_what_a_person_rejected_stays_rejected(
    aws: ModelRegistry, psm_train: Callable[..., Answer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and the reason."""
    registered(psm_train, tmp_path, (0.86, 1))
    psm_train("reject", 1, "--reason", "wrong prices")
    assert main(["approve", "--auto", "1"]) == 1
    assert "version 1 was rejected (wrong prices); only a person can approve it" in capsys.readouterr().err
    assert statuses(aws) == {1: REJECTED}


def test_of_two_approvals_at_once_one_wins(
    aws: ModelRegistry, psm_train: Callable[..., Answer], tmp_path: Path, registry: EmulatorControl
) -> None:
    """Both beat version 1 and neither beats the other: whoever is second is measured against the first."""
    registered(psm_train, tmp_path, (0.78, 1), (0.86, 2), (0.86, 3))
    psm_train("approve", "--auto", 1)
    assert psm_train("approve", "--auto", "--dry-run", 2)["approve"] is True
    assert psm_train("approve", "--auto", "--dry-run", 3)["approve"] is True

    registry.set_faults(latency_ms=30.0)  # so that one alone takes longer than the other's head start
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "psm_training", "approve", "--auto", str(version)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for version in (2, 3)
    ]  # fmt: skip
    ended = [racer.communicate(timeout=WAIT_S) for racer in racers]
    registry.set_faults()
    assert [racer.returncode for racer in racers] == [0, 0], ended
    assert sorted(json.loads(out)["status"] for out, _ in ended) == [APPROVED, PENDING]
    assert sorted(statuses(aws).values()) == [APPROVED, APPROVED, PENDING]
    loser = next(number for number, status in statuses(aws).items() if status == PENDING)
    expected = {2: "version 3 is newer and approved already", 3: "accuracy against version 2"}[loser]
    assert expected in described(aws, loser)["reason"]


@pytest.mark.parametrize(
    ("place", "told"),
    [("rule", "version 3 was not decided"), ("_take_back_if_others_approved", "version 3 waits again")],
    ids=["before the write", "after the write"],
)
def test_a_person_who_approves_meanwhile_wins(  # noqa: PLR0917  # fixtures
    place: str,
    told: str,
    aws: ModelRegistry,
    psm_train: Callable[..., Answer],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A console takes no lease; the automatic approval notices, and the version waits."""
    registered(psm_train, tmp_path, (0.78, 1), (0.86, 2), (0.86, 3))
    psm_train("approve", "--auto", 1)
    really = getattr(auto_approval, place)

    def meanwhile(*arguments: Any) -> Any:
        aws.decide(aws.find(GROUP, "2"), APPROVED, "by hand")
        return really(*arguments)

    monkeypatch.setattr(auto_approval, place, meanwhile)
    assert main(["approve", "--auto", "3"]) == 1
    assert told in capsys.readouterr().err
    assert statuses(aws) == {1: APPROVED, 2: APPROVED, 3: PENDING}


def test_s3_keeps_its_promise(aws: ModelRegistry) -> None:
    """Conditional writes, as the lease needs them: made once, changed only by who saw the last."""
    url = f"s3://{BUCKET}/{GROUP}/conditional"
    assert aws.get(url) is None
    assert not aws.put_if(url, b"x", etag='"0123456789abcdef0123456789abcdef"')
    assert aws.put_if(url, b"one", etag=None)
    assert not aws.put_if(url, b"two", etag=None)
    seen = aws.get(url)
    assert seen is not None
    assert (seen.content, 0 <= seen.age_s < WAIT_S) == (b"one", True)
    assert aws.put_if(url, b"three", etag=seen.etag)
    assert not aws.put_if(url, b"four", etag=seen.etag)


@pytest.mark.usefixtures("aws")
def test_the_model_card_goes_along_when_there_is_one(
    s3: AwsEndpoints, psm_train: Callable[..., Answer], tmp_path: Path
) -> None:
    """What `psm-train report` wrote beside the model is the package's draft of a model card."""
    files = model_files(tmp_path / "with", answers(0.78, seed=1))
    (files.folder / "model_card.json").write_text('{"model_overview": {}}')
    with_card = psm_train("register", "--model", files.folder)
    without = psm_train("register", "--model", model_files(tmp_path / "without", answers(0.79, seed=2)).folder)
    sagemaker = boto3.client("sagemaker", region_name=s3.region)
    seen = sagemaker.describe_model_package(ModelPackageName=with_card["arn"])
    assert seen["ModelCard"] == {"ModelCardContent": '{"model_overview": {}}', "ModelCardStatus": "Draft"}
    assert "ModelCard" not in sagemaker.describe_model_package(ModelPackageName=without["arn"])


def test_a_version_is_found_by_its_arn(aws: ModelRegistry, psm_train: Callable[..., Answer], tmp_path: Path) -> None:
    """The group is what the package says, whatever --group is."""
    registered(psm_train, tmp_path, (0.78, 1))
    package: ModelPackage = aws.find(GROUP, "1")
    assert psm_train("approve", "--auto", package.arn, "--group", "another")["status"] == APPROVED
