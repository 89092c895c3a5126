"""What a release refuses before it builds, and what it writes into charts."""

from dataclasses import replace
from pathlib import Path

import pytest

from psm_local import images
from psm_local.errors import LocalError
from psm_local.release import CHART_VALUES, CHARTS, IMAGES, _with_images, check, version_of

ROOT = Path(__file__).parents[3]
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def pushed(tmp_path: Path) -> Path:
    """A folder with the addresses of pushed images."""
    for name in IMAGES:
        (tmp_path / f"{name}.ref").write_text(f"registry/mlops/{name}@{DIGEST}\n")
    return tmp_path


def values(chart: str) -> str:
    return (ROOT / "charts" / chart / "values.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "version"), [("v0.2.0", "0.2.0"), ("1.10.3", "1.10.3"), ("v0.2.0-rc.1", "0.2.0-rc.1")]
)
def test_a_tag_names_a_version(text: str, version: str) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize("text", ["", "v1", "latest", "1.2.3; rm -rf x", "1.2.3\n", "../1.2.3", "1.2.3-RC"])
def test_anything_else_does_not(text: str) -> None:
    with pytest.raises(LocalError, match="is no version"):
        version_of(text)


def test_packages_and_charts_of_this_repository_have_one_version() -> None:
    """Also that of a release candidate."""
    assert check("0.1.0", ROOT) == "0.1.0"
    assert check("0.1.0-rc.1", ROOT) == "0.1.0-rc.1"


def test_a_release_names_the_file_that_says_another_version() -> None:
    with pytest.raises(LocalError, match=r"pyproject\.toml says version 0\.1\.0, the release says 9\.9\.9; change one"):
        check("9.9.9", ROOT)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_released_chart_names_its_images_by_digest(chart: str, pushed: Path) -> None:
    """Every line that the release writes is in the chart's values exactly once."""
    written = _with_images(chart, values(chart), pushed)
    assert written.count(DIGEST) == len(CHART_VALUES.get(chart, ())) - (chart in CHART_VALUES)
    assert (written == values(chart)) == (chart not in CHART_VALUES)


def test_a_chart_is_not_packaged_before_its_images_are_pushed(pushed: Path) -> None:
    (pushed / "psm-operator.ref").unlink()
    with pytest.raises(LocalError, match="`psm-local release push --image psm-operator` writes it"):
        _with_images("psm-operator", values("psm-operator"), pushed)
    (pushed / "psm-operator.ref").write_text("registry/mlops/psm-operator:latest\n")
    with pytest.raises(LocalError, match="there is no address by digest"):
        _with_images("psm-operator", values("psm-operator"), pushed)


def test_values_that_changed_their_form_are_refused(pushed: Path) -> None:
    """Rather than released with images of somewhere else."""
    changed = values("psm-operator").replace("  repository: mlops/psm-operator\n", "  repository: elsewhere\n")
    with pytest.raises(LocalError, match=r"have 0 lines 'repository: mlops/psm-operator', one is expected"):
        _with_images("psm-operator", changed, pushed)


def test_an_image_of_another_commit_is_another_image(tmp_path: Path) -> None:
    """Where the commit is told to the build."""
    (tmp_path / "Dockerfile.x").write_text("FROM scratch\n")
    spec = images.ImageSpec("x", "Dockerfile.x", ())
    told = [replace(spec, arguments=(("GIT_SHA", sha),)) for sha in ("1", "2")]
    assert len({images.image_key(one, tmp_path) for one in (spec, *told)}) == 3
    assert told[0].flags == ["--build-arg", "GIT_SHA=1"]
