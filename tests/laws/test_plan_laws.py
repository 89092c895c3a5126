"""Laws of the plan over any spec that the API admits."""

import copy
from typing import Any

from builders import desired_model
from hypothesis import given
from hypothesis import strategies as st

from psm_operator.decide.desired import children
from psm_operator.decide.difference import difference, quantity
from psm_operator.decide.plan import actions
from psm_operator.values import Apply, Delete, Manifest

Live = dict[tuple[str, str], Manifest]

QUANTITIES = st.one_of(
    st.integers(1, 4096).map(lambda n: f"{n}m"),
    st.integers(1, 4096).map(lambda n: f"{n}Mi"),
    st.integers(1, 64),
)
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
NAMES_OR_NONE = st.sampled_from(["", "a", "b.c"])
TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=8)
PREDICTORS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(
            ["", "registry.example/predictor:1", f"registry.example/predictor@sha256:{'ab' * 32}"]
        ),
        "workers": st.integers(1, 16),
        "env": st.lists(
            st.fixed_dictionaries({"name": NAMES, "value": TEXTS}), max_size=3, unique_by=lambda v: v["name"]
        ),
        "nodeSelector": st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=2),
        "resources": st.fixed_dictionaries(
            {"requests": st.dictionaries(st.sampled_from(["cpu", "memory"]), QUANTITIES)}
        ),
        "tolerations": st.lists(st.fixed_dictionaries({"key": TEXTS, "operator": st.just("Exists")}), max_size=2),
    },
)
SIZES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.integers(0, 20).map(lambda n: {"replicas": n}),
    st.tuples(st.integers(1, 5), st.integers(5, 20)).map(
        lambda pair: {"autoscaling": {"minReplicas": pair[0], "maxReplicas": pair[1]}}
    ),
)
NETWORKS = st.fixed_dictionaries(
    {},
    optional={
        "ingress": st.fixed_dictionaries(
            {"host": st.just("a.example")}, optional={"className": NAMES_OR_NONE, "tlsSecretName": NAMES_OR_NONE}
        ),
        "networkPolicy": st.fixed_dictionaries({"enabled": st.booleans()}),
        "service": st.fixed_dictionaries({"port": st.integers(1, 65535)}),
    },
)
VERSIONS = st.one_of(st.none(), st.integers(1, 50))


@st.composite
def wanted(draw: st.DrawFn) -> tuple[Manifest, ...]:
    """The children of some model."""
    model = desired_model(
        serving=draw(VERSIONS),
        candidate=draw(VERSIONS),
        held_at=draw(st.one_of(st.none(), st.integers(0, 3))),
        replicas_hint=draw(st.one_of(st.none(), st.integers(0, 50))),
        predictor=draw(PREDICTORS),
        networking=draw(NETWORKS),
        **draw(SIZES),
    )
    return children(model)


def merged(live: Any, sent: Any) -> Any:
    """Server-side apply, as far as the plan depends on it: maps merge, everything else is replaced."""
    if isinstance(live, dict) and isinstance(sent, dict):
        return {**live, **{key: merged(live.get(key), value) for key, value in sent.items()}}
    return copy.deepcopy(sent)


def without_what_was_sent(live: Manifest, before: Manifest) -> Manifest:
    """A new apply takes away what the same manager sent last time and does not send again."""
    kept = {key: value for key, value in live.items() if key not in before}
    for key, value in live.items():
        if key in before and isinstance(value, dict) and isinstance(before[key], dict):
            kept[key] = without_what_was_sent(value, before[key])
    return kept


class Server:
    """Keeps objects as the API server would: merges what is sent, fills in defaults, drops zero values."""

    def __init__(self) -> None:
        self.live: Live = {}
        self.sent: Live = {}

    def carry_out(self, manifests: tuple[Manifest, ...]) -> int:
        """Plan and write; returns how many writes it took."""
        planned = actions(manifests, self.live)
        for action in planned:
            match action:
                case Delete(kind=kind, name=name):
                    del self.live[kind, name]
                    del self.sent[kind, name]
                case Apply(manifest=manifest):
                    self._apply(manifest)
        return len(planned)

    def _apply(self, manifest: Manifest) -> None:
        key = (manifest["kind"], manifest["metadata"]["name"])
        live = self.live.get(key, {})
        replicas = live.get("spec", {}).get("replicas", 1)
        base = without_what_was_sent(live, self.sent.get(key, {}))
        made = merged(base, manifest)
        made["metadata"] |= {"uid": f"{key}", "resourceVersion": "1"}
        if key[0] == "Deployment":
            made["spec"].setdefault("replicas", replicas)
            pod = made["spec"]["template"]["spec"]
            pod.setdefault("dnsPolicy", "ClusterFirst")
            for container in pod["containers"]:
                container["readinessProbe"].setdefault("successThreshold", 1)
                container["env"] = [{k: v for k, v in variable.items() if v != ""} for variable in container["env"]]
        self.live[key] = made
        self.sent[key] = copy.deepcopy(manifest)


@given(wanted())
def test_a_plan_carried_out_leaves_nothing_to_do(manifests: tuple[Manifest, ...]) -> None:
    """Whatever the API server adds of its own."""
    server = Server()
    assert server.carry_out(manifests) == len(manifests)
    assert actions(manifests, server.live) == ()


@given(wanted(), wanted())
def test_any_change_of_mind_settles_at_once(before: tuple[Manifest, ...], after: tuple[Manifest, ...]) -> None:
    """One pass makes what is wanted now out of what was wanted before, and nothing of the latter stays."""
    server = Server()
    server.carry_out(before)
    server.carry_out(after)
    assert actions(after, server.live) == ()
    assert server.live.keys() == {(manifest["kind"], manifest["metadata"]["name"]) for manifest in after}
    fresh = Server()
    fresh.carry_out(after)
    for key, live in server.live.items():
        left = difference(_comparable(live), fresh.live[key]) or difference(_comparable(fresh.live[key]), live)
        assert left is None


def _comparable(live: Manifest) -> Manifest:
    """Without the size: it may be left over from the autoscaler's time."""
    return {**live, "spec": {key: value for key, value in live.get("spec", {}).items() if key != "replicas"}}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every scalar inside a manifest."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in paths(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in paths(item, (*path, index))]
    return [path]


IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


@given(wanted(), st.data())
def test_any_edited_field_is_put_right(manifests: tuple[Manifest, ...], data: st.DataObject) -> None:
    """Only the edited object is written, and the reason names what was found."""
    server = Server()
    server.carry_out(manifests)
    manifest = data.draw(st.sampled_from(manifests))
    is_autoscaled = any(other["kind"] == "HorizontalPodAutoscaler" for other in manifests)
    skipped = IDENTITY | ({("spec", "replicas")} if is_autoscaled else set())
    path = data.draw(st.sampled_from([path for path in paths(manifest) if path not in skipped]))
    key = (manifest["kind"], manifest["metadata"]["name"])
    place = server.live[key]
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]  # JSON
    place[path[-1]] = "edited"  # type: ignore[index]  # JSON
    *replaced, action = actions(manifests, server.live)
    assert isinstance(action, Apply)
    assert [(one.kind, one.name) for one in replaced if isinstance(one, Delete)] == [key] * len(replaced)
    assert (action.manifest["kind"], action.manifest["metadata"]["name"]) == key
    assert "edited" in action.reason or "absent" in action.reason
    server.carry_out(manifests)
    assert actions(manifests, server.live) == ()


@given(st.integers(1, 10**6))
def test_one_amount_in_two_spellings_is_one_amount(number: int) -> None:
    """Kubernetes rewrites quantities in its own canonical form."""
    assert quantity(f"{number}m") == quantity(f"{number * 1000}u")
    assert quantity(f"{number}Gi") == quantity(f"{number * 1024}Mi")
    assert quantity(number) == quantity(f"{number}000m") == quantity(f"{number}e0")
