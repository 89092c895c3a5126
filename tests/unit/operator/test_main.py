"""The command `psm-operator` where it cannot start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "kubeconfig", [None, "missing.yaml"], ids=["outside of a pod", "a kubeconfig that is not there"]
)
def test_without_a_cluster_one_line_says_what_to_set(tmp_path: Path, kubeconfig: str | None) -> None:
    """No traceback: where it looked, and what to do."""
    environ = {k: v for k, v in os.environ.items() if k != "KUBECONFIG" and not k.startswith("KUBERNETES_")}  # noqa: TID251  # a child's environment
    if kubeconfig is not None:
        environ["KUBECONFIG"] = str(tmp_path / kubeconfig)

    run = subprocess.run(
        [sys.executable, "-m", "psm_operator"], env=environ, capture_output=True, text=True, check=False, timeout=60
    )

    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith("psm-operator: no cluster: ")
    assert "set KUBECONFIG" in last
