"""The user's own cluster (CLUSTER=current): the AWS stand-ins run here, everything else is the cluster's.

The cluster must have an ingress controller and metrics-server, must pull the images from a registry that the user
pushed them to, and its pods must reach this machine at the address in PSM_HOST_ADDRESS.
"""

import subprocess

from psm_local.aws import S3_PORTS, AwsEndpoints, emulator_process, s3_cleanup, s3_port, s3_process
from psm_local.cluster import Cluster, kubectl_program
from psm_local.errors import Unsupported
from psm_local.ports import free_ports
from psm_local.settings import Settings
from psm_local.supervise import instance
from psm_local.supervise.instance import Attached, Say
from psm_local.supervise.plan import Plan


def up_current(name: str, *, attached: bool, settings: Settings, say: Say) -> tuple[Cluster, Attached]:
    """Start the stand-ins beside the user's current cluster.

    Raises:
        Unsupported: the current context does not answer, or a needed setting is missing.
    """
    address, ingress_url = settings.host_address, settings.ingress_url
    if address is None or ingress_url is None or settings.image_registry is None:
        raise Unsupported(
            "CLUSTER=current needs PSM_HOST_ADDRESS (an address of this machine that pods reach), PSM_INGRESS_URL "
            "(where this machine reaches the cluster's ingress controller) and PSM_IMAGE_REGISTRY (where you pushed what "
            "`psm-local images` built)"
        )
    view = [kubectl_program(), "config", "view", "--minify", "--flatten"]
    flattened = subprocess.run(view, capture_output=True, text=True, check=False)
    version = subprocess.run([kubectl_program(), "cluster-info"], capture_output=True, text=True, check=False)
    if flattened.returncode != 0 or version.returncode != 0:
        raise Unsupported(
            f"the current context of kubectl does not answer: {(version.stderr or flattened.stderr).strip()}"
        )
    run_dir = instance.new_run_dir(settings.run_dir / name, name)
    kubeconfig = run_dir / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(flattened.stdout)
    emulator_port, *s3_ports = free_ports(1 + S3_PORTS)
    processes = (emulator_process(address, emulator_port), s3_process(run_dir, address, s3_ports))
    plan = Plan(name, processes, afterwards=(s3_cleanup(s3_ports),))
    handle = instance.start(run_dir, plan, attached=attached, say=say)
    emulator, s3 = f"http://{address}:{emulator_port}", f"http://{address}:{s3_port(s3_ports)}"
    cluster = Cluster(
        name=name,
        level="current",
        kubeconfig=kubeconfig,
        api_url="",
        in_cluster_api_url="https://kubernetes.default.svc",
        ingress_url=ingress_url,
        aws=AwsEndpoints(emulator, emulator, s3, s3),
        run_dir=run_dir,
    )
    cluster.save()
    return cluster, handle
