"""A pod behind AWS's load balancer outlives its target: whatever the Ingress says, its pause is longer than the delay."""

import re
from typing import Any

from builders import by_kind, desired_model
from hypothesis import given
from hypothesis import strategies as st

from psm_operator.decide.desired import children
from psm_operator.values import Manifest

PREFIX = "alb.ingress.kubernetes.io/"
DELAY = "deregistration_delay.timeout_seconds"
REPORTED_S = 40
"""Pause after which reports still have rare errors (aws-load-balancer-controller #2106)."""

others = st.lists(
    st.sampled_from(
        ["stickiness.enabled=false", "slow_start.duration_seconds=30", "load_balancing.algorithm.type=random"]
    ),
    max_size=2,
    unique=True,
)
delays = st.one_of(st.none(), st.integers(0, 3600))


def built(**ingress: Any) -> dict[str, Manifest]:
    """The children of a model with an Ingress."""
    return by_kind(children(desired_model(networking={"ingress": {"host": "prices.example.com", **ingress}})))


def times(manifests: dict[str, Manifest]) -> tuple[int, int]:
    """Seconds before SIGTERM, and before SIGKILL."""
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    return pause, pod["terminationGracePeriodSeconds"]


@given(
    ingress=st.sampled_from(
        [{"className": "alb"}, {"annotations": {"kubernetes.io/ingress.class": "alb"}}, {"className": "inside"}]
    ),
    attributes=others,
    delay=delays,
)
def test_a_pod_outlives_its_target(ingress: dict[str, Any], attributes: list[str], delay: int | None) -> None:
    """By more than the reports have as too short; other attributes stay as they are."""
    said = [*attributes, *([f"{DELAY}={delay}"] if delay is not None else [])]
    annotations = {**ingress.get("annotations", {}), f"{PREFIX}scheme": "internal"}
    if said:
        annotations[f"{PREFIX}target-group-attributes"] = ",".join(said)
    manifests = built(**{**ingress, "annotations": annotations})
    sent = manifests["Ingress"]["metadata"]["annotations"][f"{PREFIX}target-group-attributes"].split(",")
    assert set(attributes) < set(sent)
    (found,) = [int(one.partition("=")[2]) for one in sent if one.startswith(DELAY)]
    assert delay is None or found == delay
    pause, grace = times(manifests)
    assert pause >= found + REPORTED_S
    assert grace >= pause + 25  # the predictor's own end


@given(name=st.sampled_from(["", "traefik", "nginx"]))
def test_other_ingresses_do_not_wait(name: str) -> None:
    manifests = built(**({"className": name} if name else {}))
    assert times(manifests) == (5, 30)
    assert not [key for key in manifests["Ingress"]["metadata"].get("annotations", {}) if re.match(PREFIX, key)]
