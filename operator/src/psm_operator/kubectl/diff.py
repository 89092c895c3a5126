"""`kubectl psm diff`: what the operator would write now, against what there is."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from psm_operator.adapters.kinds import BY_KIND, DEPLOYMENT
from psm_operator.apply import must_hand_over_replicas
from psm_operator.decide import decide
from psm_operator.decide.desired import PredictorDefaults
from psm_operator.kubectl.client import APPLY_PATCH, KubeClient
from psm_operator.kubectl.errors import ApiError, PluginError
from psm_operator.kubectl.look import FORBIDDEN, Wanted, look
from psm_operator.kubectl.models import read_one
from psm_operator.kubectl.output import GREEN, RED, yaml_of
from psm_operator.kubectl.session import Session
from psm_operator.ports import FIELD_MANAGER
from psm_operator.values import Action, Apply, Manifest, Observation

OPERATOR_LABEL: Final = "app.kubernetes.io/name=psm-operator"
NOISE: Final = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
"""What every write changes."""


def diff(session: Session, names: Sequence[str], *, registry: str, operator_namespace: str) -> int:
    """Print the differences of every named model; 1 if there are any."""
    has_any = False
    for name in names:
        model = read_one(session.client, session.namespace, name)
        found = look(session.client, model, Wanted(registry, all_children=True))
        for sentence in found.missing:
            session.warn(f"warning: {sentence}")
        seen, defaults = found.seen, operator_defaults(session.client, operator_namespace)
        if seen.spec.suspend:
            session.warn(f"warning: {name} is suspended: this is what the operator would write once it is resumed")
            seen = replace(seen, spec=seen.spec.model_copy(update={"suspend": False}))
        for line in _differences(session.client, seen, decide(seen, defaults).actions):
            has_any = True
            session.say(_painted(line, has_color=session.has_color))
    return 1 if has_any else 0


def operator_defaults(client: KubeClient, namespace: str) -> PredictorDefaults:
    """What the operator's installation gives every predictor, read where the chart put it.

    Raises:
        PluginError: there is no operator, or it may not be looked at.
    """
    from psm_operator.settings import DEFAULT_NAMESPACE, PREFIX, Settings, SettingsError  # noqa: PLC0415  # brings boto3

    found = _operators(client, namespace, DEFAULT_NAMESPACE)
    if not found:
        where = namespace or f"any namespace, or {DEFAULT_NAMESPACE}"
        raise PluginError(
            f"no Deployment with label {OPERATOR_LABEL} can be seen in {where}; pass --operator-namespace"
        )
    containers = found[0]["spec"]["template"]["spec"]["containers"]
    variables = {v["name"]: v.get("value", "") for v in containers[0].get("env") or [] if v["name"].startswith(PREFIX)}
    try:
        return Settings.read(variables).predictor
    except SettingsError as err:
        raise PluginError(
            f"the operator in {found[0]['metadata']['namespace']} has settings of another version: {err}"
        ) from err


def _operators(client: KubeClient, namespace: str, default: str) -> list[Manifest]:
    for scope in (namespace,) if namespace else (None, default):
        try:
            found, _ = client.items(DEPLOYMENT.path(scope), {"labelSelector": OPERATOR_LABEL})
        except ApiError as err:
            if err.status != FORBIDDEN:
                raise
            continue
        if found:
            return found
    return []


def _differences(client: KubeClient, seen: Observation, actions: Sequence[Action]) -> Iterator[str]:
    """Every action as a unified diff; what is deleted and made anew is one."""
    made = {_key(action.manifest) for action in actions if isinstance(action, Apply)}
    gone = {(action.kind, action.name) for action in actions if not isinstance(action, Apply)}
    for action in actions:
        if isinstance(action, Apply):
            key = _key(action.manifest)
            live = seen.children.get(key)
            after = action.manifest if live is None or key in gone else _applied(client, action.manifest, live)
        else:
            key, after = (action.kind, action.name), None
            if key in made:
                continue
        yield from _unified(key, seen.children.get(key), after, action.reason)


def _key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _applied(client: KubeClient, manifest: Manifest, live: Manifest) -> Manifest:
    """The live object after the operator's apply: by the API server if we may ask it, else laid over by ourselves."""
    body = {**manifest, "metadata": {k: v for k, v in manifest["metadata"].items() if k != "resourceVersion"}}
    if must_hand_over_replicas(manifest, live):
        # the operator's second field manager keeps the size; a dry run has no second manager
        body["spec"] = {**body["spec"], "replicas": live["spec"]["replicas"]}
    resource = BY_KIND[manifest["apiVersion"], manifest["kind"]]
    where = resource.path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
    query = {"fieldManager": FIELD_MANAGER, "force": "true", "dryRun": "All"}
    try:
        return client.send("PATCH", where, query=query, body=body, content_type=APPLY_PATCH)
    except ApiError as err:
        if err.status != FORBIDDEN:
            raise
        laid_over: Manifest = _laid_over(live, body)
        return laid_over


def _laid_over(live: Any, wanted: Any) -> Any:
    """Maps are merged, everything else is replaced: without the API server's defaults inside lists."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {**live, **{key: _laid_over(live.get(key), value) for key, value in wanted.items()}}
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [_laid_over(there, value) for there, value in zip(live, wanted, strict=True)]
    return wanted


def _unified(key: tuple[str, str], live: Manifest | None, after: Manifest | None, reason: str) -> Iterator[str]:
    name = "/".join(key)
    lines = list(difflib.unified_diff(_text(live), _text(after), f"live/{name}", f"desired/{name}", lineterm=""))
    if lines:
        yield f"# {name}: {reason}"
        yield from lines


def _text(manifest: Manifest | None) -> list[str]:
    if manifest is None:
        return []
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in NOISE}
    kept = {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata}
    return yaml_of(kept).splitlines()


def _painted(line: str, *, has_color: bool) -> str:
    if not has_color or line[:1] not in ("+", "-"):
        return line
    return f"\033[{GREEN if line[0] == '+' else RED}m{line}\033[0m"
