import math
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from psm_operator.api.spec import Autoscaling, ModelSpec, OnApprovalRevoked, OnNoTarget, RollbackMode, VersionPolicy

MINIMAL: dict[str, Any] = {"registry": {"modelPackageGroupName": "price-sensitivity", "region": "ap-southeast-1"}}
LIVE = {"namespace": "PSM", "metricName": "LiveAccuracy", "statistic": "Average", "period": 300}
ARN = "arn:aws:sagemaker:ap-southeast-1:123456789012:model-package-group/price-sensitivity"


def parsed(**fields: Any) -> ModelSpec:
    return ModelSpec.model_validate({**MINIMAL, **fields})


def test_defaults_are_the_ones_documented() -> None:
    """What a user gets who names a group and nothing else."""
    spec = parsed()
    assert (spec.suspend, spec.interval_s, spec.revision_history_limit) == (False, 60, 10)
    assert (spec.version.policy, spec.version.pin) == (VersionPolicy.LATEST_APPROVED, None)
    assert (spec.predictor.image, spec.predictor.workers) == ("", 1)
    assert spec.predictor.resources.requests == {"cpu": "250m", "memory": "256Mi"}
    assert spec.predictor.resources.limits == {"memory": "512Mi"}
    assert spec.replicas is None
    assert spec.autoscaling is not None
    assert (spec.autoscaling.min_replicas, spec.autoscaling.max_replicas) == (2, 10)
    targets = [(m["resource"]["name"], m["resource"]["target"]["averageUtilization"]) for m in spec.autoscaling.metrics]
    assert targets == [("cpu", 70), ("memory", 80)]
    assert (spec.disruption.max_unavailable, spec.networking.service.port, spec.networking.ingress) == (1, 80, None)
    assert (spec.networking.network_policy.enabled, spec.networking.network_policy.allow_from) == (True, ())
    rollout = spec.rollout
    assert (rollout.min_ready_seconds, rollout.progress_deadline_seconds, rollout.soak_s) == (5, 600, 300)
    assert (rollout.verification.enabled, rollout.verification.timeout_seconds) == (True, 120)
    assert (spec.analysis.failure_limit, spec.analysis.require_data_validation) == (3, True)
    assert [(m.name, m.threshold and m.threshold.min) for m in spec.analysis.metrics] == [
        ("accuracy", Decimal("0.75")),
        ("macro_f1", Decimal("0.70")),
        ("precision_min_class", Decimal("0.65")),
    ]
    assert [m.max_regression and m.max_regression.absolute for m in spec.analysis.metrics] == [
        Decimal("0.02"),
        None,
        None,
    ]
    assert (spec.analysis.consecutive_error_limit, spec.analysis.dry_run) == (4, False)
    assert (spec.schedule, spec.registry.role_arn) == (None, "")
    rollback = spec.rollback
    assert rollback.rejection_ttl_s is None
    assert rollback.mode is RollbackMode.AUTOMATIC
    assert rollback.on_approval_revoked is OnApprovalRevoked.ROLLBACK
    assert rollback.on_no_target is OnNoTarget.HOLD
    assert (rollback.cooldown_s, rollback.max_per_hour) == (600, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("15s", 15), ("60s", 60), ("5m", 300), ("1h30m", 5400), ("1h0m1s", 3601), ("90m", 5400)],
)
def test_durations_are_hours_minutes_and_seconds(text: str, expected: int) -> None:
    """The texts that people know from Kubernetes."""
    assert parsed(interval=text).interval_s == expected


@pytest.mark.parametrize("text", ["", "60", "1.5h", "1d", "5m 3s", "3s5m", "-60s", "s", " 60s"])
def test_texts_that_are_no_durations_are_refused(text: str) -> None:
    """A slip is refused, not guessed at."""
    with pytest.raises(ValidationError):
        parsed(interval=text)


def test_decimals_are_read_exactly_and_numbers_refused() -> None:
    """JSON numbers lose digits, so a bound is text."""
    metrics = [{"name": "accuracy", "threshold": {"min": "0.7500000000000000000001"}}]
    spec = parsed(analysis={"metrics": metrics})
    assert spec.analysis.metrics[0].threshold is not None
    assert spec.analysis.metrics[0].threshold.min == Decimal("0.7500000000000000000001")
    for value in (0.75, "75%", "NaN", "1e3", "", True):
        with pytest.raises(ValidationError):
            parsed(analysis={"metrics": [{"name": "accuracy", "threshold": {"min": value}}]})


@pytest.mark.parametrize("quantity", ["250m", "0.5", ".5", "1Gi", "128974848", 2, "1e3", "100n", "1E2"])
def test_kubernetes_quantities_are_admitted(quantity: int | str) -> None:
    """Every way in which Kubernetes writes an amount."""
    assert (
        parsed(predictor={"resources": {"requests": {"cpu": quantity}}}).predictor.resources.requests["cpu"] == quantity
    )


@pytest.mark.parametrize(("number", "text"), [(0.5, "0.5"), (0.25, "0.25"), (1e21, "1e+21"), (1e-05, "1e-05")])
def test_a_quantity_may_be_a_number_as_yaml_writes_it(number: float, text: str) -> None:
    """`cpu: 0.5` is what people write; a child gets it as text."""
    assert parsed(predictor={"resources": {"requests": {"cpu": number}}}).predictor.resources.requests["cpu"] == text


@pytest.mark.parametrize("quantity", ["250 m", "1GiB", "-1", "", -1, -0.5, math.inf, math.nan, True, None, "1e100"])
def test_what_is_no_quantity_is_refused(quantity: object) -> None:
    """An amount that Kubernetes would refuse later is refused now."""
    with pytest.raises(ValidationError):
        parsed(predictor={"resources": {"requests": {"cpu": quantity}}})


@pytest.mark.parametrize("group", ["price-sensitivity", "a", "A1", ARN])
def test_a_group_is_named_or_given_by_arn(group: str) -> None:
    """SageMaker takes either."""
    spec = parsed(registry={"modelPackageGroupName": group, "region": "ap-southeast-1"})
    assert spec.registry.model_package_group_name == group


@pytest.mark.parametrize("group", ["", "-a", "a_b", "a" * 64, "arn:aws:s3:::bucket"])
def test_names_that_sagemaker_refuses_are_refused(group: str) -> None:
    """No call is spent on a name that cannot exist."""
    with pytest.raises(ValidationError):
        parsed(registry={"modelPackageGroupName": group, "region": "ap-southeast-1"})


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "replicas and autoscaling": {"replicas": 3, "autoscaling": {}},
    "more at least than at most": {"autoscaling": {"minReplicas": 5, "maxReplicas": 3}},
    "polling too often": {"interval": "14s"},
    "an ingress without host": {"networking": {"ingress": {}}},
    "a deadline within minReadySeconds": {"rollout": {"minReadySeconds": 600}},
    "the operator's own variable": {"predictor": {"env": [{"name": "PSM_MODEL_SHA256", "value": "x"}]}},
    "a variable twice": {"predictor": {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
    "a metric twice": {"analysis": {"metrics": [{"name": "accuracy"}, {"name": "accuracy"}]}},
    "policy and range": {"version": {"policy": "LatestApproved", "range": ">3"}},
    "a range in words": {"version": {"range": "from 3 to 7"}},
    "metrics of CloudWatch without saying which": {"analysis": {"metrics": [{"name": "a", "source": "CloudWatch"}]}},
    "a metric of CloudWatch said to be the registry's": {"analysis": {"metrics": [{"name": "a", "cloudWatch": LIVE}]}},
    "a regression of what no other version has": {
        "analysis": {
            "metrics": [{"name": "a", "source": "CloudWatch", "cloudWatch": LIVE, "maxRegression": {"absolute": "0.1"}}]
        }
    },
    "a period that CloudWatch does not have": {
        "analysis": {"metrics": [{"name": "a", "source": "CloudWatch", "cloudWatch": {**LIVE, "period": 90}}]}
    },
    "a window without end": {"schedule": {"timezone": "UTC", "offHours": [{"start": "07:00", "end": "07:00"}]}},
    "a time zone that does not exist": {
        "schedule": {"timezone": "Mars/Olympus", "offHours": [{"start": "20:00", "end": "07:00"}]}
    },
    "a role that is none": {"registry": {**MINIMAL["registry"], "roleARN": "reader"}},
    "an unknown field": {"replica": 3},
}


@pytest.mark.parametrize("fields", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions_are_refused(fields: dict[str, Any]) -> None:
    """The same ones that the API server refuses; an unknown field it refuses alone (`extra`)."""
    with pytest.raises(ValidationError):
        ModelSpec.model_validate({**MINIMAL, **fields}, extra="forbid")


def test_a_pin_stands_beside_policy_and_range_and_wins() -> None:
    """One person pins, another has the range in Git; neither needs to know of the other."""
    assert parsed(version={"range": ">=12", "pin": 3}).version.admits(3)
    assert parsed(version={"policy": "LatestApproved", "pin": 3}).version.pin == 3
    assert parsed(version={}).version.admits(1)


@pytest.mark.parametrize(
    ("text", "admitted"),
    [(">=3 <6", [3, 4, 5]), ("!=4", [1, 2, 3, 5, 6, 7]), (">3 <=5 !=4", [5]), ("<2", [1]), (">7", [])],
)
def test_a_range_admits_what_satisfies_every_comparison(text: str, admitted: list[int]) -> None:
    """And nothing else."""
    choice = parsed(version={"range": text}).version
    assert [version for version in range(1, 8) if choice.admits(version)] == admitted


def test_a_fixed_number_of_replicas_switches_autoscaling_off() -> None:
    """`kubectl scale` is enough to take over, and removing replicas gives it back."""
    assert parsed(replicas=0).autoscaling is None
    assert parsed(replicas=3).autoscaling is None
    assert parsed(replicas=None, autoscaling=None).autoscaling == Autoscaling()


def test_no_two_specs_share_a_default() -> None:
    """Verbatim parts are plain dicts; one model's must not be another's."""
    one, other = parsed().autoscaling, parsed().autoscaling
    assert one is not None
    assert other is not None
    one.metrics[0]["resource"]["name"] = "changed"
    assert other.metrics[0]["resource"]["name"] == "cpu"
