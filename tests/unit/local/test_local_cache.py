"""Entries of the cache: keyed by content, published whole."""

import threading
from pathlib import Path

import pytest

from psm_local.cache import content_key, forget_others, published


def tree(root: Path, files: dict[str, str]) -> Path:
    """Write files below a folder and return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_key_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    """The same tree elsewhere has the same key; compiled Python does not count."""
    one = tree(tmp_path / "one", {"a/x.py": "1", "b": "2"})
    two = tree(tmp_path / "two", {"b": "2", "a/x.py": "1", "a/__pycache__/x.pyc": "noise"})
    assert content_key(["v1", one]) == content_key(["v1", two])


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"a/x.py": "2", "b": "2"}, id="another content"),
        pytest.param({"a/y.py": "1", "b": "2"}, id="another name"),
        pytest.param({"a/x.py": "1"}, id="a file less"),
    ],
)
def test_any_difference_changes_the_key(tmp_path: Path, files: dict[str, str]) -> None:
    """What goes in decides."""
    base = tree(tmp_path / "base", {"a/x.py": "1", "b": "2"})
    assert content_key([base]) != content_key([tree(tmp_path / "other", files)])


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """An interrupted build is not taken for an entry, and the next one builds again."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    target = tmp_path / "bin" / "x-1"
    with pytest.raises(KeyboardInterrupt):
        published(target, fail)
    assert [path.name for path in target.parent.iterdir()] == ["x-1.lock"]
    published(target, lambda folder: (folder / "whole").touch())
    assert (target / "whole").exists()


def test_concurrent_builders_build_once(tmp_path: Path) -> None:
    """The second waits for the first and takes its result."""
    built: list[int] = []
    inside = threading.Event()

    def build(folder: Path) -> None:
        inside.set()
        built.append(1)
        (folder / "x").touch()

    threads = [threading.Thread(target=published, args=(tmp_path / "x-1", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside.is_set()
    assert built == [1]


def test_older_entries_of_a_kind_are_forgotten(tmp_path: Path) -> None:
    """The cache holds one entry of each kind."""
    for name in ("node-1", "node-2", "node-agent-1"):
        (tmp_path / name).mkdir()
    forget_others(tmp_path / "node-2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node-2", "node-agent-1"]
