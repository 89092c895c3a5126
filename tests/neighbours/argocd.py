"""Argo CD as plain processes beside an embedded control plane, with a Git server: what `make test-argocd` talks to.

It lacks what its installation has: the user interface, dex, notifications, TLS and log-in.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from helm import helm_program
from waiting import until

from psm_local import gobuild
from psm_local.aptdeps import require
from psm_local.cluster import Cluster
from psm_local.ports import free_ports
from psm_local.settings import read_settings
from psm_local.supervise import instance
from psm_local.supervise.plan import Plan, Process, Ready

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "argocd"
HOME: Final = "127.0.0.1"
SYNC_LIMIT_S: Final = 180.0
"""For Argo CD to see a commit, sync it and judge its health on a busy machine."""
PACKAGES: Final = {"redis-server": "redis-server", "git": "git"}
PORTS: Final = (
    "redis",
    "git",
    "repo",
    "repo-metrics",
    "controller-metrics",
    "server",
    "server-metrics",
    "sets",
    "sets-probe",
    "sets-hook",
)

Json = dict[str, Any]


@dataclass(frozen=True)
class ArgoCd:
    """A running Argo CD.

    Attributes:
        git: the work tree whose commits it syncs.
        git_url: where it finds them.
        programs: the folder of its programs.
    """

    cluster: Cluster
    git: Path
    git_url: str
    programs: Path
    environment: Mapping[str, str]

    def run(self, *argv: str, code: int = 0, cwd: Path = ROOT) -> str:
        """Run a program in the environment of a person who uses this Argo CD; return what it printed.

        Raises:
            AssertionError: it ended with another code.
        """
        done = subprocess.run(argv, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def argocd(self, *words: str, code: int = 0) -> str:
        """Run the command line."""
        return self.run("argocd", *words, code=code)

    def commit(self, files: Mapping[str, str | None]) -> None:
        """Commit texts to Git; None deletes a file."""
        for name, text in files.items():
            path = self.git / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text, encoding="utf-8")
        git(self.git, "add", "--all")
        git(self.git, "commit", "--quiet", "--message", "Change the models")

    def refresh(self, application: str) -> None:
        """Have it look at Git now."""
        self.argocd("app", "get", application, "--refresh")

    def application(self, name: str) -> Json:
        """Return an Application with the health of each resource."""
        found: Json = json.loads(self.argocd("app", "get", name, "-o", "json"))
        return found

    def health(self, application: str, kind: str = "PriceSensitivityModel", name: str = "") -> tuple[str, str]:
        """Return the health of a resource of an Application, and its message."""
        for resource in self.application(application).get("status", {}).get("resources", ()):
            if resource["kind"] == kind and name in ("", resource["name"]):
                health = resource.get("health", {})
                return health.get("status", ""), health.get("message", "")
        return "", ""

    def is_synced(self, application: str) -> bool:
        """Whether Git and the cluster agree."""
        return bool(self.application(application)["status"]["sync"]["status"] == "Synced")

    def until_health(self, application: str, wanted: str, *, name: str = "") -> str:
        """Wait for the health of a model and return its message."""
        until(
            lambda: self.health(application, name=name)[0] == wanted,
            f"{application} {name} to be {wanted}, is {self.health(application, name=name)}",
            SYNC_LIMIT_S,
        )
        return self.health(application, name=name)[1]


@contextmanager
def start_argocd(cluster: Cluster, folder: Path) -> Iterator[ArgoCd]:
    """Run Argo CD with the customization of integrations/ for the length of a `with` block."""
    settings = read_settings()
    require(PACKAGES, settings, print)
    programs = gobuild.programs(gobuild.ARGOCD, settings, print)
    _install(cluster, programs)
    work = _repository(folder / "git/models")
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    environment = _environment(cluster, programs, folder, ports)
    name = f"test-{os.getpid()}-argocd"
    run_dir = instance.new_run_dir(settings.run_dir / name, name)
    plan = Plan(name, tuple(_processes(cluster, folder, programs / "argocd", environment, ports)))
    handle = instance.start(run_dir, plan, attached=True, say=print)
    try:
        yield ArgoCd(cluster, work, f"git://{HOME}:{ports['git']}/models", programs, environment)
    finally:
        handle.stop()


def _install(cluster: Cluster, programs: Path) -> None:
    """Apply what an installation has beside its Deployments; ours is merged as docs/argocd.md says."""
    for kind in ("application", "applicationset", "appproject"):
        cluster.kubectl("apply", "--server-side", "-f", str(programs / f"{kind}-crd.yaml"))
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(programs / "argocd-cm.yaml"))
    for kind, name in (
        ("configmap", "argocd-rbac-cm"),
        ("configmap", "argocd-tls-certs-cm"),
        ("secret", "argocd-secret"),
    ):
        labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"}
        manifest = {"apiVersion": "v1", "kind": kind.capitalize() if kind == "secret" else "ConfigMap"}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps({**manifest, "metadata": metadata}))


def _repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Data Team")
    git(folder, "config", "user.email", "data@example.com")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    return folder


def git(folder: Path, *words: str) -> str:
    """Run Git in a folder."""
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def _environment(cluster: Cluster, programs: Path, folder: Path, ports: Mapping[str, int]) -> dict[str, str]:
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    shutil.copy(helm_program(), bin_folder / "helm")
    for name in ("data", "home"):
        (folder / name).mkdir()
    data = folder / "data"
    path = (str(programs), str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"])  # noqa: TID251  # as a shell has it
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(folder / "home"),
        "KUBECONFIG": str(cluster.kubeconfig),
        "NO_PROXY": "*",
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_GNUPGHOME": str(data / "gpg"),
        "ARGOCD_TLS_DATA_PATH": str(data),
        "ARGOCD_SSH_DATA_PATH": str(data),
        "ARGOCD_PLUGINSOCKFILEPATH": str(data),
        "ARGOCD_SERVER": f"{HOME}:{ports['server']}",
        "ARGOCD_OPTS": "--plaintext",
    }


def _processes(
    cluster: Cluster, folder: Path, program: Path, environment: Mapping[str, str], ports: Mapping[str, int]
) -> Iterator[Process]:
    def component(name: str, port: str, *options: str, needs: tuple[str, ...] = ()) -> Process:
        env = {**environment, "ARGOCD_BINARY_NAME": f"argocd-{name}"}
        ready = Ready("socket", f"{HOME}:{ports[port]}", timeout_s=120)
        return Process(name, (str(program), *options), needs=needs, ready=ready, env=env)

    redis = ("--redis", f"{HOME}:{ports['redis']}")
    repo = ("--repo-server", f"{HOME}:{ports['repo']}", "--repo-server-plaintext")
    cluster_options = ("--kubeconfig", str(cluster.kubeconfig), "--namespace", NAMESPACE)
    yield Process(
        "redis",
        ("redis-server", "--port", str(ports["redis"]), "--bind", HOME, "--save", "", "--appendonly", "no"),
        ready=Ready("socket", f"{HOME}:{ports['redis']}"),
    )
    served = (
        "--export-all",
        f"--base-path={folder / 'git'}",
        f"--listen={HOME}",
        f"--port={ports['git']}",
        "--reuseaddr",
    )
    yield Process("git", ("git", "daemon", *served), ready=Ready("socket", f"{HOME}:{ports['git']}"))
    yield component(
        "repo-server",
        "repo",
        "--port",
        str(ports["repo"]),
        "--metrics-port",
        str(ports["repo-metrics"]),
        "--address",
        HOME,
        "--disable-tls",
        "--client-ca-path",
        "",
        *redis,
        needs=("redis",),
    )
    yield component(
        "application-controller",
        "controller-metrics",
        "--metrics-port",
        str(ports["controller-metrics"]),
        *cluster_options,
        *redis,
        *repo,
        "--app-resync",
        "10",
        needs=("repo-server",),
    )
    yield component(
        "server",
        "server",
        "--port",
        str(ports["server"]),
        "--metrics-port",
        str(ports["server-metrics"]),
        "--address",
        HOME,
        "--disable-auth",
        "--insecure",
        "--dex-server",
        "",
        *cluster_options,
        *redis,
        *repo,
        needs=("repo-server",),
    )
    yield component(
        "applicationset-controller",
        "sets-probe",
        *cluster_options,
        "--argocd-repo-server",
        f"{HOME}:{ports['repo']}",
        "--repo-server-plaintext",
        "--metrics-addr",
        f"{HOME}:{ports['sets']}",
        "--probe-addr",
        f"{HOME}:{ports['sets-probe']}",
        "--webhook-addr",
        f"{HOME}:{ports['sets-hook']}",
        needs=("repo-server",),
    )
