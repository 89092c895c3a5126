"""Where promtool comes from when it is not on PATH."""

from dataclasses import replace
from pathlib import Path

import pytest

from psm_local.errors import Unsupported
from psm_local.promtool import promtool
from psm_local.settings import read_settings


def test_without_apt_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is left that looks as if it had been fetched."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"missing: promtool; install it"):
        promtool(replace(read_settings(), cache_dir=tmp_path), print)
    assert [path.suffix for path in (tmp_path / "bin").iterdir()] == [".lock"]


def test_one_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched."""
    program = tmp_path / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert promtool(read_settings(), print) == program
