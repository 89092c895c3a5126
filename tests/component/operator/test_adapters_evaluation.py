"""The evaluation JSON that a package names: read at every poll, by ETag, and judged as the newer truth."""

import json
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from answering import Answer, answering

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.adapters.clock import SystemClock
from psm_operator.adapters.evaluation import (
    MAX_BYTES,
    MAX_METRICS,
    MAX_NAME,
    MAX_TEXT,
    REMEMBERED,
    EvaluationReader,
    parse_evaluation,
)
from psm_operator.adapters.sagemaker import SageMakerRegistry
from psm_operator.api.policy import Analysis
from psm_operator.decide.verdict import judge_metrics
from psm_operator.values import GroupRef, ModelPackage, Outcome

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
GROUP = GroupRef("prices", REGION)
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Lab:
    """A data team: a bucket, a group with one approved version that names its evaluation."""

    clients: AwsClients
    bucket: str
    url: str
    port: SageMakerRegistry

    def write(self, document: object, key: str = "evaluation.json") -> None:
        """An evaluation job overwrites the document; text is written as it is."""
        body = document if isinstance(document, str) else json.dumps(document)
        self.clients.client("s3", REGION).put_object(Bucket=self.bucket, Key=key, Body=body.encode("latin-1"))

    def watch_answers(self) -> list[int]:
        """HTTP status of every GET from now on, in a list that grows."""
        answers: list[int] = []
        self.clients.client("s3", REGION).meta.events.register(
            "after-call.s3.GetObject", lambda http_response, **_: answers.append(http_response.status_code)
        )
        return answers

    def remove(self) -> None:
        """The document is deleted."""
        self.clients.client("s3", REGION).delete_object(Bucket=self.bucket, Key="evaluation.json")

    def measure(self, **live: str) -> None:
        """Live metrics are recorded on the package."""
        arn = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/prices/1"
        properties = {f"psm.live.{name}": value for name, value in live.items()}
        self.clients.client("sagemaker", REGION).update_model_package(
            ModelPackageArn=arn, CustomerMetadataProperties=properties
        )

    async def poll(self, number: int = 1) -> ModelPackage:
        """What one poll says of the version."""
        return (await self.port.read_group(GROUP, NONE, number)).packages[1]


@pytest.fixture
def lab(account: AwsClients) -> Lab:
    """With psm.accuracy 0.80 and psm.macro_f1 0.75 as registered, and no document yet."""
    bucket = f"models-{uuid.uuid4().hex[:8]}"
    url = f"s3://{bucket}/evaluation.json"
    account.client("s3", REGION).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    sagemaker = account.client("sagemaker", REGION)
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP.name)
    sagemaker.create_model_package(
        ModelPackageGroupName=GROUP.name,
        ModelApprovalStatus="Approved",
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": url}}},
        CustomerMetadataProperties={"psm.accuracy": "0.80", "psm.macro_f1": "0.75"},
    )
    return Lab(account, bucket, url, SageMakerRegistry(account, clock=SystemClock()))


async def test_a_later_evaluation_makes_a_served_version_worse(lab: Lab) -> None:
    """Written over in S3, with nothing changed in the registry: the next poll tells."""
    lab.write({"multiclass_classification_metrics": {"accuracy": {"value": 0.81}, "weighted_f1": {"value": 0.78}}})
    served = await lab.poll()
    assert served.metrics == {"accuracy": "0.81", "macro_f1": "0.75", "weighted_f1": "0.78"}
    lab.write({"multiclass_classification_metrics": {"accuracy": {"value": 0.61}, "weighted_f1": {"value": 0.58}}})
    worse = await lab.poll(2)
    assert worse.metrics == {"accuracy": "0.61", "macro_f1": "0.75", "weighted_f1": "0.58"}
    assert (worse.evaluation_error, worse.live_metrics) == ("", frozenset())
    accuracy = [judge_metrics(Analysis(), package, None)[0].outcome for package in (served, worse)]
    assert accuracy == [Outcome.PASS, Outcome.FAIL]
    assert worse.fingerprint == served.fingerprint


async def test_what_was_measured_live_wins_over_an_evaluation(lab: Lab) -> None:
    """And is told apart from it."""
    lab.write({"accuracy": 0.9})
    lab.measure(accuracy="0.700000", latency="12")
    seen = await lab.poll()
    assert seen.metrics == {"accuracy": "0.700000", "macro_f1": "0.75", "latency": "12"}
    assert seen.live_metrics == {"accuracy", "latency"}


async def test_an_unchanged_document_is_not_sent_again(lab: Lab, registry: EmulatorControl) -> None:
    """One conditional GET per poll, answered with 304: the values come from memory, also after a failure between."""
    lab.write({"accuracy": 0.9})
    await lab.poll()
    before = registry.calls()["S3.GET"]
    answers = lab.watch_answers()
    for number in (2, 3):
        assert (await lab.poll(number)).metrics["accuracy"] == "0.9"
    assert registry.calls()["S3.GET"] == before + 2
    assert answers == [304, 304]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (None, "has no object evaluation.json; upload it or run the evaluation again"),
        ("{", "cannot be read: Expecting property name"),
        ("[0.8]", "cannot be read: it is no JSON object"),
        ("{}", 'cannot be read: it holds no metric such as "accuracy": 0.8'),
        ({"accuracy": "good", "note": "late"}, "it holds no metric"),
        ({"accuracy": True}, "it holds no metric"),
        ("[" * 100_000, "cannot be read: it is nested too deeply"),
        ({f"metric_{n}": 0.5 for n in range(MAX_METRICS + 1)}, f"it holds {MAX_METRICS + 1} metrics"),
        ('{"accuracy": 0.9, "pad": "' + "x" * MAX_BYTES + '"}', f"bytes, {MAX_BYTES} are allowed"),
        ("\xff", "cannot be read"),
    ],
    ids=["gone", "cut off", "a list", "empty", "words", "a truth", "deep", "too many", "too big", "no UTF-8 JSON"],
)
async def test_a_document_that_cannot_be_read_is_said_and_the_rest_stays(
    lab: Lab, document: object, complaint: str
) -> None:
    """What was registered and what was measured live, with the reason; nothing is left of the document as it was."""
    lab.write({"accuracy": 0.9, "recall": 0.5})
    await lab.poll()
    if document is None:
        lab.remove()
    else:
        lab.write(document)
    lab.measure(latency="12")
    seen = await lab.poll(2)
    assert complaint in seen.evaluation_error
    assert lab.bucket in seen.evaluation_error
    assert seen.metrics == {"accuracy": "0.80", "macro_f1": "0.75", "latency": "12"}
    lab.write({"accuracy": 0.7})
    healed = await lab.poll(3)
    assert (healed.metrics["accuracy"], healed.evaluation_error) == ("0.7", "")


@pytest.mark.parametrize(
    ("length", "complaint"),
    [(str(5 * 1024**4), f"bytes, {MAX_BYTES} are allowed"), ("4000", "could not be checked")],
    ids=["of five TiB is not read at all", "cut off on its way is not believed"],
)
def test_a_document(length: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what came of it would do."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    answer = Answer(200, b'{"accuracy": 0.9}', {"Content-Length": length, "ETag": '"1"'})
    with answering(lambda *_: answer) as url:
        clients = AwsClients(AwsLimits(read_timeout_s=1, attempts=1), endpoints={"s3": url})
        found = EvaluationReader(clients).read("s3://b/evaluation.json", GROUP)
        clients.close()
    assert found.metrics == {}
    assert complaint in found.error


def test_where_s3_does_not_answer_only_one_document_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the registry, which does answer, would be unknown for want of time."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    asked: list[str] = []
    with answering(lambda _, path: asked.append(path)) as url:
        clients = AwsClients(AwsLimits(read_timeout_s=0.5, attempts=1), endpoints={"s3": url})
        found = EvaluationReader(clients).read_all([f"s3://b/{number}.json" for number in range(8)], GROUP)
        clients.close()
    assert asked == ["/b/0.json"]
    assert len(found) == 8
    assert all("did not answer" in evaluation.error for evaluation in found.values())


async def test_a_package_without_an_evaluation_asks_s3_for_nothing(lab: Lab, registry: EmulatorControl) -> None:
    """Metadata alone is enough."""
    lab.clients.client("sagemaker", REGION).create_model_package(
        ModelPackageGroupName=GROUP.name,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"psm.accuracy": "0.82"},
    )
    seen = (await lab.port.read_group(GROUP, NONE, 1)).packages[2]
    assert (seen.metrics, seen.evaluation_error) == ({"accuracy": "0.82"}, "")
    assert "S3.GET" not in registry.calls()


async def test_an_evaluation_is_read_with_the_groups_role(lab: Lab, registry: EmulatorControl) -> None:
    """One that cannot be assumed is named."""
    role = "arn:aws:iam::222222222222:role/reader"
    registry.set_faults(refused={"AssumeRole": "AccessDenied"})
    found = EvaluationReader(lab.clients).read(lab.url, replace(GROUP, role_arn=role))
    assert f"role {role} cannot be assumed" in found.error


def test_only_so_many_documents_are_remembered(lab: Lab) -> None:
    """The one not asked for longest goes first."""
    urls = [f"s3://{lab.bucket}/{name}.json" for name in "abc"]
    for name in "abc":
        lab.write({"accuracy": 0.9}, f"{name}.json")
    reader = EvaluationReader(lab.clients, remembered=2)
    answers = lab.watch_answers()
    for url in (urls[0], urls[1], urls[0], urls[2], urls[0], urls[1]):
        assert reader.read(url, GROUP).metrics == {"accuracy": "0.9"}
    assert answers == [200, 200, 304, 200, 304, 200]
    assert REMEMBERED * MAX_METRICS * (MAX_NAME + MAX_TEXT) < 128 * 1024 * 1024


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"accuracy": 0.8, "macro_f1": 1}', {"accuracy": "0.8", "macro_f1": "1"}),
        ('{"accuracy": 0.12345678901234567890123}', {"accuracy": "0.12345678901234567890123"}),
        ('{"multiclass_classification_metrics": {"accuracy": {"value": 0.8}}, "rows": 9}', {"accuracy": "0.8"}),
        ('{"binary_classification_metrics": {"auc": {"value": 0.9, "standard_deviation": "NaN"}}}', {"auc": "0.9"}),
        ('{"regression_metrics": {"rmse": {"value": 1.5}}}', {"rmse": "1.5"}),
        ('{"accuracy": NaN}', {"accuracy": "NaN"}),
        ('{"multiclass_classification_metrics": {"accuracy": {"value": "NaN"}}}', {"accuracy": "NaN"}),
        ('{"regression_metrics": {"mae": {"value": 0.8}, "by_shop": {"7": {"value": 0.7}}}}', {"mae": "0.8"}),
    ],
    ids=[
        "flat",
        "every digit as written",
        "SageMaker's, many classes",
        "two classes",
        "regression",
        "not a number stays text",
        "as SageMaker writes it too",
        "nested tables are no metrics",
    ],
)
def test_both_shapes_are_understood(document: str, expected: dict[str, str]) -> None:
    """Names and digits as written."""
    assert parse_evaluation(document.encode(), "s3://b/k").metrics == expected


def test_digits_survive_as_decimals() -> None:
    """0.1 + 0.2 would not."""
    text = parse_evaluation(b'{"accuracy": 0.30000000000000004440892098500626}', "s3://b/k").metrics["accuracy"]
    assert Decimal(text) == Decimal("0.30000000000000004440892098500626")
