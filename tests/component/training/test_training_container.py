"""The training container's contract with SageMaker, executed: folders, hyperparameters, metrics, signals, exit codes."""

import json
import os
import re
import shutil
import signal
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from local_pipeline import Execution, FailedByPipeline
from training_container import LIMIT_S, Container, Ended, machine, run
from waiting import until

from psm_contract.manifest import JOBLIB, MANIFEST
from psm_local.aws import AwsEndpoints
from psm_local.emulator.control import EmulatorControl
from psm_training.archive import unpack
from psm_training.sagemaker import observed
from psm_training.sagemaker.pipeline import definition
from psm_training.sagemaker.requests import Place

pytestmark = pytest.mark.component

SMALL = {"source": "synthetic", "recipe": "v1"}
KEPT = "kept from before the interruption"


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A training job whose spot machine was taken away when one step was finished."""
    container = Container(machine(tmp_path_factory.mktemp("interrupted"), SMALL))
    until(lambda: list((container.tree / "checkpoints").glob("*/ingest.json")), "the first checkpoint", LIMIT_S)
    container.signal(signal.SIGTERM)
    return container.end()


@pytest.fixture(scope="module")
def trained(interrupted: Ended, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The same job on another machine, with the checkpoints of the first, to the model."""
    return run(machine(tmp_path_factory.mktemp("trained"), SMALL, interrupted.tree / "checkpoints"))


def test_a_signal_ends_a_job_at_once_and_is_no_failure(interrupted: Ended) -> None:
    """143, no reason and no model."""
    assert (interrupted.code, interrupted.failure) == (128 + signal.SIGTERM, None), interrupted.log
    assert not (interrupted.tree / "model/model.json").exists()


def test_an_interrupted_job_goes_on_and_leaves_a_model_and_its_metrics(trained: Ended) -> None:
    """What was finished is not done again; every metric definition finds in the log what the evaluation says."""
    assert (trained.code, trained.failure) == (0, None), trained.log
    assert re.search(rf"^ingest +{KEPT}$", trained.log, re.MULTILINE)
    card, metrics = trained.card(), trained.metrics
    assert card["recipe"]["name"] == "v1"
    assert {name for name, values in metrics.items() if not values} == set()
    assert metrics["test:accuracy"] == [pytest.approx(card["metrics"]["accuracy"], abs=1e-6)]
    assert len(metrics[observed.STEP_SECONDS]) + trained.log.count(KEPT) == 8


def test_the_models_folder_holds_the_archive_unchanged(trained: Ended) -> None:
    """SageMaker packs it again, so the archive with the registered digest lies inside; no matrix goes to S3."""
    with tarfile.open(trained.packed()) as archive:
        names = set(archive.getnames())
    assert {"model.tar.gz", "model.json", "evaluation.json"} <= names
    assert "features.npz" not in names


def test_each_steps_time_goes_to_cloudwatch(trained: Ended) -> None:
    """One line in the embedded metric format for each step."""
    lines = [json.loads(line) for line in trained.log.splitlines() if line.startswith('{"') and '"_aws"' in line]
    assert [line["Step"] for line in lines] == [*observed.OBJECTIVES][trained.log.count(KEPT) : -1]


def test_a_job_with_other_hyperparameters_takes_no_checkpoint(trained: Ended, tmp_path: Path) -> None:
    """A folder of checkpoints that was used before must not decide what a model is."""
    other = {**SMALL, "estimator.trees": "11", "steps": "ingest"}
    ended = run(machine(tmp_path, other, trained.tree / "checkpoints"))
    assert ended.code == 0
    assert KEPT not in ended.log


def test_a_worker_killed_for_its_memory_is_told_so(tmp_path: Path) -> None:
    """The first process survives and says what SageMaker shows; its metrics were there while it ran."""
    container = Container(machine(tmp_path, SMALL), ("--metrics-port", "0", "train"))
    container.until("metrics on port")
    (port,) = re.findall(r"metrics on port (\d+)", container.log)

    def scraped() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    until(lambda: 'psm_training_step_started_timestamp_seconds{step="' in scraped(), "a step to run", 60)
    assert 'psm_training_step_objective_seconds{step="train"} 1800' in scraped()
    os.kill(container.worker(), signal.SIGKILL)
    ended = container.end()
    assert ended.code == 128 + signal.SIGKILL
    assert ended.failure is not None
    assert re.fullmatch(
        r"the training process was killed during [\w-]+; it most likely needed more memory.*", ended.failure
    )


@pytest.mark.parametrize(
    ("hyperparameters", "code", "reason"),
    [
        ({"recipe": "v9"}, 2, "unknown recipe 'v9'"),
        ({"source": "source-files", "steps": "ingest"}, 1, "ingest: "),
        ({"steps": "train"}, 1, "train: "),
    ],
    ids=["a wrong hyperparameter", "no channel with data", "steps that need others"],
)
def test_a_failure_says_why(tmp_path: Path, hyperparameters: dict[str, str], code: int, reason: str) -> None:
    """In the file that becomes FailureReason: the step and the reason, at most 1,024 characters."""
    ended = run(machine(tmp_path, hyperparameters))
    assert ended.code == code, ended.log
    assert ended.failure is not None
    assert ended.failure.startswith(reason)
    assert len(ended.failure) <= 1024


def test_bad_hyperparameters_are_no_json(tmp_path: Path) -> None:
    tree = machine(tmp_path, {})
    (tree / "input/config/hyperparameters.json").write_text("{")
    ended = run(tree)
    assert ended.code == 2
    assert "is no JSON" in str(ended.failure)


def test_data_that_fails_validation_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """65: nobody need try it again. The data come by a channel; the order may say to go on, and the verdict stays."""
    source = tmp_path / "files"
    source.mkdir()
    header = (
        "SHOP_WEEK,SHOP_DATE,SHOP_WEEKDAY,SHOP_HOUR,QUANTITY,SPEND,PROD_CODE,PROD_CODE_10,PROD_CODE_20,PROD_CODE_30,"
    )
    header += "PROD_CODE_40,CUST_CODE,seg_1,seg_2,BASKET_ID,BASKET_SIZE,BASKET_PRICE_SENSITIVITY,BASKET_TYPE,"
    header += "BASKET_DOMINANT_MISSION,STORE_CODE,STORE_FORMAT,STORE_REGION\n"
    row = "200801,20080101,1,12,1,1.5,PRD1,CL1,DEP1,G1,D1,CUST1,,,994100100000001,S,LA,Small Shop,Fresh,STORE1,LS,E01\n"
    (source / "transactions_200801.csv").write_text(header + row)
    order = {"source": "source-files", "steps": "ingest,validate"}
    for allowed, code in (("false", 65), ("true", 0)):
        tree = machine(tmp_path / allowed, {**order, "allow_failed_validation": allowed})
        shutil.copytree(source, tree / "input/data/training")
        ended = run(tree)
        assert ended.code == code, ended.log
        assert ("validate: " in str(ended.failure)) is (code != 0)


def test_the_image_does_not_serve(tmp_path: Path) -> None:
    """An endpoint made of the wrong image says so."""
    ended = run(machine(tmp_path, {}), ("serve",))
    assert ended.code == 2
    assert "the predictor's image serves" in ended.log


# --- the pipeline, executed --------------------------------------------------------------------------------------------

BUCKET = "mlops-dev-models"


@pytest.fixture
def aws(registry: EmulatorControl, s3: AwsEndpoints, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, str], Any]:
    """Variables that point a container at the emulator, and a client of it; the bucket exists."""
    variables = {**s3.environment(), "AWS_ENDPOINT_URL": registry.url}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    storage = boto3.client("s3", region_name=s3.region)
    if BUCKET not in [bucket["Name"] for bucket in storage.list_buckets()["Buckets"]]:
        storage.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.region})
    return variables, boto3.client("sagemaker", region_name=s3.region)


def execution(folder: Path, environment: dict[str, str], **parameters: Any) -> Execution:
    """The pipeline over synthetic baskets; its data channel is there and empty."""
    place = Place(role="r", image="i", prefix="s3://training/psm", region=environment["AWS_REGION"])
    document = definition(
        place,
        source="synthetic",
        data="s3://raw/files",
        group="price-sensitivity",
        bucket=BUCKET,
        predictor_image="mlops/api-price-sensitivity:0.1.0",
    )
    made = Execution(
        json.loads(json.dumps(document)), folder, {"Recipe": "v1", "Approve": "never", **parameters}, environment
    )
    made.s3("s3://raw/files").mkdir(parents=True)
    return made


def served(path: Path) -> dict[str, bytes]:
    """Members of an archive, but for the estimator that nothing loads, whose bytes depend on the process, and its digest."""
    return {name: raw for name, raw in unpack(path.read_bytes()).items() if name not in (JOBLIB, MANIFEST)}


def test_the_pipeline_trains_and_registers(aws: tuple[dict[str, str], Any], trained: Ended, tmp_path: Path) -> None:
    """Each step in a container of its own, from the definition alone, to a version that waits for approval.

    What its archive serves has the bytes of the interrupted job's.
    """
    environment, sagemaker = aws
    ran = execution(tmp_path, environment)
    ran.start()
    assert list(ran.ended) == ["Validate", "Features", "Train", "Evaluate", "Register"]
    assert ran.ended["Train"].metrics["validation:macro_f1"]
    (package,) = sagemaker.list_model_packages(ModelPackageGroupName="price-sensitivity")["ModelPackageSummaryList"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    seen = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
    card = json.loads((ran.s3("s3://training/psm/e1/evaluate") / "v1/model.json").read_text())
    assert seen["CustomerMetadataProperties"]["psm.sha256"] == card["sha256"]
    evaluated = ran.s3("s3://training/psm/e1/evaluate") / "v1"
    assert served(evaluated / "model.tar.gz") == served(trained.tree / "model/model.tar.gz")

    # the same execution with a KPI that nothing meets: the way that the condition goes is the else
    ran.parameters["MinAccuracy"] = 0.999
    with pytest.raises(FailedByPipeline, match="A KPI is not met"):
        ran._step(next(step for step in ran.definition["Steps"] if step["Type"] == "Condition"))
    assert len(sagemaker.list_model_packages(ModelPackageGroupName="price-sensitivity")["ModelPackageSummaryList"]) == 1


def test_approve_auto_lets_the_kpis_decide(aws: tuple[dict[str, str], Any], trained: Ended, tmp_path: Path) -> None:
    """A job that ends with `register`: the first version meets every KPI, the next is the same model and waits."""
    environment, sagemaker = aws
    order = {**SMALL, "steps": "register", "approve": "auto", "bucket": BUCKET, "image": "predictor:1"}
    for number in (1, 2):
        tree = machine(tmp_path / str(number), order)
        shutil.copytree(trained.tree / "model", tree / "input/data/workspace/v1")
        ended = run(tree, **environment)
        assert ended.code == 0, ended.log
        assert f"version {number} of price-sensitivity" in ended.log
    found = sagemaker.list_model_packages(ModelPackageGroupName="price-sensitivity")["ModelPackageSummaryList"]
    decided = {package["ModelPackageVersion"]: package for package in found}
    assert [decided[number]["ModelApprovalStatus"] for number in (1, 2)] == ["Approved", "PendingManualApproval"]
    reasons = [
        sagemaker.describe_model_package(ModelPackageName=decided[number]["ModelPackageArn"])["ApprovalDescription"]
        for number in (1, 2)
    ]
    assert "no version was approved before" in reasons[0]
    assert "same" in reasons[1]
