"""Which commit trained a model, and on which data."""

import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from psm_training.errors import PipelineError
from psm_training.lake.manifests import Week
from psm_training.lake.place import lake_at
from psm_training.provenance import Commit, commit_of, current_commit, data_sha256
from psm_training.settings import Settings
from psm_training.workspace import Workspace, write_json

SETTINGS = Settings(cache_dir=Path("unused"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of code and one of something else, committed one after the other."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")
    _git(tmp_path, "init", "--quiet")
    for seconds, folder in enumerate(("training", "contract", "docs"), start=1_700_000_000):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(folder)
        _git(tmp_path, "add", folder)
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{seconds} +0000")
        _git(tmp_path, "commit", "--quiet", "--message", folder)
    return tmp_path


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _code(repository: Path) -> list[Path]:
    return [repository / "contract", repository / "training"]


def test_commits_to_other_parts_do_not_count(repository: Path) -> None:
    """A change of the documentation does not make another model."""
    expected = _git(repository, "rev-parse", "HEAD~1")
    assert commit_of(_code(repository), SETTINGS) == Commit(expected, "2023-11-14T22:13:21Z")


def test_changed_code_is_dirty(repository: Path) -> None:
    """And a change elsewhere is not."""
    (repository / "docs" / "file").write_text("changed")
    assert not commit_of(_code(repository), SETTINGS).sha.endswith("-dirty")
    (repository / "contract" / "file").write_text("changed")
    assert commit_of(_code(repository), SETTINGS).sha.endswith("-dirty")


def test_the_environment_wins(repository: Path) -> None:
    """An image has no repository, and a release may pin the time."""
    settings = Settings(cache_dir=Path("unused"), git_sha="f" * 40, source_date_epoch=0)
    assert commit_of(_code(repository), settings) == Commit("f" * 40, "1970-01-01T00:00:00Z")


def test_without_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    """And says so, instead of inventing one."""
    assert commit_of([tmp_path], SETTINGS) == Commit("unknown", "1970-01-01T00:00:00Z")


def test_the_pipelines_own_commit_is_found_or_unknown() -> None:
    """Of the code that runs here."""
    sha = current_commit(SETTINGS).sha
    assert sha == "unknown" or len(sha.removesuffix("-dirty")) == 40


def test_the_digest_of_the_data_is_that_of_what_the_weeks_hold(tmp_path: Path) -> None:
    """Not of where the lake is; another line is another digest, and another week too."""
    with pytest.raises(PipelineError, match="run `psm-train ingest` first"):
        data_sha256(Workspace(tmp_path))
    one = _lake(tmp_path / "one", {200801: [1, 2], 200802: [3]})
    assert data_sha256(one) == data_sha256(_lake(tmp_path / "two", {200801: [1, 2], 200802: [3]}))
    for number, other in enumerate(({200801: [1, 2]}, {200801: [1, 2], 200802: [4]}, {200801: [1, 2], 200803: [3]})):
        assert data_sha256(one) != data_sha256(_lake(tmp_path / f"other{number}", other))


def _lake(root: Path, weeks: dict[int, list[int]]) -> Workspace:
    """A workspace whose silver holds numbers."""
    space = Workspace(root)
    table = lake_at(str(space.lake)).silver
    for number, rows in weeks.items():
        file = table.write(number, "E01", pa.table({"SPEND": rows}))
        table.commit(Week(number, "inputs", (file,)))
    write_json(space.source, {"source": "synthetic"})
    return space
