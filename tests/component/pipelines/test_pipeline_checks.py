"""What checkers say of the pipelines: actionlint, zizmor, JSON Schemas of each service, a Groovy grammar, and our own rules."""

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline_jenkinsfile import NotGroovyError, read_jenkinsfile

from psm_local import gobuild
from psm_local.settings import find_program, read_settings

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = {
    ".github/dependabot.yml": ("vendor.dependabot",),
    ".gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
    ".travis.yml": ("vendor.travis",),
    ".github/workflows/*.yml": ("vendor.github-workflows",),
}
LONGEST_RUN_LINES = 1
"""A step is one command: what it does belongs into the Makefile and our commands."""

Edit = Callable[[str], str]


def actionlint(*files: Path) -> str:
    """What it says; nothing if all is well."""
    program = gobuild.programs(gobuild.ACTIONLINT, read_settings(), print) / "actionlint"
    argv = [str(program), "-no-color", "-shellcheck=", "-pyflakes=", *map(str, files)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def zizmor(*files: Path) -> tuple[int, str]:
    """Its exit code and findings, without any network, as its strictest persona."""
    argv = [str(find_program("zizmor")), "--offline", "--persona=pedantic", "--no-progress", "-q", *map(str, files)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def schema(paths: Iterable[Path], *which: str) -> tuple[int, str]:
    """What the schema of that service says; `which` is its name in check-jsonschema, and flags."""
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *which, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def edited(tmp_path: Path, name: str, edit: Edit) -> Path:
    """A copy of a file of ours with a mistake in it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    wrong = edit(text)
    assert wrong != text, "the edit found its place"
    path = tmp_path / ".github" / "workflows" / Path(name).name
    path.parent.mkdir(parents=True)
    path.write_text(wrong, encoding="utf-8")
    return path


def test_actionlint_finds_nothing() -> None:
    """Syntax, expressions, types of inputs and outputs, contexts that exist."""
    assert actionlint(*WORKFLOWS) == ""


def test_actionlint_would_find_an_output_that_does_not_exist(tmp_path: Path) -> None:
    wrong = edited(
        tmp_path,
        ".github/workflows/model.yml",
        lambda text: text.replace("needs.train.outputs.v", "needs.train.outputs.w"),
    )
    assert 'property "wersion" is not defined' in actionlint(wrong)


def test_zizmor_finds_nothing() -> None:
    """Permissions, pins, credentials, caches, templates in shell commands, dependabot."""
    assert zizmor(ROOT / ".github")[0] == 0, zizmor(ROOT / ".github")[1]


@pytest.mark.parametrize(
    ("name", "edit", "finding"),
    [
        ("ci.yml", lambda text: re.sub(r"checkout@\w{40} # v", "checkout@v", text), "unpinned-uses"),
        ("ci.yml", lambda text: text.replace("permissions: {}", "permissions: write-all"), "excessive-permissions"),
        ("e2e.yml", lambda text: text.replace("make demo", "make demo ${{ github.head_ref }}"), "template-injection"),
    ],
    ids=["a tag for a pin", "all permissions", "a branch's name in a shell command"],
)
def test_zizmor_would_find(tmp_path: Path, name: str, edit: Edit, finding: str) -> None:
    code, said = zizmor(edited(tmp_path, f".github/workflows/{name}", edit))
    assert (code != 0, finding in said) == (True, True), said


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_file_is_what_its_service_reads(name: str) -> None:
    """By the schema that each service, or SchemaStore for it, publishes."""
    code, said = schema(ROOT.glob(name), *SCHEMAS[name])
    assert code == 0, said


def test_a_job_that_gitlab_does_not_know_would_be_found(tmp_path: Path) -> None:
    wrong = edited(
        tmp_path, ".gitlab-ci.yml", lambda text: text.replace("  script:\n    - make check\n", "  scripts: [x]\n")
    )
    assert schema([wrong], *SCHEMAS[".gitlab-ci.yml"])[0] == 1


def test_every_job_of_github_ends_in_time() -> None:
    """No job runs for GitHub's six hours because something hangs."""
    code, said = schema(WORKFLOWS, "custom.github-workflows-require-timeout")
    assert code == 0, said


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    """Forty hexadecimal digits, and the version that they are in a comment."""
    pins = defaultdict(set)
    for path in WORKFLOWS:
        for line in path.read_text(encoding="utf-8").splitlines():
            if (used := re.search(r"uses: (?!\./)(.*)", line)) is not None:
                pin = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", used.group(1))
                assert pin is not None, f"{path.name}: {line.strip()}"
                pins[pin.group(1)].add(pin.groups()[1:])
    assert {action: found for action, found in pins.items() if len(found) > 1} == {}
    assert len(pins) > 5


def workflows() -> dict[str, Any]:
    return {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS}


@pytest.mark.parametrize("name", [path.name for path in WORKFLOWS])
def test_a_workflow_starts_with_no_rights_and_one_at_a_time(name: str) -> None:
    """Each job asks for what it needs and says why."""
    workflow = workflows()[name]
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    assert all("permissions" in job for job in workflow["jobs"].values())
    text = (ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8")
    asked = re.findall(r"^      [a-z-]+: (?:read|write)(.*)$", text, re.MULTILINE)
    assert all(re.match(r" # .{8,}", reason) for reason in asked), asked


def test_a_step_is_one_command() -> None:
    """Of make; only outputs of a job are told by the shell."""
    for name, workflow in workflows().items():
        for job in workflow["jobs"].values():
            for step in job.get("steps", []):
                command = step.get("run", "make")
                assert len(command.splitlines()) <= LONGEST_RUN_LINES, f"{name}: {command}"
                assert command.startswith("make") or "GITHUB_OUTPUT" in command, f"{name}: {command}"
                assert "${{" not in command, f"{name}: {command}"


def test_no_pipeline_runs_what_a_stranger_wrote_with_our_rights() -> None:
    """`pull_request_target` and `workflow_run` do."""
    for name, workflow in workflows().items():
        triggers = workflow[True]  # YAML 1.1 reads `on` so
        assert not {"pull_request_target", "workflow_run"} & set(triggers), name


def test_the_jenkinsfile_is_groovy_of_the_declarative_kind() -> None:
    """Every stage has steps, stages or a matrix; every agent is named; every run ends in time."""
    pipeline = read_jenkinsfile(ROOT / "Jenkinsfile")
    stages = list(pipeline.walk("stage"))
    assert len(stages) > 5
    for stage in stages:
        kinds = [block.name for block in stage.body if block.name in ("steps", "stages", "matrix", "parallel")]
        assert len(kinds) == 1, f"line {stage.line}: a stage has one of steps, stages, matrix, parallel, not {kinds}"
        known = {"agent", "environment", "input", "matrix", "options", "post", "stages", "steps", "when"}
        assert {block.name for block in stage.body} <= known, f"line {stage.line}"
    top = pipeline.only("stages")
    assert top is not None
    for stage in top.body:
        assert stage.only("agent") is not None, f"line {stage.line}: no agent"
        assert any(stage.walk("timeout")), f"line {stage.line}: no timeout"


def test_a_brace_too_few_in_the_jenkinsfile_would_be_found(tmp_path: Path) -> None:
    wrong = edited(tmp_path, "Jenkinsfile", lambda text: text.replace("steps {", "steps ", 1))
    with pytest.raises(NotGroovyError, match="is not Groovy from line"):
        read_jenkinsfile(wrong)
