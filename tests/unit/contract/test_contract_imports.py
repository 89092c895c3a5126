"""What the contract costs to import: the operator has no numpy, and a predictor's start has no pandas."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (("environment", "metadata"), ("numpy", "pydantic")),
        (("manifest", "schema"), ("numpy",)),
        (("features", "tables"), ("pandas", "scipy", "sklearn", "duckdb")),
    ],
    ids=["names are plain Python", "the manifest needs no numpy", "features need numpy alone"],
)
def test_importing_stays_light(modules: tuple[str, ...], absent: tuple[str, ...]) -> None:
    """In a fresh interpreter, as in a fresh pod."""
    imports = ", ".join(f"psm_contract.{name}" for name in modules)
    script = f"import sys, {imports}; print(sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
