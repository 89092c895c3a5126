"""Terraform as functions: init, validate, test, plan as JSON, apply, destroy.

Called by every command that needs a plan and by the tests of `terraform/`. What init makes lies in the user's cache,
keyed by the directory, so that the tree stays clean and runs beside each other do not meet. A provider that lies on
this machine's disk is linked to, never copied; where there is none, terraform asks its registry.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from psm_cloud.errors import CloudError
from psm_cloud.mirror import find_mirror
from psm_cloud.settings import Settings, inherited

NEEDED: Final = (1, 11)
"""`use_lockfile` of the S3 backend is stable since then."""
_QUIET: Final = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
_STOP_S: Final = 60.0
"""What terraform gets after an interrupt, to end its provider and write its state."""
_TOLD: Final = 3000
"""Characters of each of terraform's two outputs in an error."""

Plan = dict[str, Any]
"""What `terraform show -json` says of a plan."""


class TerraformMissingError(CloudError):
    """There is no terraform, or an old one."""


class TerraformError(CloudError):
    """A command of terraform ended with an error; the message is terraform's own."""


@dataclass(frozen=True)
class Terraform:
    """The program, where its provider comes from, and the environment of its runs."""

    program: str
    version: str
    platform: str
    """Such as linux_amd64."""
    mirror: Path | None
    """None: terraform finds providers by itself."""
    cache: Path
    environment: Mapping[str, str]
    """On top of this process's."""

    @classmethod
    def found(cls, settings: Settings) -> "Terraform":
        """Find terraform on PATH and a provider on disk.

        Raises:
            TerraformMissingError: There is none, or it is too old.
        """
        needed = ".".join(map(str, NEEDED))
        program = shutil.which("terraform", path=settings.search_path)
        if program is None:
            raise TerraformMissingError(f"terraform is not on PATH; install Terraform {needed} or newer")
        environment = dict(_QUIET)
        if settings.cli_config is not None and not os.access(settings.cli_config, os.R_OK):
            environment["TF_CLI_CONFIG_FILE"] = os.devnull  # else a warning on every command
        said = subprocess.run(
            [program, "version", "-json"], env=inherited(environment), capture_output=True, text=True, check=False
        )
        told = json.loads(said.stdout) if said.returncode == 0 else {}
        version = str(told.get("terraform_version", "unknown"))
        if not (number := re.match(r"(\d+)\.(\d+)", version)) or tuple(map(int, number.groups())) < NEEDED:
            raise TerraformMissingError(f"{program} is version {version}; install Terraform {needed} or newer")
        cache = settings.cache_dir / "terraform"
        return cls(program, version, told["platform"], find_mirror(settings), cache, environment)

    def having(self, environment: Mapping[str, str]) -> "Terraform":
        """Return the same with more variables in its runs, such as credentials."""
        return replace(self, environment={**self.environment, **environment})

    def at(self, directory: Path) -> "Root":
        """Return a directory to run in: a module, an environment."""
        return Root(self, directory.resolve())


@dataclass(frozen=True)
class Root:
    """One directory of configuration. Every method but `init` needs `init` before it."""

    terraform: Terraform
    directory: Path

    @property
    def data(self) -> Path:
        """Where init keeps what it makes for this directory (TF_DATA_DIR)."""
        key = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return self.terraform.cache / f"{self.directory.name}-{key}"

    @property
    def _lock(self) -> Path:
        return self.data.with_name(f"{self.data.name}.lock")

    def init(self, *, backend: bool = True, backend_config: Mapping[str, str] | None = None) -> "Root":
        """Make ready, if what the directory asks for changed since the last time; `backend` is where the state is kept."""
        configured = {**(backend_config or {})} if backend else {"backend": "none"}
        stamp = self.data / "psm-init"
        digest = self._digest(configured)
        with _locked(self._lock):
            if stamp.exists() and stamp.read_text() == digest:
                return self
            stamp.unlink(missing_ok=True)
            flags = [f"-backend-config={key}={value}" for key, value in configured.items()] if backend else []
            flags += ["-reconfigure"] if backend else ["-backend=false"]
            if self.terraform.mirror is not None:
                flags.append(f"-plugin-dir={self.terraform.mirror}")
            self.run("init", *flags)
            self.data.mkdir(parents=True, exist_ok=True)
            stamp.write_text(digest)
        return self

    def validate(self) -> None:
        """Check the configuration against the provider's schemas.

        Raises:
            TerraformError: It is wrong.
        """
        self.run("validate")

    def test(self, *flags: str, limit_s: float = 600) -> str:
        """Run the directory's `tests/*.tftest.hcl`; returns what terraform says of them.

        Raises:
            TerraformError: One failed.
        """
        return self.run("test", *flags, limit_s=limit_s)

    def plan(self, *flags: str, limit_s: float = 600) -> Plan:
        """Return what apply would do, as `terraform show -json` says it."""
        with tempfile.TemporaryDirectory(prefix="psm-plan-") as folder:
            file = Path(folder) / "plan"
            self.run("plan", f"-out={file}", *flags, limit_s=limit_s)
            shown: Plan = json.loads(self.run("show", "-json", str(file)))
            return shown

    def apply(self, *flags: str, limit_s: float = 3600) -> None:
        """Make the account as the directory says. Asks nobody: whoever calls this has asked."""
        self.run("apply", "-auto-approve", *flags, limit_s=limit_s)

    def destroy(self, *flags: str, limit_s: float = 3600) -> None:
        """Take away all that the state knows. Asks nobody: whoever calls this has asked."""
        self.run("destroy", "-auto-approve", *flags, limit_s=limit_s)

    def forget(self) -> None:
        """Remove what init made for this directory, which is about to go."""
        shutil.rmtree(self.data, ignore_errors=True)
        self._lock.unlink(missing_ok=True)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the state by name."""
        said: dict[str, Any] = json.loads(self.run("output", "-json"))
        return {name: output["value"] for name, output in said.items()}

    def run(self, *arguments: str, limit_s: float = 600) -> str:
        """Run one command; returns its standard output.

        Raises:
            TerraformError: It ended with an error, or not within `limit_s`.
        """
        env = inherited({**self.terraform.environment, "TF_DATA_DIR": str(self.data)})
        words = 2 if arguments[0] == "state" else 1  # such as `state rm`, which takes flags after both
        argv = [self.terraform.program, *arguments[:words], "-no-color", *arguments[words:]]
        command = f"terraform {arguments[0]} in {self.directory}"
        with subprocess.Popen(
            argv, cwd=self.directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                out, err = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired as expired:
                out, err = _stopped(process)
                raise TerraformError(
                    f"{command} was stopped after {limit_s:.0f} s:\n{(err + out)[-_TOLD:]}"
                ) from expired
            except BaseException:  # Ctrl-C reaches terraform too, which ends its provider
                _stopped(process)
                raise
        if process.returncode != 0:
            raise TerraformError(f"{command} failed:\n{out[-_TOLD:]}{err[-_TOLD:]}")
        return out

    def _digest(self, configured: Mapping[str, str]) -> str:
        """Name what init depends on: the files here and in the modules that they call, provider and backend."""
        said = hashlib.sha256(repr((self.terraform.version, str(self.terraform.mirror), configured)).encode())
        for file in sorted(_files(self.directory)):
            said.update(file.read_bytes())
        return said.hexdigest()


def _files(directory: Path) -> Iterator[Path]:
    """Files of a directory, and of the modules on disk that it calls."""
    yield from (path for path in (directory / ".terraform.lock.hcl",) if path.exists())
    for file in directory.glob("*.tf"):
        yield file
        for source in re.findall(r'^\s*source\s*=\s*"(\.[^"]*)"', file.read_text(), flags=re.MULTILINE):
            yield from _files((directory / source).resolve())


def _stopped(process: "subprocess.Popen[str]") -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
