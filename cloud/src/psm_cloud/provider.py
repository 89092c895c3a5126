"""One process of the AWS provider for many runs of terraform, for tests and for plans without an account.

Terraform starts the provider for every command and for every run of a test, and most of a short run is that start.
Attached to a process that runs already, a test of a module takes a quarter of the time. The runs must follow one
another: the provider is configured by each of them anew. It reads its environment once, when it starts.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from psm_cloud.errors import CloudError
from psm_cloud.mirror import PROVIDER
from psm_cloud.settings import inherited
from psm_cloud.terraform import Terraform

_STOP_S: Final = 10.0
_VARIABLE: Final = "TF_REATTACH_PROVIDERS"


@contextmanager
def attached(terraform: Terraform) -> Iterator[Terraform]:
    """Return terraform with a provider that runs; as it was, if there is no unpacked provider on this machine's disk."""
    program = _program(terraform)
    if program is None:
        yield terraform
        return
    # with AWS_CA_BUNDLE the provider refuses to be configured a second time
    env = inherited({**terraform.environment, "TF_LOG": "", "AWS_CA_BUNDLE": ""})
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen([program, "-debug"], env=env, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield terraform.having({_VARIABLE: _address(process), "AWS_CA_BUNDLE": ""})
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _program(terraform: Terraform) -> Path | None:
    """Return the newest unpacked provider of the mirror for this machine."""
    if terraform.mirror is None:
        return None
    system = terraform.platform
    found = (terraform.mirror / PROVIDER).glob(f"*/{system}/terraform-provider-aws*")
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-3])], default=None)


def _address(process: "subprocess.Popen[str]") -> str:
    """Return what the provider says of where it listens.

    Raises:
        CloudError: It ended without saying it.
    """
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    for line in process.stdout:
        if said := re.search(rf"{_VARIABLE}='(.*)'", line):
            address: str = said.group(1)
            json.loads(address)
            return address
    raise CloudError(f"the AWS provider {process.args!r} ended with {process.wait()} before it listened")
