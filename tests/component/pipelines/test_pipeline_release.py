"""The release workflow's commands: a real registry gets images and charts; what scans and signs is listed, not run."""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pipeline_runner import Job, Sandbox
from pipeline_steps import github_job
from waiting import until

from psm_local import gobuild
from psm_local.ports import free_ports
from psm_local.release import IMAGES
from psm_local.settings import read_settings

pytestmark = pytest.mark.component

CRANE = "crane"


def crane(*words: str) -> str:
    program = gobuild.programs(gobuild.CRANE, read_settings(), print) / CRANE
    return subprocess.run([str(program), *words], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def registry() -> Iterator[str]:
    """A registry of images on this machine's loopback, in memory."""
    program = gobuild.programs(gobuild.CRANE, read_settings(), print) / CRANE
    (port,) = free_ports(1)
    argv = [str(program), "registry", "serve", "--address", f"127.0.0.1:{port}"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(f"http://127.0.0.1:{port}/v2/"), "the registry")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def put_image(sandbox: Sandbox, name: str, content: str) -> None:
    """A small archive where `make release-image` would have put a large one."""
    folder = sandbox.tree / "build" / "release"
    folder.mkdir(parents=True, exist_ok=True)
    layer = sandbox.folder / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content.encode()))
    crane(
        "append",
        "--new_layer",
        str(layer),
        "--new_tag",
        f"localhost/{name}:dev",
        "--output",
        str(folder / f"{name}.tar"),
    )


def context(tag: str) -> dict[str, Any]:
    tools = {"grype": {"outputs": {"cmd": "grype"}}, "syft": {"outputs": {"cmd": "syft"}}}
    return {"github": {"ref_name": tag}, "vars": {"AWS_ACCOUNT_ID_PROD": "1", "AWS_REGION": "r"}, "steps": tools}


def test_images_and_charts_reach_the_registry_by_digest(tmp_path: Path) -> None:
    """Each command of release.yml that runs here, for every image of the matrix."""
    sandbox = Sandbox(tmp_path, {}).prepare()
    with registry() as host:
        checked = Job(sandbox, context("v0.1.0")).run(github_job("release.yml", "check"))
        assert not checked.has_failed, checked.report
        pushed = {}
        for name in IMAGES:
            put_image(sandbox, name, f"the image {name}")
            job = Job(sandbox, context("v0.1.0")).run(github_job("release.yml", "image", image=name), REGISTRY=host)
            assert not job.has_failed, job.report
            pushed[name] = job.steps["pushed"]["outputs"]
            assert pushed[name]["name"] == f"{host}/mlops/{name}"
            assert pushed[name]["digest"] == crane("digest", f"{host}/mlops/{name}:0.1.0")
        charts = Job(sandbox, context("v0.1.0")).run(github_job("release.yml", "charts"), REGISTRY=host)
        assert not charts.has_failed, charts.report
        assert crane("ls", f"{host}/mlops/charts/psm-operator") == "0.1.0"
        _same_version_again(sandbox, host)
    values = chart_values(sandbox, "psm-operator")
    assert values["image"]["repository"] == pushed["psm-operator"]["name"]
    assert values["image"]["digest"] == pushed["psm-operator"]["digest"]
    predictor = pushed["api-price-sensitivity"]
    assert f"{predictor['name']}@{predictor['digest']}" in json.dumps(values)
    assert chart_values(sandbox, "psm-training")["image"]["digest"] == pushed["train-price-sensitivity"]["digest"]


def chart_values(sandbox: Sandbox, chart: str) -> Any:
    """values.yaml of a packaged chart."""
    with tarfile.open(sandbox.tree / "build" / "release" / "charts" / f"{chart}-0.1.0.tgz") as tar:
        content = tar.extractfile(f"{chart}/values.yaml")
        assert content is not None
        return yaml.safe_load(content.read())


def _same_version_again(sandbox: Sandbox, host: str) -> None:
    """The same bytes are fine, as when a job is repeated; others are refused."""
    push = [step for step in github_job("release.yml", "image", image="psm-operator") if "release-push" in step.targets]
    assert not Job(sandbox, context("v0.1.0")).run(push, REGISTRY=host).has_failed
    put_image(sandbox, "psm-operator", "another build")
    refused = Job(sandbox, context("v0.1.0")).run(push, REGISTRY=host)
    assert refused.has_failed
    assert "a version never changes: release another" in sandbox.done[-1].said
    assert Job(sandbox, context("v0.1.1")).run(push, REGISTRY=host).has_failed is False


def test_a_tag_that_is_not_the_version_releases_nothing(tmp_path: Path) -> None:
    """Neither one that packages and charts do not have, nor one that is no version."""
    sandbox = Sandbox(tmp_path, {}).prepare()
    for tag, message in (
        ("v0.2.0", "says version 0.1.0, the release says 0.2.0; change one"),
        ("latest", "'latest' is no version; write it like 0.2.0"),
    ):
        assert Job(sandbox, context(tag)).run(github_job("release.yml", "check")).has_failed
        assert message in sandbox.done[-1].said
