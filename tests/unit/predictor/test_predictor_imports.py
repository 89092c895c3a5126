import subprocess
import sys

import pytest

HEAVY = {"sklearn", "pandas", "scipy", "joblib", "skl2onnx", "onnx", "onnxruntime", "duckdb", "pyarrow"}


def imported_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after the statement."""
    script = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_serving_needs_no_training_library() -> None:
    """Cold start and memory: onnxruntime only for a model that needs it, and botocore only when the model is in S3."""
    loaded = ("server", "workers", "artifact.load", "engines.choose", "engines.trees")
    modules = imported_by("import " + ", ".join(f"psm_predictor.{name}" for name in loaded))

    assert not modules & (HEAVY | {"boto3", "botocore"})


@pytest.mark.parametrize(
    "statement",
    ["import psm_predictor.__main__", "import psm_predictor.workers"],
    ids=["the health check", "the parent of several workers"],
)
def test_what_runs_beside_the_server_is_small(statement: str) -> None:
    """Neither numpy nor FastAPI."""
    assert not imported_by(statement) & {"numpy", "fastapi", "onnxruntime", "uvicorn", "prometheus_client"}
