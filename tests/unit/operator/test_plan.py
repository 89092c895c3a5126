import copy
from collections.abc import Callable
from typing import Any

import pytest
from builders import desired_model

from psm_operator.api.names import STAMP
from psm_operator.decide.desired import children
from psm_operator.decide.plan import actions
from psm_operator.values import Action, Apply, Delete, Manifest

Live = dict[tuple[str, str], Manifest]


def applied(manifests: tuple[Manifest, ...], live: Live | None = None) -> Live:
    """The live set after carrying out the plan; each object gets a uid and a default of the API server's."""
    found = copy.deepcopy(live or {})
    for action in actions(manifests, found):
        if isinstance(action, Delete):
            del found[action.kind, action.name]
            continue
        key = (action.manifest["kind"], action.manifest["metadata"]["name"])
        replicas = found.get(key, {}).get("spec", {}).get("replicas")
        found[key] = copy.deepcopy(action.manifest)
        found[key]["metadata"] |= {"uid": f"uid-{key[0]}-{key[1]}", "resourceVersion": "1", "generation": 1}
        if key[0] == "Deployment":
            found[key]["spec"].setdefault("replicas", replicas or 1)
            found[key]["spec"]["template"]["spec"] |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"}
    return found


def desired(**changes: Any) -> tuple[Manifest, ...]:
    return children(desired_model(**changes))


def reasons(planned: tuple[Action, ...]) -> list[tuple[str, str]]:
    def line(action: Action) -> tuple[str, str]:
        return action.manifest["kind"] if isinstance(action, Apply) else f"-{action.kind}", action.reason

    return [line(action) for action in planned]


KEY = ("Deployment", "uk-grocery")
HPA = ("HorizontalPodAutoscaler", "uk-grocery")


def test_what_is_absent_is_made_in_order() -> None:
    """The first pass writes everything once."""
    planned = actions(desired(), {})
    assert [reason for _, reason in reasons(planned)] == ["absent"] * 6
    assert [kind for kind, _ in reasons(planned)] == [manifest["kind"] for manifest in desired()]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    """The second pass writes nothing."""
    assert actions(desired(), applied(desired())) == ()


REPAIRS: dict[str, tuple[tuple[str, str], Callable[[Manifest], Any], str]] = {
    "an edited autoscaler": (
        HPA,
        lambda live: live["spec"].update(maxReplicas=3),
        "spec.maxReplicas is 3, want 10",
    ),
    "an edited image": (
        KEY,
        lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image="evil:1"),
        "spec.template.spec.containers[predictor].image is evil:1, want localhost/mlops/api-price-sensitivity:dev",
    ),
    "a removed drain": (
        KEY,
        lambda live: live["spec"]["template"]["spec"]["containers"][0].pop("lifecycle"),
        "spec.template.spec.containers[predictor].lifecycle is absent, want present",
    ),
    "a narrowed selector": (
        ("Service", "uk-grocery"),
        lambda live: live["spec"]["selector"].update(track="canary"),
        "spec.selector.track is canary, want absent",
    ),
    "a removed label": (
        ("ServiceAccount", "uk-grocery"),
        lambda live: live["metadata"]["labels"].clear(),
        "metadata.labels[app.kubernetes.io/name] is absent, want price-sensitivity-predictor",
    ),
}


@pytest.mark.parametrize(("key", "edit", "reason"), REPAIRS.values(), ids=REPAIRS.keys())
def test_drift_is_repaired_and_named(key: tuple[str, str], edit: Callable[[Manifest], Any], reason: str) -> None:
    """Exactly the edited object is written again."""
    live = applied(desired())
    edit(live[key])
    assert reasons(actions(desired(), live)) == [(key[0], reason)]


def test_a_deleted_child_is_made_again() -> None:
    """Whoever deleted it."""
    live = applied(desired())
    del live[KEY]
    assert reasons(actions(desired(), live)) == [("Deployment", "absent")]


def test_a_child_on_its_way_out_is_waited_for() -> None:
    """Writing to it would be lost; its disappearance is an event."""
    live = applied(desired())
    live[KEY]["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    assert actions(desired(), live) == ()
    assert reasons(actions(desired(serving=None), live)) == [
        ("-HorizontalPodAutoscaler", "no longer wanted"),
        ("-PodDisruptionBudget", "no longer wanted"),
    ]


def test_what_is_no_longer_wanted_is_deleted_by_uid() -> None:
    """A successor of the same name is safe."""
    host = {"ingress": {"host": "a.example"}}
    live = applied(desired(networking=host))
    planned = actions(desired(), live)
    assert planned == (
        Delete("networking.k8s.io/v1", "Ingress", "uk-grocery", "uid-Ingress-uk-grocery", "no longer wanted"),
    )


def test_a_field_that_is_no_longer_sent_is_taken_back() -> None:
    """The live object contains all that is wanted and more: the stamp tells that the rest was ours."""
    live = applied(desired(predictor={"nodeSelector": {"pool": "ml"}, "env": [{"name": "A", "value": "1"}]}))
    ((kind, reason),) = reasons(actions(desired(), live))
    assert kind == "Deployment"
    assert reason.startswith(f"metadata.annotations[{STAMP}] is ")
    assert actions(desired(), applied(desired(), live)) == ()


def test_the_size_belongs_to_the_autoscaler() -> None:
    """It is sent when the Deployment is made, and not again whatever else changes."""
    live = applied(desired(replicas_hint=6))
    assert live[KEY]["spec"]["replicas"] == 6
    live[KEY]["spec"]["replicas"] = 9
    assert actions(desired(replicas_hint=6), live) == ()
    (planned,) = actions(desired(serving=18, replicas_hint=6), live)
    assert isinstance(planned, Apply)
    assert "replicas" not in planned.manifest["spec"]


def test_an_autoscaled_deployment_at_zero_is_woken() -> None:
    """An autoscaler does nothing at zero, so nobody else would."""
    live = applied(desired(held_at=0))
    assert live[KEY]["spec"]["replicas"] == 0
    assert reasons(actions(desired(), live)) == [
        ("Deployment", "spec.replicas is 0, want 2"),
        ("HorizontalPodAutoscaler", "absent"),
    ]


def test_a_fixed_size_is_kept() -> None:
    """Without an autoscaler the number is ours."""
    live = applied(desired(replicas=3))
    live[KEY]["spec"]["replicas"] = 1
    assert reasons(actions(desired(replicas=3), live)) == [("Deployment", "spec.replicas is 1, want 3")]


def test_the_autoscaler_goes_before_the_size_is_set() -> None:
    """Or it would undo it."""
    live = applied(desired())
    assert reasons(actions(desired(replicas=5), live)) == [
        ("-HorizontalPodAutoscaler", "no longer wanted"),
        ("Deployment", "spec.replicas is 2, want 5"),
    ]


def test_a_renumbered_port_takes_a_new_service() -> None:
    """The API server refuses a second port of one name; a port of somebody else's own is left alone."""
    live = applied(desired())
    key = ("Service", "uk-grocery")
    live[key]["spec"]["ports"].append({"name": "debug", "port": 9000, "protocol": "TCP"})
    assert actions(desired(), live) == ()
    live[key]["spec"]["ports"][0]["port"] = 81
    reason = "spec.ports[80/TCP] is absent, want present"
    assert reasons(actions(desired(), live)) == [("-Service", reason), ("Service", reason)]
    wanted = desired(networking={"service": {"port": 8080}})
    assert [kind for kind, _ in reasons(actions(wanted, applied(desired())))] == ["Service"]


def test_a_new_version_changes_the_deployment_alone() -> None:
    """And the candidate, once it serves, is taken away last."""
    live = applied(desired(candidate=18))
    planned = actions(desired(serving=18), live)
    assert [kind for kind, _ in reasons(planned)] == ["Deployment", "-Deployment"]
    assert reasons(planned)[0][1] == "spec.template.metadata.labels[retail.mlops/version] is 17, want 18"


def test_planning_changes_neither_side() -> None:
    """Pure: the observation is as it was."""
    manifests, live = desired(), applied(desired(serving=3))
    before = copy.deepcopy((manifests, live))
    actions(manifests, live)
    assert (manifests, live) == before
