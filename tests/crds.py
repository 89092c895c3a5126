"""The CRD on a real API server."""

from pathlib import Path
from typing import Final

from waiting import until

from psm_local.cluster import Cluster

CRDS: Final = Path(__file__).parents[1] / "crds"
NAME: Final = "crd/pricesensitivitymodels.retail.mlops"
ESTABLISHED: Final = '-o=go-template={{range .status.conditions}}{{if eq .type "Established"}}{{.status}}{{end}}{{end}}'
"""At first there are no conditions at all, which neither `kubectl wait` nor a JSONPath filter can take."""


def install_crd(cluster: Cluster) -> None:
    """Apply the CRD and wait until the API server serves it; one that is there is fine."""
    cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    until(lambda: cluster.kubectl("get", NAME, ESTABLISHED) == "True", "the CRD to be established")
