"""Models as the API server tells them, and the few questions that every command asks of one.

Works on plain JSON: a status written by a newer operator is still shown. `parsed` gives the typed values that the operator's own
rules take.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from psm_operator.api.names import API_VERSION, GROUP, KIND, PLURAL, SINGULAR
from psm_operator.kubectl.client import KubeClient
from psm_operator.kubectl.errors import ApiError, PluginError
from psm_operator.kubectl.plain import Manifest

if TYPE_CHECKING:
    from psm_operator.api.spec import ModelSpec
    from psm_operator.api.status import ModelStatus

RESOURCE: Final = f"{SINGULAR}.{GROUP}"
NOT_FOUND: Final = 404
CLOSE_ENOUGH: Final = 0.6
"""Of difflib's ratio: typing errors and forgotten parts, not any other name."""


def path(namespace: str | None, name: str = "") -> str:
    """The URL path of the collection, or of one model; no namespace is every namespace."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{scope}/{PLURAL}" + (f"/{name}" if name else "")


def read_all(client: KubeClient, namespace: str | None, selector: str = "") -> tuple[list[Manifest], str]:
    """Every model, by namespace and name, and the list's resourceVersion.

    Raises:
        PluginError: the cluster does not know the kind.
    """
    try:
        found, version = client.items(path(namespace), {"labelSelector": selector} if selector else None)
    except ApiError as err:
        if err.status == NOT_FOUND:
            raise PluginError(
                f"the cluster has no {PLURAL}.{GROUP}; install the chart psm-crds, or pass another --context"
            ) from err
        raise
    return sorted(found, key=lambda model: (namespace_of(model), name_of(model))), version


def read_one(client: KubeClient, namespace: str, name: str) -> Manifest:
    """One model.

    Raises:
        PluginError: there is none of that name; names that come close are suggested.
    """
    try:
        return client.send("GET", path(namespace, name))
    except ApiError as err:
        if err.status != NOT_FOUND:
            raise
        raise PluginError(_unknown(client, namespace, name)) from err


def _unknown(client: KubeClient, namespace: str, name: str) -> str:
    models, _ = read_all(client, namespace)
    names = [name_of(model) for model in models]
    close = difflib.get_close_matches(name, names, n=1, cutoff=CLOSE_ENOUGH) or [n for n in names if name in n][:1]
    head = f"{RESOURCE} {name!r} not found in namespace {namespace}"
    if close:
        return f"{head}; did you mean {close[0]}?"
    if names:
        return f"{head}; there are {', '.join(names[:5])}" + (" and others" if len(names) > len(names[:5]) else "")
    return f"{head}, which has no models; pass -n NAMESPACE, or look with `kubectl psm status -A`"


def name_of(model: Manifest) -> str:
    """The model's name."""
    return str(model["metadata"]["name"])


def namespace_of(model: Manifest) -> str:
    """The model's namespace."""
    return str(model["metadata"]["namespace"])


def full_name(model: Manifest) -> str:
    """As kubectl names an object in what it says."""
    return f"{RESOURCE}/{name_of(model)}"


def status_of(model: Manifest) -> Mapping[str, Any]:
    """The status; empty before the operator's first pass."""
    return model.get("status") or {}


def version_in(model: Manifest, *names: str) -> int | None:
    """`status.<name>.version` of the first of these that is there."""
    parts = (status_of(model).get(name) or {} for name in names)
    return next((part["version"] for part in parts if "version" in part), None)


def condition(model: Manifest, kind: str) -> Mapping[str, Any]:
    """One condition; empty if absent."""
    return next((c for c in status_of(model).get("conditions") or [] if c["type"] == kind), {})


def pin_of(model: Manifest) -> int | None:
    """The pinned version."""
    pin: int | None = (model["spec"].get("version") or {}).get("pin")
    return pin


def is_suspended(model: Manifest) -> bool:
    """Whether the operator only watches."""
    return bool(model["spec"].get("suspend"))


def rejections(model: Manifest) -> list[Mapping[str, Any]]:
    """`status.rejected`, newest first."""
    return list(status_of(model).get("rejected") or [])


def rejection_of(model: Manifest, version: int | None) -> Mapping[str, Any] | None:
    """The rejection of one version."""
    return next((entry for entry in rejections(model) if entry["version"] == version), None)


def known_versions(model: Manifest) -> list[int]:
    """Every version that the status names, newest first."""
    status = status_of(model)
    parts = [status.get(name) or {} for name in ("desired", "candidate", "current", "stable")]
    rows = [*parts, *rejections(model), *(status.get("history") or [])]
    return sorted({row["version"] for row in rows if "version" in row}, reverse=True)


def without_noise(model: Manifest) -> Manifest:
    """As kubectl shows an object: without managedFields."""
    metadata = {key: value for key, value in model["metadata"].items() if key != "managedFields"}
    return {"apiVersion": API_VERSION, "kind": KIND, **model, "metadata": metadata}


def parsed(model: Manifest) -> "tuple[ModelSpec, ModelStatus]":
    """Spec and status as the operator's types, read as the operator reads them.

    Raises:
        PluginError: the spec contradicts these types.
    """
    from psm_operator.api.stored import InvalidSpec, read_spec, read_status  # noqa: PLC0415  # only for commands that judge

    try:
        return read_spec(model["spec"]), read_status(status_of(model))
    except InvalidSpec as err:
        raise PluginError(f"{name_of(model)} cannot be understood: {err}") from err


def git_owner(model: Manifest) -> str:
    """Who writes the spec from Git; empty if nobody."""
    metadata = model["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    for kind, prefix in (("Kustomization", "kustomize"), ("HelmRelease", "helm")):
        head = f"{prefix}.toolkit.fluxcd.io"
        if f"{head}/name" in labels:
            return f"Flux {kind} {labels.get(f'{head}/namespace', '?')}/{labels[f'{head}/name']}"
    tracked = annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")[0]
    name = tracked or labels.get("argocd.argoproj.io/instance", "")
    if name:
        return f"Argo CD Application {name}"
    managers = {entry.get("manager") for entry in metadata.get("managedFields") or []}
    return next((words for manager, words in GIT_MANAGERS.items() if manager in managers), "")


GIT_MANAGERS: Final = {
    "argocd-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
}
"""Field managers under which they apply."""


def each(client: KubeClient, namespace: str, names: Sequence[str]) -> Iterator[Manifest]:
    """The named models, in the order given."""
    for name in names:
        yield read_one(client, namespace, name)
