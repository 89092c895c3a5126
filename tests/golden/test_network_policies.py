"""Where pods may go by every NetworkPolicy that we make: the charts' and the operator's, as their golden files have them."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

HERE: Final = Path(__file__).parent
POD_IDENTITY: Final = ("169.254.170.23", "fd00:ec2::23")
"""EKS's agent, from which a pod has its credentials, on port 80 (EKS user guide, "How EKS Pod Identity works")."""
METADATA: Final = "169.254.169.254"
"""Of the instance, whose role no pod of ours is to take."""


def policies() -> Iterator[Any]:
    """Every policy, named after its file."""
    for file in sorted(HERE.glob("*/*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            for one in manifest if isinstance(manifest, list) else [manifest]:
                if one and one.get("kind") == "NetworkPolicy":
                    yield pytest.param(one, id=f"{file.parent.name}/{file.stem}")


def reaches(policy: Mapping[str, Any], address: str, port: int) -> bool:
    """Whether a pod may open a TCP connection to an address that is no pod."""
    return any(
        any(one.get("protocol", "TCP") == "TCP" and one["port"] == port for one in rule["ports"])
        and ("to" not in rule or any(_covers(peer, address) for peer in rule["to"]))
        for rule in policy["spec"]["egress"]
    )


def _covers(peer: Mapping[str, Any], address: str) -> bool:
    return "ipBlock" in peer and ip_address(address) in ip_network(peer["ipBlock"]["cidr"])


def test_there_are_policies_of_charts_and_of_models() -> None:
    assert {str(one.id).partition("/")[0] for one in policies()} == {"charts", "manifests"}


@pytest.mark.parametrize("policy", tuple(policies()))
def test_a_pod_reaches_what_gives_it_credentials(policy: Mapping[str, Any]) -> None:
    """By IPv4 and IPv6; and on port 80 nothing else."""
    assert all(reaches(policy, address, 80) for address in POD_IDENTITY)
    assert not reaches(policy, METADATA, 80)
    assert reaches(policy, "10.0.0.9", 443)
