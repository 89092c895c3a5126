"""Executes a pipeline's commands: in a copy of the work tree that is a repository of its own, by the shell that the service uses.

`uv run` is answered by this test run's environment, so that nothing is installed; every other program is the real one.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_expressions import filled, holds
from pipeline_steps import ROOT, Step

BIN = Path(sys.executable).parent
LIMIT_S = 300.0

_UV = f"""#!/bin/bash
# `uv run --no-sync PROGRAM …` with what is installed already
if [ "$1 $2" = "run --no-sync" ]; then shift 2; program=$1; shift; exec "{BIN}/$program" "$@"; fi
echo "uv $* would change the environment, which this copy of the work tree does not own" >&2
exit 1
"""

_MAKE = f"""#!/bin/bash
# says what was asked for, and lets make say what it would do
echo "$*" >> "$MADE"
if [ "$*" = "${{FAILING:-}}" ]; then exit 1; fi
exec {shutil.which("make")} -n "$@"
"""

NOT_EXECUTED: Mapping[str, str] = {
    "check": "is what runs this test, or runs beside it; its target is looked at with make -n",
    "test": "is what runs this test; its target is looked at with make -n",
    "test-fast": "is part of make test; its target is looked at with make -n",
    "test-terraform": "is part of make test (tests/component/terraform); its target is looked at with make -n",
    "demo": "is tests/e2e/test_demo_story.py, which runs the same story; kind needs Docker",
    "down": "would stop a demo that somebody has running on this machine",
    "setup": "would install what is installed already",
    "kubeconfig": "needs the AWS CLI and EKS; the test gives its cluster's kubeconfig instead",
    "registry-login": "needs the AWS CLI and Docker; the test's registry asks for no password",
    "release-image": "takes minutes; the images are built and run by tests/e2e",
    "release-scan": "needs Grype and its database of vulnerabilities from the internet",
    "release-sbom": "needs Syft, which is not at hand",
    "release-sign": "needs cosign, a public transparency log and the identity of a real pipeline",
    "terraform-apply": "takes minutes on the emulator; tests/component/terraform applies and destroys there",
}
"""Targets that no test of the pipelines runs, and why."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    step: Step
    code: int
    said: str


@dataclass
class Sandbox:
    """A copy of the work tree in which commands run.

    Attributes:
        folder: Where.
        variables: What every command finds in its environment.
    """

    folder: Path
    variables: Mapping[str, str]
    done: list[Done] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """The copy."""
        return self.folder / "tree"

    def prepare(self) -> "Sandbox":
        """Copies what git knows, or would add, and makes a repository of it."""
        listed = _git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
        for name in filter(None, listed):
            source, target = ROOT / name, self.tree / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        (self.tree / ".venv").mkdir()
        (self.tree / ".venv" / ".synced").touch()
        (self.folder / "bin").mkdir()
        uv = self.folder / "bin" / "uv"
        uv.write_text(_UV, encoding="utf-8")
        uv.chmod(0o755)
        _git(self.tree, "init", "-q")
        _git(self.tree, "add", "-A")
        _git(self.tree, "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", "As it is")
        return self

    def shell(self, step: Step, argv: Iterable[str], environment: Mapping[str, str]) -> Done:
        """Runs a command by a shell."""
        inherited = {k: v for k, v in os.environ.items() if k in ("HOME", "PATH", "XDG_CACHE_HOME", "LANG")}  # noqa: TID251  # what a runner has
        path = os.pathsep.join([str(self.folder / "bin"), inherited["PATH"]])
        ran = subprocess.run(
            [*argv, step.command],
            cwd=self.tree,
            env={**inherited, "CI": "true", **self.variables, **environment, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        done = Done(step, ran.returncode, ran.stdout)
        self.done.append(done)
        return done

    def only_say(self) -> Path:
        """From now on `make` runs nothing; what it is asked for is written to the file that is returned."""
        make = self.folder / "bin" / "make"
        make.write_text(_MAKE, encoding="utf-8")
        make.chmod(0o755)
        return self.folder / "made"

    def dry(self, step: Step) -> Done:
        """`make -n` of every target that a command names: they exist, and their recipes can be expanded."""
        planned = Step(step.file, step.job, f"make -n {' '.join(step.targets)}")
        return self.shell(planned, ("bash", "-ec"), {})


@dataclass
class Job:
    """One instance of a job of GitHub's, as its runner would go through it.

    Attributes:
        sandbox: Where commands run.
        context: github, vars, inputs, needs, matrix …
    """

    sandbox: Sandbox
    context: Mapping[str, Any]
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    has_failed: bool = False
    ran: list[str] = field(default_factory=list)

    def run(self, steps: Iterable[Step], **environment: str) -> "Job":
        """Each step whose condition holds, unless it is listed; `environment` stands for what an action left behind."""
        steps = list(steps)
        self.steps = {step.id: {"outcome": "", "outputs": {}} for step in steps if step.id} | self.steps
        for step in steps:
            context = {**self.context, "matrix": step.matrix, "steps": {**self.context.get("steps", {}), **self.steps}}
            if not holds(step.condition, context, has_failed=self.has_failed):
                continue
            if set(step.targets) & NOT_EXECUTED.keys():
                assert self.sandbox.dry(step).code == 0, self.sandbox.done[-1].said
                continue
            self._execute(step, context, environment)
        return self

    def _execute(self, step: Step, context: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        files = {name: self.sandbox.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.write_text("")
        given = {name: filled(value, context) for name, value in step.environment.items()}
        variables = {**given, **environment, **{name: str(path) for name, path in files.items()}}
        done = self.sandbox.shell(step, ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"), variables)
        self.ran.append(step.command)
        self.has_failed = self.has_failed or done.code != 0
        if step.id:
            lines = files["GITHUB_OUTPUT"].read_text().splitlines()
            outputs = dict(line.split("=", 1) for line in lines)
            self.steps[step.id] = {"outcome": "failure" if done.code else "success", "outputs": outputs}

    @property
    def report(self) -> str:
        """What was run and what it said, for a failing test."""
        return "\n".join(f"$ {done.step.command}\n{done.said}-> {done.code}" for done in self.sandbox.done)


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout
