"""An operator that starts before its CRD exists waits for it, and looks after models once it comes."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from crds import install_crd
from waiting import until

from psm_local.control_plane import start_control_plane
from psm_local.ports import free_ports
from psm_operator.adapters.kinds import MODEL

pytestmark = pytest.mark.component

LIMIT_S = 120.0
MODEL_BODY = {
    "apiVersion": MODEL.api_version,
    "kind": MODEL.kind,
    "metadata": {"name": "early", "namespace": "default"},
    "spec": {"registry": {"modelPackageGroupName": "nobody-made-it", "region": "ap-southeast-1"}},
}


def probe(port: int, path: str) -> int:
    """The status of a probe; 0 while nothing listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:  # our own port
            return int(answer.status)
    except urllib.error.HTTPError as err:
        return err.code
    except OSError:
        return 0


def test_an_operator_that_is_earlier_than_its_crd_serves_without_a_restart(tmp_path: Path) -> None:
    """Alive and leading, but not ready; the same process then watches, and ends as asked."""
    with start_control_plane(f"test-{os.getpid()}-late-crd") as cluster:
        cluster.kubectl("create", "namespace", "psm-system")
        health, metrics = free_ports(2)
        environment = {
            **os.environ,  # noqa: TID251  # a child process inherits PATH
            **cluster.aws.environment(),
            "KUBECONFIG": str(cluster.kubeconfig),
            "PSM_OPERATOR_HEALTH_PORT": str(health),
            "PSM_OPERATOR_METRICS_PORT": str(metrics),
        }
        log = tmp_path / "operator.log"
        with log.open("wb") as out:
            child = subprocess.Popen([sys.executable, "-m", "psm_operator"], env=environment, stdout=out, stderr=out)
        try:
            until(lambda: log.read_text().count("does not serve pricesensitivitymodels") > 1, "two lines", LIMIT_S)
            assert (probe(health, "/healthz"), probe(health, "/readyz")) == (200, 503)
            renewal = ("get", "lease", "-n", "psm-system", "-o=jsonpath={.items[*].spec.renewTime}")
            until(lambda: cluster.kubectl(*renewal), "the Lease to be held", LIMIT_S)
            first = cluster.kubectl(*renewal)
            until(lambda: cluster.kubectl(*renewal) != first, "the Lease to be renewed", LIMIT_S)
            install_crd(cluster)
            until(lambda: probe(health, "/readyz") == 200, "the operator to be ready", LIMIT_S)
            cluster.kubectl("apply", "-f", "-", stdin=json.dumps(MODEL_BODY))
            status = ("get", "psm", "early", "-n", "default", "-o=jsonpath={.status.observedGeneration}")
            until(lambda: cluster.kubectl(*status) == "1", "the model to be looked at", LIMIT_S)
            assert child.poll() is None
            child.send_signal(signal.SIGTERM)
            assert child.wait(25) == 0
        finally:
            child.kill()
            child.wait()
