"""The model workflow, command by command: emulated registry, real S3, real API server and operator, a real predictor process.

A first version goes all the way; the second is served by nobody at the address, so the pipeline goes back. Pods are
simulated (they become Ready and run nothing), so what is asked at the end is a predictor that this test starts.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from artifacts import ArtifactFile
from crds import install_crd
from pipeline_runner import Job, Sandbox
from pipeline_steps import github_job, github_steps
from plugin_terminal import LIMIT_S, REGION, Terminal
from predictor_process import PredictorProcess, environment
from waiting import until

from psm_contract.manifest import MANIFEST, Manifest
from psm_local.cluster import Cluster
from psm_training.archive import unpack

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
GROUP = "pipeline"
SPEC = {
    "interval": "15s",
    "registry": {"modelPackageGroupName": GROUP, "region": REGION},
    "rollout": {"soak": "1s", "minReadySeconds": 0},
    "rollback": {"cooldown": "0s"},
}


@pytest.fixture
def terminal(control_plane: Cluster) -> Iterator[Terminal]:
    """Kubectl in a namespace of its own, where the CRD is known."""
    install_crd(control_plane)
    control_plane.kubectl("create", "namespace", "pipeline")
    yield Terminal(control_plane, "pipeline")
    control_plane.kubectl("delete", "namespace", "pipeline", "--wait=false")


@contextmanager
def operator(terminal: Terminal) -> Iterator[None]:
    """The operator as a process, for this namespace alone."""
    ports = {"HEALTH_PORT": "0", "METRICS_PORT": "0"}
    settings = {"NAMESPACES": "pipeline", "LEASE_NAMESPACE": "pipeline", **ports}
    variables = {**terminal.variables, **{f"PSM_OPERATOR_{name}": value for name, value in settings.items()}}
    process = subprocess.Popen([sys.executable, "-m", "psm_operator"], env=variables)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def serving(sandbox: Sandbox, version: int) -> Iterator[str]:
    """A predictor with the archive that was registered, as a pod of this version would have it."""
    path = sandbox.tree / "build" / "model" / "v1" / "model.tar.gz"
    card = json.loads(path.with_name("model.json").read_text())
    archive = ArtifactFile(path, card["sha256"], Manifest.from_json(unpack(path.read_bytes())[MANIFEST]))
    arn = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/{GROUP}/{version}"
    told = environment(archive, sandbox.folder, PSM_MODEL_PACKAGE_ARN=arn, PSM_MODEL_PACKAGE_VERSION=str(version))
    with PredictorProcess(told) as process:
        process.wait_ready()
        yield process.url


def context(approve: str, **more: Any) -> dict[str, Any]:
    """What GitHub and a team's settings would say; an unset variable is empty."""
    variables = {
        "MODEL_DATA_SOURCE": "synthetic",
        "MODEL_DATA": "",
        "MODEL_LAKE": "",
        "MODEL_GROUP": GROUP,
        "MODEL_BUCKET": GROUP,
        "MODEL_IMAGE": "",
        "MODEL_NAME": "m",
        "MODEL_NAMESPACE": "pipeline",
        "MODEL_URL": "",
    }
    inputs = {"environment": "dev", "recipe": "v1", "approve": approve}
    return {"vars": {**variables, **more.pop("vars", {})}, "inputs": inputs, "github": {}, **more}


def test_a_version_goes_from_data_to_service_and_a_bad_one_goes_back(terminal: Terminal, tmp_path: Path) -> None:
    """Each `run` of model.yml, in a copy of the work tree."""
    aws = terminal.cluster.aws
    variables = {**aws.environment(), "KUBECONFIG": str(terminal.cluster.kubeconfig)}
    sandbox = Sandbox(tmp_path, variables).prepare()
    terminal.create("m", SPEC)
    _make_bucket(terminal)
    with operator(terminal):
        trained = Job(sandbox, context("auto")).run(github_job("model.yml", "train"))
        assert not trained.has_failed, trained.report
        assert trained.steps["version"]["outputs"] == {"version": "1"}
        ruling = json.loads((sandbox.tree / "build" / "model" / "ruling.json").read_text())
        assert ruling["status"] == "PendingManualApproval", "ruling writes nothing"
        needs = {"train": {"outputs": trained.steps["version"]["outputs"]}}
        with serving(sandbox, 1) as url:
            deployed = Job(sandbox, context("auto", vars={"MODEL_URL": url}, needs=needs))
            deployed.run(github_job("model.yml", "deploy"))
            assert not deployed.has_failed, deployed.report
            assert "make model-rollback" not in deployed.ran
            until(lambda: _stable(terminal) == 1, "version 1 to be the way back", LIMIT_S)

            again = [step for step in github_job("model.yml", "train") if "model-register" in step.targets or step.id]
            second = Job(sandbox, context("person")).run(again)
            assert second.steps["version"]["outputs"] == {"version": "2"}
            approving = sandbox.shell(_by_hand("psm-train approve 2 --group pipeline"), ("bash", "-ec"), {})
            assert approving.code == 0, approving.said
            needs = {"train": {"outputs": second.steps["version"]["outputs"]}}
            failed = Job(sandbox, context("person", vars={"MODEL_URL": url}, needs=needs))
            failed.run(github_job("model.yml", "deploy"), SMOKE_TIMEOUT="1")
    assert failed.steps["smoke"]["outcome"] == "failure", failed.report
    assert failed.ran[-1] == "make model-rollback"
    assert "rolled back from version 2 to 1" in sandbox.done[-1].said, failed.report
    assert _every_run_was_executed(sandbox), failed.report


def _every_run_was_executed(sandbox: Sandbox) -> bool:
    """Of both jobs, `kubeconfig` apart, which is listed."""
    done = {done.step.command for done in sandbox.done if not done.step.command.startswith("make -n")}
    path = ROOT / ".github" / "workflows" / "model.yml"
    return {step.command for step in github_steps(path)} - done == {"make kubeconfig"}


def _by_hand(command: str) -> Any:
    step = github_job("model.yml", "train")[0]
    return type(step)("a person", "", f"uv run --no-sync {command}")


def _stable(terminal: Terminal) -> int | None:
    status = terminal.model("m").get("status") or {}
    return (status.get("stable") or {}).get("version") if status.get("phase") == "Ready" else None


def _make_bucket(terminal: Terminal) -> None:
    import boto3  # noqa: PLC0415  # for this alone

    aws = terminal.cluster.aws
    s3 = boto3.client(
        "s3",
        region_name=aws.region,
        endpoint_url=aws.s3_host_url,
        aws_access_key_id=aws.access_key,
        aws_secret_access_key=aws.secret_key,
    )
    s3.create_bucket(Bucket=GROUP, CreateBucketConfiguration={"LocationConstraint": aws.region})
    s3.close()
