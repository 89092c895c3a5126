"""The control plane level is real Kubernetes."""

import pytest
from waiting import until

from psm_local.cluster import Cluster
from psm_local.errors import LocalError, Unsupported

pytestmark = pytest.mark.component


def test_the_api_server_is_of_the_pinned_version(control_plane: Cluster) -> None:
    """Clients see Kubernetes v1.36.3."""
    assert '"gitVersion": "v1.36.3"' in control_plane.kubectl("get", "--raw", "/version")


def test_rbac_is_on(control_plane: Cluster) -> None:
    """A service account without a role may not list pods."""
    with pytest.raises(LocalError, match="forbidden"):
        control_plane.kubectl("get", "pods", "--as=system:serviceaccount:default:default")


def test_a_deployment_becomes_available_on_simulated_nodes(control_plane: Cluster) -> None:
    """Controllers and scheduler work and the simulated nodes make pods Ready."""
    control_plane.kubectl("create", "namespace", "simulated")
    control_plane.kubectl("create", "deployment", "web", "--image=none", "--replicas=3", "-n", "simulated")
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", "simulated", "--timeout=60s")
    ready = control_plane.kubectl("get", "deployment/web", "-n", "simulated", "-o=jsonpath={.status.readyReplicas}")
    control_plane.kubectl("delete", "namespace", "simulated", "--wait=false")
    assert ready == "3"


def test_the_level_says_that_it_runs_no_containers(control_plane: Cluster) -> None:
    """Loading an image is refused with the level that could."""
    with pytest.raises(Unsupported, match="--level node"):
        control_plane.load_image(control_plane.kubeconfig)


def test_the_audit_log_names_every_request(control_plane: Cluster) -> None:
    """Where auditing is on, a test can read who asked what of the API server."""
    control_plane.kubectl("get", "configmap", "asked-for-by-the-audit-test", "--ignore-not-found")
    log = control_plane.audit_log
    assert log is not None
    until(lambda: "asked-for-by-the-audit-test" in log.read_text(), "the request in the audit log")
