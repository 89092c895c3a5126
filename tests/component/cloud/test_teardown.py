"""Teardown against the emulator: leftovers of every kind go, things of others stay, faults are survived and said."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from planted import Planted, garden, inventory, plant_bucket, plant_environment, plant_network, plant_watching, tags

from psm_cloud.__main__ import main
from psm_cloud.errors import CloudError
from psm_cloud.teardown.account import account
from psm_cloud.teardown.adapters.stores import Buckets
from psm_cloud.teardown.decide import Keep, Kind
from psm_cloud.teardown.run import Run
from psm_cloud.teardown.scope import Scope
from psm_local.aws import ACCOUNT, REGION
from psm_local.emulator.control import EmulatorControl

pytestmark = [pytest.mark.component, pytest.mark.xdist_group("cloud-emulator")]

DEV = Scope("dev", ACCOUNT, REGION)
YES = ("teardown", "--env", "dev", "--account", ACCOUNT, "--yes", "--no-terraform")
KEPT = "mlops-dev-logs-123456789012/"


class BrokenOffError(BaseException):
    """What a killed process is to the code that runs."""


@pytest.fixture(scope="module")
def opened(emulator_url: str) -> Iterator[Planted]:
    """Clients of the emulator, and an environment that names it to every other."""
    variables = {
        "AWS_ENDPOINT_URL": emulator_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        with garden() as found:
            yield found


@pytest.fixture
def at(opened: Planted, registry: EmulatorControl) -> Iterator[Planted]:
    """An emulator in which dev has a leftover of every kind, beside things that are nearly named and tagged like it."""
    found = Planted(opened.clients)
    plant_bucket(found, "mlops-dev-of-somebody", {"Environment": "dev"})
    found.cloudwatch.put_dashboard(DashboardName="mlops-dev-shared", DashboardBody='{"widgets": []}')
    found.logs.create_log_group(logGroupName="/aws/containerinsights/mlops-dev/application")
    found.ids["before"] = repr(inventory(found))
    plant_environment(found, "dev")
    yield found
    registry.set_faults()


@pytest.fixture
def crowd(at: Planted) -> Planted:
    """Beside dev, prod and a dev2 have one of everything too, and strangers a network."""
    plant_environment(at, "prod")
    plant_watching(at, "dev2", "uk-grocery")
    plant_network(at, "strangers", {"Environment": "dev", "Project": "Another"})
    return at


class Account:
    """What Terraform does once buckets and repositories are empty: it deletes them, and AWS refuses those with content."""

    def __init__(self, at: Planted) -> None:
        self.at = at

    def destroy(self) -> None:
        """Delete them."""
        self.at.s3.delete_bucket(Bucket="mlops-dev-lake-123456789012")
        self.at.ecr.delete_repository(repositoryName="mlops/dev/api")


def teardown(
    tell: Callable[[str], None] = lambda _: None, scope: Scope = DEV, keep: Keep | None = None, destroyer: Any = None
) -> Any:
    """Run it in this process."""
    with account(scope) as opened:
        return Run(opened, scope, keep or Keep(), tell, lambda _: None).execute(destroyer)


def without_kept(found: dict[str, list[str]]) -> str:
    """Return an inventory without the bucket of the audit trail, which stays."""
    return repr({kind: [one for one in names if not one.startswith(KEPT)] for kind, names in found.items()})


def test_every_kind_of_leftover_goes_and_everything_of_others_stays(
    crowd: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of dev; then of prod, but only once its name is typed."""
    before = inventory(crowd)
    outcome = teardown(destroyer=Account(crowd))
    assert outcome.is_clean, (outcome.failures, outcome.left)
    assert {one.kind for one in outcome.removed} == set(Kind) - {Kind.TERRAFORM}
    after = inventory(crowd)
    surviving = of_others(crowd, before)
    for kind, names in before.items():
        gone = set(names) - set(after[kind])
        assert gone, kind
        assert not gone & surviving, kind
    assert [one.what for one in outcome.left if "named like ours" in one.reason] == [
        "bucket content mlops-dev-of-somebody",
        "log group /aws/containerinsights/mlops-dev/application",
    ]
    assert not teardown().removed
    prod = ["teardown", "--env", "prod", "--yes", "--account", ACCOUNT, "--no-terraform"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(prod) == 1
    assert "'nothing' was typed, not 'mlops-prod': nothing was deleted" in capsys.readouterr().err
    assert inventory(crowd) == after
    monkeypatch.setattr(sys, "stdin", io.StringIO("mlops-prod\n"))
    main(prod)
    last = inventory(crowd)
    assert crowd.ids["k8s-prod.balancer"] not in last["balancers"]
    assert crowd.ids["strangers.balancer"] in last["balancers"]
    assert [one for one in last["alarms"] if "-dev2-" in one]


def of_others(at: Planted, found: dict[str, list[str]]) -> set[str]:
    """Return what must survive: prod's, dev2's, the strangers'."""
    named = {
        value for name, value in at.ids.items() if name.startswith(("prod", "k8s-prod", "mlops-prod", "strangers"))
    }
    listed = [one for names in found.values() for one in names]
    return named | {one for one in listed if "prod" in one or "dev2" in one or "somebody" in one}


def test_a_dry_run_names_every_leftover_and_deletes_nothing(at: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    before = inventory(at)
    assert main(["teardown", "--env", "dev", "--no-terraform"]) == 0
    told = capsys.readouterr().out
    for kind in set(Kind) - {Kind.TERRAFORM}:
        assert f"would delete: {kind.label}" in told, kind
    assert "this was a dry run" in told
    assert inventory(at) == before


def test_the_command_deletes_with_yes_and_says_what_stays(at: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(YES) == 1  # Terraform was left out, so its empty buckets and repository are still there
    told = capsys.readouterr().out
    assert without_kept(inventory(at)) == at.ids["before"]
    assert "keeps the audit trail" in told
    assert "named like ours but lacks our tags" in told
    assert "left: arn:aws:s3:::mlops-dev-lake-123456789012\n" in told
    assert "left: repository mlops/dev/api\n" in told
    assert "(goes on 20" in told


def test_a_run_that_broke_off_is_finished_by_the_next(at: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content of buckets comes in several pages here."""
    monkeypatch.setattr(Buckets, "page", 2)
    steps = 0

    def killed(line: str) -> None:
        nonlocal steps
        steps += line.startswith("deleted")
        if steps == 8:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        teardown(killed)
    assert without_kept(inventory(at)) != at.ids["before"]
    teardown()
    assert without_kept(inventory(at)) == at.ids["before"]


def test_access_denied_to_one_thing_leaves_the_others_going_and_fails(
    at: Planted, registry: EmulatorControl, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.set_faults(refused={"DeleteLogGroup": "AccessDeniedException"})
    assert main(YES) == 1
    told = capsys.readouterr().out
    assert "FAILED delete log group /mlops/dev/agent: An error occurred (AccessDeniedException)" in told
    assert "1 failed" in told
    registry.set_faults()
    found = inventory(at)
    assert "/mlops/dev/agent" in found["log groups"]
    found["log groups"].remove("/mlops/dev/agent")
    assert without_kept(found) == at.ids["before"]


def test_a_kind_that_may_not_be_listed_is_said_and_the_others_go(at: Planted, registry: EmulatorControl) -> None:
    """Here the bucket of the audit trail goes too, since it is asked for."""
    registry.set_faults(refused={"DescribeRepositories": "AccessDeniedException"})
    outcome = teardown(keep=Keep(audit=False))
    assert [one.what for one in outcome.failures] == ["look for: images of repository"]
    assert not outcome.is_clean
    registry.set_faults()
    found = inventory(at)
    assert [one for one in found["images"] if one.startswith("mlops/dev/")]
    assert not [one for one in found["objects"] if one.startswith(KEPT)]
    assert {one.kind for one in outcome.removed} == set(Kind) - {Kind.TERRAFORM, Kind.REPOSITORY}


@pytest.mark.usefixtures("at")
def test_a_throttled_account_is_asked_more_slowly(registry: EmulatorControl) -> None:
    registry.set_faults(throttle_rps=10)
    with account(DEV) as opened:
        seen = Run(opened, DEV, Keep(), lambda _: None, lambda _: None).survey()
    assert not seen.failures
    assert {one.kind for one in seen.decision.delete} == set(Kind) - {Kind.TERRAFORM}


def test_what_stays_in_use_is_tried_again_and_said(at: Planted) -> None:
    """A target group that another project's listener uses cannot go; the run ends all the same and says so."""
    plant_network(at, "strangers", {"Environment": "dev", "Project": "Another"})
    at.elbv2.create_listener(
        LoadBalancerArn=at.ids["strangers.balancer"],
        Protocol="HTTP",
        Port=81,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": at.ids["k8s-dev.target"]}],
    )
    told: list[str] = []
    outcome = teardown(told.append)
    assert [one.what for one in outcome.failures] == ["delete target group k8s-dev-t"]
    assert any("still in use" in line for line in told)


class Terraforms:
    """A `terraform destroy` that fails as long as a controller's load balancer is there."""

    def __init__(self, at: Planted) -> None:
        self.at, self.asked = at, 0

    def destroy(self) -> None:
        """The first time, the controller made another load balancer meanwhile."""
        self.asked += 1
        if self.asked == 1:
            plant_network(self.at, "k8s-again", tags("dev"))
            message = "DependencyViolation: the VPC has dependencies"
            raise CloudError(message)


def test_what_a_controller_made_meanwhile_goes_before_terraform_tries_again(at: Planted) -> None:
    """Keys and secrets go last, when nothing needs them any more."""
    destroyer = Terraforms(at)
    told: list[str] = []
    outcome = teardown(told.append, destroyer=destroyer)
    assert destroyer.asked == 2
    last = max(n for n, line in enumerate(told) if line == "terraform destroy")
    assert all(n > last for n, line in enumerate(told) if line.startswith(("deleted key", "deleted secret")))
    assert not outcome.failures
    assert at.ids["k8s-again.balancer"] not in inventory(at)["balancers"]
