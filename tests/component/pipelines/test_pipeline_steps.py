"""Every command of every pipeline is executed somewhere, or listed with the reason why it cannot be; the shell text around it runs here."""

import re
from collections import defaultdict
from pathlib import Path
from string import Template

import pytest
from pipeline_expressions import UnknownExpressionError, evaluate, filled, holds
from pipeline_runner import NOT_EXECUTED, Sandbox
from pipeline_steps import ROOT, Step, all_steps, gitlab_steps, jenkins_steps, travis_steps

pytestmark = pytest.mark.component

EXECUTED = {
    "model-validate": "test_pipeline_model.py",
    "model-train": "test_pipeline_model.py",
    "model-register": "test_pipeline_model.py",
    "model-evaluate": "test_pipeline_model.py",
    "model-approve": "test_pipeline_model.py",
    "model-approved": "test_pipeline_model.py",
    "model-deployed": "test_pipeline_model.py",
    "model-smoke": "test_pipeline_model.py",
    "model-rollback": "test_pipeline_model.py",
    "release-check": "test_pipeline_release.py",
    "release-push": "test_pipeline_release.py",
    "release-outputs": "test_pipeline_release.py",
    "release-charts": "test_pipeline_release.py",
    "terraform-check": "test_pipeline_terraform.py",
    "terraform-plan": "test_pipeline_terraform.py",
    "terraform-summary": "test_pipeline_terraform.py",
}
"""Targets that a test runs for real through the steps of GitHub's workflows."""

SERVICE = {
    "CI_PROJECT_DIR": "/builds/project",
    "CI_COMMIT_TAG": "v0.1.0",
    "AWS_ACCOUNT_ID": "123456789012",
    "AWS_TOKEN": "token",
    "ENV": "dev",
    "IMAGE": "psm-operator",
}
"""What GitLab's and Jenkins' own variables, and a project's, may be."""

SHELLS = {
    "Jenkinsfile": ("sh", "-xec"),
    ".gitlab-ci.yml": ("bash", "-eo", "pipefail", "-c"),
    ".travis.yml": ("bash", "-c"),
}


def others() -> dict[tuple[str, str], list[Step]]:
    """Steps of the pipelines that are not GitHub's, by file and job."""
    jobs: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in (*jenkins_steps(), *gitlab_steps(), *travis_steps()):
        jobs[step.file, step.job].append(step)
    return jobs


def test_every_command_is_executed_or_listed_with_its_reason() -> None:
    """Neither a new step nor a renamed target slips through."""
    assert not EXECUTED.keys() & NOT_EXECUTED.keys()
    unknown = [
        str(step) for step in all_steps() for target in step.targets if target not in {**EXECUTED, **NOT_EXECUTED}
    ]
    assert unknown == []
    named = {target for step in all_steps() for target in step.targets}
    assert sorted({**EXECUTED, **NOT_EXECUTED}.keys() - named) == [], "listed, but no pipeline has it any more"
    assert all(len(reason) > 20 for reason in NOT_EXECUTED.values())


def test_the_page_lists_what_is_not_executed() -> None:
    """docs/ci.md, word by word."""
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    table = page.partition("| Not executed | Why |\n|---|---|\n")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", table, re.MULTILINE)) == NOT_EXECUTED


def test_every_command_names_a_target_or_writes_a_file_of_the_service() -> None:
    """Logic belongs into targets."""
    rest = {step.command for step in all_steps() if not step.targets}
    assert rest == {
        'echo "version=$(cat build/model/version)" >> "$GITHUB_OUTPUT"',
        """printf '%s' "$AWS_TOKEN" > "$CI_PROJECT_DIR.token\"""",
    }


def test_the_pipelines_do_the_same() -> None:
    """What GitHub's workflows run, the Jenkinsfile and GitLab's file run too; Travis only tests."""
    targets: dict[str, set[str]] = defaultdict(set)
    for step in all_steps():
        targets[step.file if "/" not in step.file else "github"] |= set(step.targets)
    only_github = {"release-outputs", "terraform-summary", "test-fast"}
    by_actions = {"registry-login", "setup"}
    for file in ("Jenkinsfile", ".gitlab-ci.yml"):
        assert targets["github"] - targets[file] <= only_github, file
        assert targets[file] - targets["github"] <= by_actions, file
    assert targets[".travis.yml"] == {"check", "test", "test-fast", "demo", "down"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("others"), {}).prepare()


@pytest.mark.parametrize("where", others(), ids=" ".join)
def test_a_job_of_another_service_asks_for_its_targets_in_order(sandbox: Sandbox, where: tuple[str, str]) -> None:
    """Its shell runs its commands; make says what it would do, and does not do it."""
    made = sandbox.only_say()
    made.write_text("")
    sandbox_variables = {**SERVICE, "CI_PROJECT_DIR": str(sandbox.tree)}
    steps = others()[where]
    (sandbox.tree / "build" / "model").mkdir(parents=True, exist_ok=True)
    (sandbox.tree / "build" / "model" / "version").write_text("1\n")
    expected: list[str] = []
    for step in steps:
        given = {k: _resolved(v, {**sandbox_variables, **step.environment}) for k, v in step.environment.items()}
        command = f'travis_wait() {{ shift; "$@"; }}; {step.command}'  # a function that Travis' own shell has
        done = sandbox.shell(
            Step(step.file, step.job, command), SHELLS[step.file], {**sandbox_variables, **given, "MADE": str(made)}
        )
        assert done.code == 0, f"{step}\n{done.said}"
        expected += _made(step)
    assert made.read_text().split() == expected


def _made(step: Step) -> tuple[str, ...]:
    """What it makes when nothing fails and nobody asked for more."""
    if step.command.startswith("if "):
        return ()
    return step.targets[:1] if "||" in step.command else step.targets


def _resolved(value: str, variables: dict[str, str]) -> str:
    """As GitLab expands variables in variables, and Jenkins ${env.NAME}."""
    text = value.replace("${env.TAG_NAME}", "$CI_COMMIT_TAG")
    return Template(Template(text).substitute(variables)).safe_substitute(variables)


def test_gitlab_goes_back_when_the_smoke_test_fails_and_the_job_fails(sandbox: Sandbox) -> None:
    made = sandbox.only_say()
    made.write_text("")
    (step,) = [step for step in gitlab_steps() if "model-smoke" in step.targets]
    done = sandbox.shell(step, SHELLS[".gitlab-ci.yml"], {"MADE": str(made), "FAILING": "model-smoke"})
    assert (done.code, made.read_text().split()) == (1, ["model-smoke", "model-rollback"])


def test_gitlab_approves_by_itself_only_when_told(sandbox: Sandbox) -> None:
    made = sandbox.only_say()
    (step,) = [step for step in gitlab_steps() if "model-approve" in step.targets]
    for approve, expected in (("person", []), ("auto", ["model-approve"])):
        made.write_text("")
        variables = {"MADE": str(made), "APPROVE": approve, "VERSION": "1"}
        assert sandbox.shell(step, SHELLS[".gitlab-ci.yml"], variables).code == 0
        assert made.read_text().split() == expected


def test_a_value_of_a_pipeline_is_never_a_command(tmp_path: Path, sandbox: Sandbox) -> None:
    """Neither make nor the shell looks into it."""
    (sandbox.folder / "bin" / "make").unlink(missing_ok=True)
    proof = tmp_path / "proof"
    attack = f'$(shell touch {proof})$(touch {proof})`touch {proof}`"; touch {proof}; "'
    for name, target in (("VERSION", "release-check"), ("VERSION", "model-approved"), ("IMAGE", "release-push")):
        variables = {"VERSION": "0.1.0", "IMAGE": "psm-operator", "REGISTRY": "r", name: attack}
        done = sandbox.shell(Step("test", "test", f"make {target}"), ("bash", "-ec"), variables)
        assert done.code != 0
        assert not proof.exists(), f"{name}={attack} was run by {target}"


CONTEXT = {"vars": {"A": "x"}, "github": {"event_name": "push"}, "steps": {"smoke": {"outcome": "failure"}}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("vars.A", "x"),
        ("github.event_name == 'push' && 'yes' || 'no'", "yes"),
        ("github.event_name != 'push' && 'yes' || 'no'", "no"),
        ("!(vars.A == 'y')", True),
        ("'it''s'", "it's"),
    ],
)
def test_an_expression_is_what_github_makes_of_it(expression: str, value: object) -> None:
    assert evaluate(expression, CONTEXT) == value


def test_an_expression_that_is_not_understood_is_no_expression() -> None:
    for wrong in ("vars.B", "contains(vars.A, 'x')", "vars.A 'x'"):
        with pytest.raises((UnknownExpressionError, IndexError)):
            evaluate(wrong, CONTEXT)
    assert filled("a ${{ vars.A }} b ${{ 'c' }}", CONTEXT) == "a x b c"


def test_a_step_runs_after_a_failure_only_if_it_says_so() -> None:
    going_back = "failure() && steps.smoke.outcome == 'failure'"
    assert holds(going_back, CONTEXT, has_failed=True)
    assert not holds(going_back, CONTEXT, has_failed=False)
    assert not holds("vars.A == 'x'", CONTEXT, has_failed=True)
    assert holds("always()", CONTEXT, has_failed=True)
