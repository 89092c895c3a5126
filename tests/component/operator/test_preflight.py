"""`psm-operator preflight`: one line per check, in order, and what to do about the one that failed."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from answering import Answer, answering

from psm_local.emulator.control import EmulatorControl
from psm_operator.adapters.aws import AwsClients, AwsLimits
from psm_operator.preflight import CHECKS, parser, run

pytestmark = pytest.mark.component

REGION = "ap-southeast-1"
BUCKET, KEY = "mlops-models", "prices/model.tar.gz"
ROLE = "arn:aws:iam::222222222222:role/reader"
ARN = f"arn:aws:sagemaker:{REGION}:123456789012:model-package/prices/1"
CONTENT = b"a model"


@dataclass(frozen=True)
class Lab:
    """An account in which everything is as it should be, until a test changes it."""

    clients: AwsClients
    registry: EmulatorControl

    def set_up(self, role_arn: str = "") -> None:
        """A bucket with an artifact and an evaluation, a group with an approved version that names both."""
        s3, sagemaker = (self.clients.client(name, REGION, role_arn) for name in ("s3", "sagemaker"))
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=CONTENT, ChecksumAlgorithm="SHA256")
        s3.put_object(Bucket=BUCKET, Key="evaluation.json", Body=b'{"accuracy": 0.8}')
        sagemaker.create_model_package_group(ModelPackageGroupName="prices")
        self.register(sagemaker, f"s3://{BUCKET}/{KEY}", hashlib.sha256(CONTENT).hexdigest(), "Approved")

    def register(self, sagemaker: Any, url: str, sha256: str, status: str) -> None:
        """One more version."""
        statistics = {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/evaluation.json"}
        sagemaker.create_model_package(
            ModelPackageGroupName="prices",
            ModelApprovalStatus=status,
            ModelMetrics={"ModelQuality": {"Statistics": statistics}},
            CustomerMetadataProperties={"psm.sha256": sha256},
            InferenceSpecification={
                "Containers": [{"Image": "predictor", "ModelDataUrl": url}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
        )

    def again(self, url: str, sha256: str = "1" * 64) -> None:
        """A newer approved version."""
        self.register(self.clients.client("sagemaker", REGION), url, sha256, "Approved")

    def withdraw(self) -> None:
        """The only approval."""
        client = self.clients.client("sagemaker", REGION)
        client.update_model_package(ModelPackageArn=ARN, ModelApprovalStatus="Rejected")

    def remove(self, key: str) -> None:
        """An object."""
        self.clients.client("s3", REGION).delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture
def lab(account: AwsClients, registry: EmulatorControl) -> Lab:
    """Everything as it should be."""
    ready = Lab(account, registry)
    ready.set_up()
    return ready


async def checked(
    lab: Lab, capsys: pytest.CaptureFixture[str], *more: str, group: str = "prices", region: str = REGION
) -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit code, and check -> outcome and text, in the order of the lines."""
    options = parser().parse_args(["preflight", "--group", group, "--region", region, *more])
    code = await run(options, lab.clients)
    lines = (line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines())
    return code, {check: (outcome, " ".join(text)) for outcome, check, *text in lines}


async def test_when_all_is_well_every_line_says_ok(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was found, so that one sees whether it is what one meant."""
    code, lines = await checked(lab, capsys, "--cloudwatch")
    assert code == 0
    assert list(lines) == [check for check in CHECKS if check != "role"] + ["cloudwatch"]
    assert {outcome for outcome, _ in lines.values()} == {"ok"}
    assert "in account 123456789012" in lines["credentials"][1]
    assert lines["package"][1] == "version 1 is the newest Approved one"
    assert lines["bucket"][1].startswith(f"{BUCKET} in region {REGION} at {lab.registry.url}")
    assert lines["evaluation"][1] == "metrics: accuracy"


async def test_with_a_role_everything_is_asked_as_that_role(
    account: AwsClients, registry: EmulatorControl, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the role's account; nothing of it is seen without."""
    lab = Lab(account, registry)
    lab.set_up(ROLE)
    code, lines = await checked(lab, capsys, "--role-arn", ROLE)
    assert code == 0
    assert list(lines) == list(CHECKS)
    assert lines["role"] == ("ok", f"{ROLE} can be assumed")
    code, lines = await checked(lab, capsys)
    assert (code, lines["group"][0], lines["package"]) == (1, "failed", ("skipped", ""))


@dataclass(frozen=True)
class Case:
    """Something that is wrong.

    Attributes:
        check: the line that says so; the lines before are ok, those after are skipped.
    """

    check: str
    says: tuple[str, ...]
    change: Callable[[Lab], object] = lambda _: None
    arguments: tuple[str, ...] = ()
    group: str = "prices"
    region: str = REGION


def faults(**given: Any) -> Callable[[Lab], object]:
    """Set faults of the emulator."""
    return lambda lab: lab.registry.set_faults(**given)


CASES = {
    "another region": Case("group", ("prices does not exist in region eu-west-1", "correct"), region="eu-west-1"),
    "a region that cannot be": Case("region", ("correct spec.registry.region",), region="not a region"),
    "a region nobody knows, away": Case(
        "region", ("prices in region ap-southeast-99 could not be read",), faults(outage=True), region="ap-southeast-99"
    ),
    "the registry away": Case("endpoint", ("could not be read at http", "ServiceUnavailable"), faults(outage=True)),
    "the registry throttled": Case(
        "endpoint", ("SageMaker throttles",), faults(refused={"ListModelPackages": "ThrottlingException"})
    ),
    "credentials unknown": Case(
        "credentials",
        ("these credentials are not known there",),
        faults(refused={"GetCallerIdentity": "InvalidClientTokenId"}),
    ),
    "a role that may not be assumed": Case(
        "role",
        (f"role {ROLE} cannot be assumed", "trust policy"),
        faults(refused={"AssumeRole": "AccessDenied"}),
        arguments=("--role-arn", ROLE),
    ),
    "no such group": Case("group", ("model package group nope does not exist",), group="nope"),
    "a group that may not be read": Case(
        "group",
        ("allow sagemaker:ListModelPackages",),
        faults(refused={"ListModelPackages": "AccessDeniedException"}),
    ),
    "a group of another account": Case(
        "group",
        ("set spec.registry.roleARN to a role of account 333333333333",),
        group=f"arn:aws:sagemaker:{REGION}:333333333333:model-package-group/prices",
    ),
    "nothing approved": Case("package", ("none of 1 versions of prices is Approved",), Lab.withdraw),
    "no artifact named": Case("package", ("which is not s3://bucket/key",), lambda lab: lab.again("https://x/y")),
    "no such bucket": Case(
        "bucket", ("bucket gone does not exist in region",), lambda lab: lab.again("s3://gone/model.tar.gz")
    ),
    "no such object": Case("key", (f"has no object {KEY}", "upload it"), lambda lab: lab.remove(KEY)),
    "another object": Case(
        "digest",
        ("the package says " + "0" * 64, "register it again"),
        lambda lab: lab.again(f"s3://{BUCKET}/{KEY}", "0" * 64),
    ),
    "no evaluation": Case("evaluation", ("has no object evaluation.json",), lambda lab: lab.remove("evaluation.json")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_what_is_wrong_fails_its_line_and_skips_the_rest(
    lab: Lab, capsys: pytest.CaptureFixture[str], case: Case
) -> None:
    """The exit code says so too."""
    case.change(lab)
    code, lines = await checked(lab, capsys, *case.arguments, group=case.group, region=case.region)
    assert code == 1
    outcomes = {check: outcome for check, (outcome, _) in lines.items()}
    names = list(outcomes)
    failed = names.index(case.check)
    assert [outcomes[name] for name in names[:failed]] == ["ok"] * failed
    assert outcomes[case.check] == "failed"
    assert {outcomes[name] for name in names[failed + 1 :]} <= {"skipped"}
    for part in case.says:
        assert part in lines[case.check][1]


async def test_metrics_that_may_not_be_read_fail_their_own_line(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for only where a model wants them."""
    lab.registry.set_faults(refused={"GetMetricData": "AccessDenied"})
    code, lines = await checked(lab, capsys, "--cloudwatch")
    assert (code, lines["evaluation"][0], lines["cloudwatch"][0]) == (1, "ok", "failed")
    assert "allow cloudwatch:GetMetricData" in lines["cloudwatch"][1]
    assert (await checked(lab, capsys))[0] == 0


async def test_where_sts_cannot_be_asked_the_rest_is_checked(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """A private network needs no STS endpoint as long as there is no role."""
    some = AwsClients(
        AwsLimits(connect_timeout_s=1, attempts=1),
        endpoints={**dict.fromkeys(("sagemaker", "s3"), lab.registry.url), "sts": "http://127.0.0.1:1"},
    )
    code, lines = await checked(Lab(some, lab.registry), capsys)
    assert code == 0
    assert "STS at http://127.0.0.1:1 could not be asked" in lines["credentials"][1]
    some.close()


def test_the_command_needs_no_cluster_and_no_settings(lab: Lab) -> None:
    """As run in the operator's pod, or anywhere with its credentials."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PSM_")}  # noqa: TID251  # a child's environment
    environ |= {"AWS_ENDPOINT_URL": lab.registry.url, "PSM_OPERATOR_WORKERS": "not read"}
    argv = [sys.executable, "-m", "psm_operator", "preflight", "--group", "prices", "--region", REGION]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"ok      region      {REGION} is known to this SDK"
    wrong = subprocess.run([*argv[:4], "--region", REGION], env=environ, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "--group" in wrong.stderr


async def test_a_key_that_may_not_be_used_fails_the_line_of_kms(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """A HEAD says 403 and nothing else; one byte asked for says why."""
    key = f"arn:aws:kms:{REGION}:111122223333:key/1234abcd"
    why = f"User: me is not authorized to perform: kms:Decrypt on resource: {key} because no policy allows it"
    xml = f"<Error><Code>AccessDenied</Code><Message>{why}</Message></Error>".encode()
    with answering(lambda *_: Answer(403, xml, {"Content-Type": "application/xml"})) as url:
        some = AwsClients(
            AwsLimits(attempts=1), endpoints={**dict.fromkeys(("sagemaker", "sts"), lab.registry.url), "s3": url}
        )
        code, lines = await checked(Lab(some, lab.registry), capsys)
        some.close()
    assert (code, lines["bucket"][0], lines["key"][0], lines["evaluation"][0]) == (1, "ok", "ok", "skipped")
    assert lines["kms"][0] == "failed"
    assert f"allow kms:Decrypt on KMS key {key}" in lines["kms"][1]


async def test_dashboards_are_looked_at_if_asked_for(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a model that asks for them needs these rights."""
    code, lines = await checked(lab, capsys, "--dashboards", "mlops-dev")
    assert (code, lines["dashboards"][0]) == (0, "ok")
    lab.registry.set_faults(refused={"DescribeAlarms": "AccessDenied"})
    code, lines = await checked(lab, capsys, "--dashboards", "mlops-dev")
    assert (code, lines["evaluation"][0], lines["dashboards"][0]) == (1, "ok", "failed")
    assert "allow cloudwatch:DescribeAlarms" in lines["dashboards"][1]
    code, lines = await checked(lab, capsys)
    assert (code, "dashboards" in lines) == (0, False)
