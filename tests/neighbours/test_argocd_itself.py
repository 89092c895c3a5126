"""A real Argo CD syncs models and charts: `make test-argocd`. The tests build on one another, in their order."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from argocd_scripts import ACTIONS, DISCOVERY, HEALTH, SCRIPTS, ScriptError, run_script
from neighbours.argocd import ROOT, SYNC_LIMIT_S, ArgoCd, git, start_argocd
from waiting import until
from whole_operator import register, running_operator

from psm_local.cluster import Cluster

GROUP: Final = "price-sensitivity"
PAGE: Final = ROOT / "docs/argocd.md"
MODEL: Final = "models/grocery/quick.yaml"
QUICK: Final = {
    "suspend": False,
    "interval": "15s",
    "registry": {"modelPackageGroupName": "quick", "region": "ap-southeast-1"},
    "version": {"policy": "LatestApproved"},
    "replicas": 2,
    "rollout": {"soak": "1s", "minReadySeconds": 0},
    "rollback": {"cooldown": "0s"},
    "analysis": {"failureLimit": 1},
}


def manifest(name: str, **spec: Any) -> str:
    """A model in Git, with short clocks; None leaves a field out."""
    wanted = {key: value for key, value in {**QUICK, **spec}.items() if value is not None}
    head = {"apiVersion": "retail.mlops/v1alpha1", "kind": "PriceSensitivityModel", "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": wanted})


def example(name: str, model: str) -> str:
    """An example of this repository under another name."""
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    return text.replace("name: uk-grocery\n", f"name: {model}\n", 1).replace("  namespace: mlops\n", "", 1)


@pytest.fixture(scope="module")
def argocd(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoCd]:
    """Argo CD with a Git that has two examples and a quick model; versions are in the registry."""
    register(control_plane, GROUP, "0.800000")
    control_plane.kubectl("label", "nodes", "--all", "kubernetes.io/arch=amd64", "--overwrite")  # full.yaml selects it
    register(control_plane, "quick", "0.800000")
    with start_argocd(control_plane, tmp_path_factory.mktemp("argocd")) as found:
        minimal = example("minimal.yaml", "minimal")
        full = re.sub(
            r"\n    roleARN: .*registry-reader.*", "", example("full.yaml", "full")
        )  # S3 here has one account
        found.commit(
            {
                "models/grocery/minimal.yaml": minimal,
                "models/grocery/full.yaml": full,
                MODEL: manifest("quick"),
            }
        )
        yield found


@pytest.fixture(scope="module")
def page(argocd: ArgoCd, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the page has: the files that it names, with the addresses of their own Git."""
    folder = tmp_path_factory.mktemp("page")
    charts = argocd.git.parent / "psm-operator"
    charts.mkdir()
    for name in ("charts", "integrations", "examples"):
        for path in sorted((ROOT / name).rglob("*")):
            place = (charts if name == "charts" else folder) / path.relative_to(ROOT)
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                text = path.read_text(encoding="utf-8")
                text = text.replace("https://github.com/example/models.git", argocd.git_url)
                text = text.replace("https://github.com/example/psm-operator.git", f"file://{charts}")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
    git(charts, "init", "--quiet", "--initial-branch", "main")
    git(charts, "add", "--all")
    git(charts, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "Charts")
    return folder


def commands() -> list[str]:
    """Every command of the page."""
    return re.findall(r"^\$ (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def synced(argocd: ArgoCd, page: Path) -> Iterator[ArgoCd]:
    """All that the page tells was done; the operator runs from the moment at which its chart was synced."""
    with ExitStack() as running:
        for command in commands():
            if "wait models" in command:
                running.enter_context(running_operator(argocd.cluster, "mlops", "grocery"))
            argocd.run(*shlex.split(command), cwd=page)
        yield argocd


def test_every_command_of_the_page_runs(synced: ArgoCd) -> None:
    """Charts, examples and an ApplicationSet end healthy and in sync."""
    for name in ("psm-crds", "psm-operator", "models", "models-grocery"):
        until(partial(synced.is_synced, name), f"{name} to be in sync", SYNC_LIMIT_S)
    for model in ("minimal", "full", "quick"):
        message = synced.until_health("models", "Healthy", name=model)
        assert "serving 1" in message or "off-hours" in message


def quick(argocd: ArgoCd) -> tuple[str, str]:
    """Health and message of the quick model."""
    return argocd.health("models", name="quick")


def act(argocd: ArgoCd, action: str) -> None:
    """A person presses a button of the quick model."""
    argocd.argocd("app", "actions", "run", "models", action, "--kind=PriceSensitivityModel", "--resource-name=quick")


def status(argocd: ArgoCd, name: str = "quick") -> dict[str, Any]:
    """What the operator says."""
    found: dict[str, Any] = json.loads(argocd.cluster.kubectl("get", "psm", name, "-n", "mlops", "-o", "json"))
    return dict(found.get("status", {}))


def until_message(argocd: ArgoCd, health: str, part: str, *, is_pushed: bool = False) -> None:
    """Wait until Argo CD shows a health and a part of a message; Git and the cluster never differ but after a push."""

    def is_so() -> bool:
        if not is_pushed:
            argocd.argocd("app", "diff", "models")
        found = quick(argocd)
        return found[0] == health and part in found[1]

    until(is_so, f"{health} with {part!r}, is {quick(argocd)}", SYNC_LIMIT_S)
    argocd.argocd("app", "diff", "models")


def push(argocd: ArgoCd, files: dict[str, str | None]) -> None:
    """Commit and have it seen at once."""
    argocd.commit(files)
    argocd.refresh("models")


def test_a_roll_out_is_progressing_and_ends_healthy(synced: ArgoCd) -> None:
    register(synced.cluster, "quick", "0.830000")
    act(synced, "look-now")
    until_message(synced, "Healthy", "serving 2")


def test_a_rollback_and_a_second_chance_by_action(synced: ArgoCd) -> None:
    act(synced, "rollback")
    until_message(synced, "Healthy", "serving 1; 2 rejected")
    until(lambda: (status(synced).get("stable") or {}).get("version") == 1, "version 1 to be stable", SYNC_LIMIT_S)
    act(synced, "retry")
    until_message(synced, "Healthy", "serving 2")


def test_a_version_that_the_registry_rejects_holds_up_no_wave(synced: ArgoCd) -> None:
    register(synced.cluster, "quick", "0.100000")
    act(synced, "look-now")
    until_message(synced, "Healthy", "3 rejected")
    later: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}, "data": {"a": "1"}}
    later["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    push(synced, {"models/grocery/later.yaml": yaml.safe_dump(later), MODEL: manifest("quick", replicas=3)})
    until(
        lambda: synced.cluster.kubectl("get", "configmap", "later", "-n", "mlops", "--ignore-not-found"),
        "the second wave",
        SYNC_LIMIT_S,
    )


def test_what_git_asks_and_cannot_be_had_is_degraded(synced: ArgoCd) -> None:
    push(synced, {MODEL: manifest("quick", version={"pin": 9})})
    until_message(synced, "Degraded", "spec.version.pin is 9", is_pushed=True)
    push(synced, {MODEL: manifest("quick", version={"pin": 1})})
    until_message(synced, "Healthy", "serving 1", is_pushed=True)
    synced.argocd(
        "app", "actions", "run", "models", "rollback", "--kind=PriceSensitivityModel", "--resource-name=quick", code=20
    )
    push(synced, {MODEL: manifest("quick")})
    until_message(synced, "Healthy", "serving 2", is_pushed=True)


def test_what_a_person_suspends_past_git_is_put_back(synced: ArgoCd) -> None:
    """The examples name `suspend`, so self-heal sees it; a pin that Git does not name stays."""
    synced.run("kubectl", "psm", "suspend", "quick", "-n", "mlops")
    until(lambda: not spec(synced)["suspend"], "self-heal to put suspend back", SYNC_LIMIT_S)


def spec(argocd: ArgoCd) -> dict[str, Any]:
    """The quick model's spec in the cluster."""
    found: dict[str, Any] = json.loads(argocd.cluster.kubectl("get", "psm", "quick", "-n", "mlops", "-o", "json"))
    return dict(found["spec"])


def test_a_model_that_git_suspends_is_suspended(synced: ArgoCd) -> None:
    push(synced, {MODEL: manifest("quick", suspend=True)})
    until_message(synced, "Suspended", "suspended: nothing is changed", is_pushed=True)
    synced.argocd("app", "wait", "models", "--health", "--degraded", "--suspended", "--timeout=60")
    push(synced, {MODEL: manifest("quick")})
    until_message(synced, "Healthy", "serving 2", is_pushed=True)


def test_off_hours_are_healthy_and_no_difference(synced: ArgoCd) -> None:
    now = datetime.now(UTC)  # noqa: TID251  # the operator's own clock
    start, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 3))
    push(synced, {MODEL: manifest("quick", schedule={"timezone": "UTC", "offHours": [{"start": start, "end": end}]})})
    until_message(synced, "Healthy", "off-hours until", is_pushed=True)
    assert synced.is_synced("models")
    push(synced, {MODEL: manifest("quick")})
    until_message(synced, "Healthy", "serving 2", is_pushed=True)


def test_a_model_that_left_git_is_pruned_with_its_children(synced: ArgoCd) -> None:
    push(synced, {MODEL: None})
    until(
        lambda: not synced.cluster.kubectl("get", "psm,deploy", "quick", "-n", "mlops", "--ignore-not-found"),
        "the model and its Deployment to go",
        SYNC_LIMIT_S,
    )
    push(synced, {MODEL: manifest("quick")})
    until_message(synced, "Healthy", "serving 2", is_pushed=True)


def states() -> list[Path]:
    """The live states that the customization's own tests have."""
    return sorted((SCRIPTS / "testdata").glob("*.yaml"))


@pytest.mark.parametrize("path", states(), ids=lambda path: path.stem)
def test_our_lua_machine_answers_as_argo_cds(argocd: ArgoCd, path: Path) -> None:
    """What `make test` runs the scripts in is held against the real one: health, offers and every action."""
    resource = yaml.safe_load(path.read_text(encoding="utf-8"))
    ask = ("admin", "settings", "resource-overrides")
    config = ("--argocd-cm-path", str(ROOT / "integrations/argocd-cm.yaml"))
    told = argocd.argocd(*ask, "health", str(path), *config)
    ours = run_script(HEALTH, resource)
    assert f"STATUS: {ours['status']}" in told
    assert f"MESSAGE: {ours['message']}" in told
    lines = argocd.argocd(*ask, "list-actions", str(path), *config).splitlines()[1:]
    offers = {name: is_disabled == "false" for name, is_disabled in (line.split()[:2] for line in lines)}
    found = run_script(DISCOVERY, resource)
    assert offers == {name: not (isinstance(a, dict) and a.get("disabled")) for name, a in found.items()}
    for name, script in ACTIONS.items():
        if not offers[name]:
            with pytest.raises(ScriptError):
                run_script(script, resource)
            argocd.argocd(*ask, "run-action", str(path), name, *config, code=20)
            continue
        changed = run_script(script, resource)
        printed = argocd.argocd(*ask, "run-action", str(path), name, *config)
        new = set(changed["metadata"]["annotations"]) - set(resource["metadata"].get("annotations", {}))
        assert all(key in printed for key in new), printed


def test_the_operator_away_is_progressing_until_it_is_back(argocd: ArgoCd, page: Path) -> None:
    """Without an operator an edit is never looked at; its return ends that."""
    argocd.commit({MODEL: manifest("quick")})
    for command in commands()[:2]:
        argocd.run(*shlex.split(command), cwd=page)
    push(argocd, {MODEL: manifest("quick", replicas=4)})
    until_message(argocd, "Progressing", "not looked at this generation", is_pushed=True)
    with running_operator(argocd.cluster, "mlops", "grocery"):
        until_message(argocd, "Healthy", "serving")


def test_a_cascade_takes_every_model_and_child(argocd: ArgoCd) -> None:
    argocd.argocd("app", "delete", "models", "--cascade", "--yes")
    until(
        lambda: not argocd.cluster.kubectl("get", "psm,deploy,svc,pdb", "-n", "mlops", "-o", "name"),
        "everything to go",
        SYNC_LIMIT_S,
    )
