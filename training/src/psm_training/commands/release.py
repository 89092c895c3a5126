"""What a pipeline does with a registered version: wait-approved, and smoke once it is served."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psm_training.commands.options import add_group, examples, registry_of, say
from psm_training.settings import Settings

_SMOKE_LIMIT_S = 120.0
"""An Ingress learns of new pods within seconds; the pods themselves were waited for before."""

_APPROVAL_LIMIT_S = 3600.0
_APPROVAL_POLL_S = 30.0
"""As often as the SDK's own canary was not throttled."""


def add(commands: Any) -> None:
    """Puts the subcommands on the parser."""
    step = commands.add_parser(
        "wait-approved",
        help="return once somebody has approved a version; fail once it is rejected",
        **examples("psm-train wait-approved 3", "psm-train wait-approved 3 --timeout 18000"),
    )
    step.add_argument("version", help="number or ARN")
    step.add_argument("--timeout", type=float, default=_APPROVAL_LIMIT_S, help="seconds (3600)")
    step.add_argument("--poll", type=float, default=_APPROVAL_POLL_S, help="seconds between two looks (30)")
    add_group(step)
    step.set_defaults(command=_wait_approved)
    step = commands.add_parser(
        "smoke",
        help="ask a serving model what its archive says it must answer",
        **examples(
            "psm-train smoke --url http://localhost:8080 --version 3",
            "psm-train smoke --url http://localhost:8080 --model build/models/v1/model.tar.gz",
        ),
    )
    step.add_argument("--url", required=True, help="where the model serves, without /predict")
    step.add_argument("--host", help="the Host header, where an Ingress is asked by its address")
    which = step.add_mutually_exclusive_group(required=True)
    which.add_argument("--version", help="of the registry, by number or ARN")
    which.add_argument("--model", type=Path, help="model.tar.gz")
    step.add_argument("--timeout", type=float, default=_SMOKE_LIMIT_S, help="seconds until it must serve this (120)")
    add_group(step)
    step.set_defaults(command=_smoke)


def _wait_approved(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.approved import wait_approved  # noqa: PLC0415  # as the others do

    registry = registry_of(options, settings)
    package = registry.find(options.group, options.version)
    found = wait_approved(
        lambda: registry.find(options.group, package.arn),
        limit_s=options.timeout,
        poll_s=options.poll,
        pause=time.sleep,
        say=say,
    )
    return asdict(found)


def _smoke(options: argparse.Namespace, settings: Settings) -> Any:
    from psm_training.commands.archives import archive_of  # noqa: PLC0415  # the others start without pydantic
    from psm_training.smoke import Served, smoke  # noqa: PLC0415  # as above

    served = Served(options.url, host=options.host)
    version = registry_of(options, settings).find(options.group, options.version).version if options.version else None
    archive = archive_of(options, settings)
    return asdict(smoke(archive, served, version=version, limit_s=options.timeout, pause=time.sleep))
