"""The children of example models, as the API server gets them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import desired_model

from psm_operator.decide.desired import PredictorDefaults, children

EXAMPLES = Path(__file__).parents[2] / "examples"
LOCAL = PredictorDefaults(
    image="localhost/mlops/api-price-sensitivity:dev",
    env={
        "AWS_ENDPOINT_URL": "http://10.200.0.1:5000",
        "AWS_ENDPOINT_URL_S3": "http://10.200.0.1:8333",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    },
)


def example(name: str) -> dict[str, Any]:
    """The spec of an example, without its registry."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())["spec"]
    return {key: value for key, value in spec.items() if key != "registry"}


INGRESS = {"host": "prices.example.com", "className": "traefik", "path": "/v1", "tlsSecretName": "prices-tls"}

CASES: dict[str, dict[str, Any]] = {
    "minimal": example("minimal"),
    "full": example("full"),
    "pinned": {"version": {"pin": 3}, "serving": 3},
    "ingress-tls": {"networking": {"ingress": INGRESS}},
    "fixed-size": {"replicas": 3, "disruption": {"maxUnavailable": "25%"}},
    "scaled-to-zero": {"held_at": 0},
    "candidate": {"serving": 17, "candidate": 18},
    "nothing-served": {"serving": None},
    "local-endpoints": {"defaults": LOCAL, "networking": {"networkPolicy": {"allowFrom": [{"podSelector": {}}]}}},
}


@pytest.mark.parametrize("name", CASES)
def test_manifests_are_as_reviewed(name: str, golden: Callable[[str, str], None]) -> None:
    """Every byte that reaches the cluster was read by somebody in a diff."""
    manifests = children(desired_model(**CASES[name]))
    golden(f"manifests/{name}.yaml", yaml.safe_dump_all(manifests, sort_keys=False, width=120))


def test_no_golden_file_is_left_over() -> None:
    """A file without a case is compared with nothing."""
    files = {path.stem for path in (Path(__file__).parent / "manifests").glob("*.yaml")}
    assert files == CASES.keys()
