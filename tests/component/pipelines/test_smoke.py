"""`psm-train smoke` asks a real predictor process; `psm-train wait-approved` the registry emulator."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from artifacts import ArtifactFile, make_artifact
from predictor_process import PredictorProcess, environment

from psm_contract.manifest import MANIFEST
from psm_local.aws import REGION, AwsEndpoints
from psm_local.emulator.control import EmulatorControl
from psm_training.__main__ import main
from psm_training.archive import pack, unpack
from psm_training.errors import PipelineError
from psm_training.smoke import Served, smoke

pytestmark = pytest.mark.component


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def url(artifact: ArtifactFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where version 7 serves."""
    with PredictorProcess(environment(artifact, tmp_path_factory.mktemp("serving"))) as process:
        process.wait_ready()
        yield process.url


def test_a_served_model_answers_what_its_archive_says(
    url: str, artifact: ArtifactFile, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows in one request, each basket of till lines in one of its own."""
    assert main(["smoke", "--url", url, "--model", str(artifact.path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == 7
    assert found["asked"] == 1 + len(artifact.manifest.golden_baskets) > 1
    assert found["largest_difference"] <= 1e-5


def test_another_model_behind_the_address_is_named(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the roll-out did not take place."""
    other = make_artifact(tmp_path, seed=1)
    assert main(["smoke", "--url", url, "--model", str(other.path), "--timeout", "0"]) == 1
    assert "serves version 7, sha256 " in capsys.readouterr().err  # fmt: skip


def test_nothing_behind_the_address_is_said(artifact: ArtifactFile, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["smoke", "--url", "http://127.0.0.1:1", "--model", str(artifact.path), "--timeout", "0"]
    assert main(arguments) == 1
    assert "after 0 s: http://127.0.0.1:1/model does not answer" in capsys.readouterr().err


class Lying(Served):
    """Says that it serves another archive than it does."""

    sha256 = ""

    def ask(self, path: str, body: Any = None) -> Any:
        answer = super().ask(path, body)
        return {**answer, "sha256": self.sha256} if path == "/model" else answer


def test_an_answer_that_differs_fails(url: str, artifact: ArtifactFile) -> None:
    """The archive promises other probabilities than the model behind its digest gives."""
    members = unpack(artifact.path.read_bytes())
    manifest: dict[str, Any] = json.loads(members[MANIFEST])
    for basket in manifest["golden_baskets"]:
        basket["probabilities"] = [1.0, 0.0, 0.0]
    promising = pack({**members, MANIFEST: json.dumps(manifest).encode()})
    served = Lying(url)
    object.__setattr__(served, "sha256", hashlib.sha256(promising).hexdigest())
    with pytest.raises(PipelineError, match="version 7 answers other than its archive says: a probability is 0"):
        smoke(promising, served, limit_s=0.0, pause=lambda _: None)


def test_a_version_is_waited_for_until_it_is_approved(
    registry: EmulatorControl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the registry emulator: pending is too long, rejected fails, approved is told."""
    for name, value in AwsEndpoints(*[registry.url] * 4).environment().items():
        monkeypatch.setenv(name, value)
    sagemaker = boto3.client("sagemaker", region_name=REGION)
    sagemaker.create_model_package_group(ModelPackageGroupName="g")
    arn = sagemaker.create_model_package(ModelPackageGroupName="g", ModelApprovalStatus="PendingManualApproval")[
        "ModelPackageArn"
    ]
    wait = ["wait-approved", "1", "--group", "g", "--timeout", "0"]
    assert main(wait) == 1
    assert "version 1 is still PendingManualApproval" in capsys.readouterr().err
    for status, code in (("Rejected", 1), ("Approved", 0)):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
        assert main(wait) == code
    assert json.loads(capsys.readouterr().out)["status"] == "Approved"
    sagemaker.close()
