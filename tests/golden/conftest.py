"""Golden files: what the code renders, kept beside the test and reviewed in the diff. `make golden` rewrites them."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-rewrite", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Compare a text with a golden file, or write it under --golden-rewrite."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        # the option is unknown where the run began in another folder
        if pytestconfig.getoption("--golden-rewrite", default=False):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"tests/golden/{name} is missing; run `make golden` and review the diff"
        assert text == path.read_text(encoding="utf-8"), f"tests/golden/{name} differs; run `make golden` and review"

    return check
