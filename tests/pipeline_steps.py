"""Every command of every pipeline: GitHub's workflows, the Jenkinsfile, GitLab's and Travis' files."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pipeline_jenkinsfile import Block, read_jenkinsfile

ROOT = Path(__file__).parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        file: By its path from the repository's root.
        job: Job or stage.
        command: Shell text.
        environment: Of the whole file, the job and the step, as written.
        condition: Its `if`.
        id: By which other steps know it.
        matrix: The values of this instance of the job.
    """

    file: str
    job: str
    command: str
    environment: Mapping[str, str] = field(default_factory=dict)
    condition: str = "success()"
    id: str = ""
    matrix: Mapping[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The make targets that it names."""
        return tuple(re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", self.command))

    def __str__(self) -> str:
        return f"{self.file}, {self.job}: {self.command}"


def all_steps() -> list[Step]:
    """Of all pipelines."""
    workflows = [step for path in sorted(WORKFLOWS.glob("*.yml")) for step in github_steps(path)]
    return [*workflows, *jenkins_steps(), *gitlab_steps(), *travis_steps()]


def github_job(workflow: str, job: str, **matrix: str) -> list[Step]:
    """The commands of one instance of a job."""
    steps = [s for s in github_steps(WORKFLOWS / workflow) if s.job == job and matrix.items() <= s.matrix.items()]
    assert steps, f"{workflow} has no job {job} with {matrix}"
    return steps


def github_steps(path: Path) -> Iterator[Step]:
    """Of a workflow; a job with a matrix once for every combination."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, job in workflow["jobs"].items():
        for matrix in combinations(job.get("strategy", {}).get("matrix", {})):
            for step in job.get("steps", []):
                if "run" in step:
                    environment = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                    yield Step(
                        file=f".github/workflows/{path.name}",
                        job=name,
                        command=step["run"],
                        environment={key: str(value) for key, value in environment.items()},
                        condition=str(step.get("if", "success()")),
                        id=step.get("id", ""),
                        matrix=matrix,
                    )


def combinations(matrix: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every choice of one value for each name."""
    lists = [value if isinstance(value, list) else [value] for value in matrix.values()]
    for chosen in itertools.product(*lists):
        yield dict(zip(matrix, chosen, strict=True))


def gitlab_steps() -> Iterator[Step]:
    """Of GitLab's file, with what jobs inherit."""
    document = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    for name, given in document.items():
        if not isinstance(given, dict) or name.startswith(".") or not {"script", "stage"} <= given.keys():
            continue
        base = document[given["extends"]] if "extends" in given else {}
        job = {**document["default"], **base, **given}
        environment = {**base.get("variables", {}), **given.get("variables", {})}
        for matrix in itertools.chain.from_iterable(
            combinations(one) for one in job.get("parallel", {}).get("matrix", [{}])
        ):
            for command in [*job["before_script"], *job["script"], *job.get("after_script", [])]:
                yield Step(".gitlab-ci.yml", name, command, {**environment, **matrix}, matrix=matrix)


def travis_steps() -> Iterator[Step]:
    """Of Travis' file."""
    document = yaml.safe_load((ROOT / ".travis.yml").read_text(encoding="utf-8"))
    for job in document["jobs"]["include"]:
        environment = dict([job["env"].split("=", 1)]) if "env" in job else {}
        for phase in ("script", "after_script"):
            if phase in job:
                yield Step(".travis.yml", job["name"], job[phase], environment)


def jenkins_steps() -> Iterator[Step]:
    """Of the Jenkinsfile, with the path of stages that lead to each."""
    yield from _of_stage(read_jenkinsfile(ROOT / "Jenkinsfile"), (), {})


def _of_stage(block: Block, path: tuple[str, ...], outer: Mapping[str, str]) -> Iterator[Step]:
    environments = [dict(one.settings) for one in block.body if one.name == "environment"]
    environment = {**outer, **(environments[0] if environments else {})}
    for child in block.body:
        match child.name:
            case "sh":
                yield Step("Jenkinsfile", "/".join(path), child.words[0], environment)
            case "stage":
                yield from _of_stage(child, (*path, child.words[0]), environment)
            case _:
                yield from _of_stage(child, path, environment)
