"""The AWS stand-ins alone, without Kubernetes: for tests of the operator's and the predictor's AWS sides."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from psm_local.aws import S3_PORTS, AwsEndpoints, emulator_process, s3_cleanup, s3_port, s3_process
from psm_local.ports import free_ports
from psm_local.settings import read_settings
from psm_local.supervise import instance
from psm_local.supervise.instance import Say
from psm_local.supervise.plan import Plan

_ADDRESS = "127.0.0.1"


@contextlib.contextmanager
def start_emulator(name: str, *, environment: Mapping[str, str] | None = None, say: Say = print) -> Iterator[str]:
    """Run the registry emulator on a free port for the length of a `with` block; yield its URL.

    `environment` are moto's own settings, such as MOTO_IAM_LOAD_MANAGED_POLICIES.
    """
    run_dir = instance.new_run_dir(read_settings().run_dir / name, name)
    [port] = free_ports(1)
    process = emulator_process(_ADDRESS, port)
    process = replace(process, env={**process.env, **(environment or {})})
    handle = instance.start(run_dir, Plan(name, (process,)), attached=True, say=say)
    try:
        yield f"http://{_ADDRESS}:{port}"
    finally:
        handle.stop()


@contextlib.contextmanager
def start_s3(name: str, *, say: Say = print) -> Iterator[AwsEndpoints]:
    """Run an S3 server on a free port for the length of a `with` block; yield its endpoints and keys."""
    run_dir = instance.new_run_dir(read_settings().run_dir / name, name)
    ports = free_ports(S3_PORTS)
    plan = Plan(name, (s3_process(run_dir, _ADDRESS, ports),), afterwards=(s3_cleanup(ports),))
    handle = instance.start(run_dir, plan, attached=True, say=say)
    url = f"http://{_ADDRESS}:{s3_port(ports)}"
    try:
        yield AwsEndpoints(host_url=url, in_cluster_url=url, s3_host_url=url, s3_in_cluster_url=url)
    finally:
        handle.stop()
