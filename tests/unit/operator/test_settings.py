"""The operator's settings: defaults, names, refusals."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from psm_operator.decide.monitoring import MonitoringDefaults
from psm_operator.settings import Settings, SettingsError


def plain(value: Any) -> Any:
    """Settings as nested dictionaries."""
    if is_dataclass(value):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    return dict(value) if isinstance(value, Mapping) else value


def test_defaults_are_pinned() -> None:
    """A changed default is a decision, not an accident."""
    values = plain(Settings.read({}))
    assert values["lease"].pop("identity")
    assert values == {
        "lease": {
            "namespace": "psm-system",
            "name": "psm-operator",
            "times": {"duration_s": 15.0, "renew_deadline_s": 10.0, "retry_s": 2.0},
        },
        "cluster": {"kubeconfig": None, "namespaces": (), "sweep_interval_s": 600.0},
        "queue": {"workers": 16, "backoff_base_s": 1.0, "backoff_cap_s": 300.0, "pass_timeout_s": 120.0},
        "aws": {
            "threads": 8,
            "connect_timeout_s": 3.0,
            "read_timeout_s": 10.0,
            "attempts": 3,
            "role_session_s": 3600,
        },
        "registry_events": {"queue_url": ""},
        "predictor": {
            "image": "localhost/mlops/api-price-sensitivity:dev",
            "env": {},
            "image_pull_policy": "IfNotPresent",
            "metrics_prefix": "psm",
        },
        "monitoring": {"prefix": "psm", "region": "", "cluster": "", "tags": {}},
        "server": {"host": "0.0.0.0", "health_port": 8080, "metrics_port": 9090},  # noqa: S104  # a pod's
        "log": {"level": "INFO", "style": "json"},
        "patience": {"start_s": 60.0, "canary_s": 180.0, "pass_s": 300.0, "wait_s": 600.0},
        "shutdown": {"drain_s": 12.0, "total_s": 25.0},
    }


def test_every_variable_reaches_its_setting() -> None:
    """One look at all names."""
    settings = Settings.read(
        {
            "KUBECONFIG": "/tmp/config",  # noqa: S108  # never opened
            "PSM_OPERATOR_NAMESPACES": "mlops, shop ,",
            "PSM_OPERATOR_SWEEP_INTERVAL_S": "60",
            "PSM_OPERATOR_LEASE_NAMESPACE": "ops",
            "PSM_OPERATOR_LEASE_NAME": "shard-1",
            "PSM_OPERATOR_POD_NAME": "psm-operator-0",
            "PSM_OPERATOR_WORKERS": "12",
            "PSM_OPERATOR_AWS_THREADS": "4",
            "PSM_OPERATOR_REGISTRY_EVENTS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/registry",
            "PSM_OPERATOR_CLOUDWATCH_PREFIX": "mlops-dev",
            "PSM_OPERATOR_CLOUDWATCH_REGION": "eu-west-1",
            "PSM_OPERATOR_CLOUDWATCH_CLUSTER": "mlops-dev",
            "PSM_OPERATOR_CLOUDWATCH_TAGS": '{"Project": "PriceSensitivityMLOps"}',
            "PSM_OPERATOR_PREDICTOR_IMAGE": "predictor:1",
            "PSM_OPERATOR_PREDICTOR_PULL_POLICY": "Always",
            "PSM_OPERATOR_PREDICTOR_ENV": '{"A": "1", "B": "2"}',
            "PSM_OPERATOR_PREDICTOR_ENV_B": "3",
            "PSM_OPERATOR_HEALTH_PORT": "0",
            "PSM_OPERATOR_METRICS_PORT": "9999",
            "PSM_OPERATOR_LOG_LEVEL": "DEBUG",
            "PSM_OPERATOR_LOG_STYLE": "text",
        }
    )
    assert settings.cluster.kubeconfig == "/tmp/config"  # noqa: S108  # never opened
    assert settings.cluster.namespaces == ("mlops", "shop")
    assert settings.cluster.sweep_interval_s == 60
    assert (settings.lease.namespace, settings.lease.name) == ("ops", "shard-1")
    assert settings.lease.identity.startswith("psm-operator-0_")
    assert (settings.queue.workers, settings.aws.threads) == (12, 4)
    assert settings.registry_events.queue_url == "https://sqs.eu-west-1.amazonaws.com/123456789012/registry"
    assert (settings.predictor.image, settings.predictor.image_pull_policy) == ("predictor:1", "Always")
    assert settings.predictor.env == {"A": "1", "B": "3"}
    assert settings.predictor.metrics_prefix == "mlops-dev"
    assert settings.monitoring == MonitoringDefaults(
        "mlops-dev", "eu-west-1", "mlops-dev", {"Project": "PriceSensitivityMLOps"}
    )
    assert (settings.server.health_port, settings.server.metrics_port) == (0, 9999)
    assert (settings.log.level, settings.log.style) == ("DEBUG", "text")


def test_alarms_are_where_the_operator_runs() -> None:
    """AWS_REGION, as EKS sets it on pods with a role."""
    assert Settings.read({"AWS_REGION": "ap-southeast-1"}).monitoring.region == "ap-southeast-1"


def test_two_processes_of_one_pod_have_two_identities() -> None:
    """A container that restarts is another candidate."""
    assert Settings.read({}).lease.identity != Settings.read({}).lease.identity


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("WORKERS", "many", "PSM_OPERATOR_WORKERS is 'many'; a number above 0 is expected"),
        ("WORKERS", "0", "PSM_OPERATOR_WORKERS is '0'; a number above 0 is expected"),
        ("LOG_LEVEL", "LOUD", "one of INFO, DEBUG, WARNING, ERROR is expected"),
        ("PREDICTOR_ENV", "[1]", "a JSON object of texts is expected"),
        ("PREDICTOR_ENV", '{"A": 1}', "a JSON object of texts is expected"),
        ("REGISTRY_EVENTS_QUEUE_URL", "registry", "is 'registry'; a URL such as https://sqs"),
        ("CLOUDWATCH_PREFIX", "MLOps", "PSM_OPERATOR_CLOUDWATCH_PREFIX is 'MLOps'; a text that matches"),
        ("CLOUDWATCH_TAGS", "Project=x", "a JSON object of texts is expected"),
        ("WORKER", "8", "unknown variables PSM_OPERATOR_WORKER; known are"),
    ],
    ids=[
        "no number",
        "zero",
        "no level",
        "a list",
        "a number as value",
        "no URL",
        "no prefix",
        "no tags",
        "a mistyped name",
    ],
)
def test_what_cannot_be_understood_is_refused(name: str, value: str, complaint: str) -> None:
    """The message names the variable, its value and what is expected."""
    with pytest.raises(SettingsError) as refused:
        Settings.read({f"PSM_OPERATOR_{name}": value})
    assert complaint in str(refused.value)
