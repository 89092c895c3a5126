"""A plan of an environment without an account: the real provider, and this machine answers what it asks.

Called by whoever needs a plan: what it costs, what the tests assert, what a pull request shows. A plan against nothing
asks an account for its number, for its zones and whether a state machine reads well; these are answered here, and
anything else is an error that names the call, so that no plan comes to depend on an account unseen. The configuration is planned in a copy,
whose state is a local file.
"""

import shutil
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from psm_cloud.provider import attached
from psm_cloud.terraform import Plan, Root, Terraform

ACCOUNT: Final = "123456789012"
REGION: Final = "ap-southeast-1"
ZONES: Final = ("a", "b", "c")
_BACKEND: Final = 'terraform {\n  backend "local" {}\n}\n\nprovider "aws" {\n  max_retries = 4\n}\n'
_CALLER: Final = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{ACCOUNT}:user/plan</Arn><UserId>AIDAPLAN</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
_ZONE: Final = """<item><zoneName>{region}{letter}</zoneName><zoneState>available</zoneState><regionName>{region}</regionName>
<zoneId>apse1-az{number}</zoneId><optInStatus>opt-in-not-required</optInStatus><zoneType>availability-zone</zoneType>
<groupName>{region}</groupName></item>"""
_REFUSAL: Final = """<Response><Errors><Error><Code>NotOffline</Code><Message>a plan without an account asked for {action};
answer it in offline.py, or do without it in the module</Message></Error></Errors></Response>"""


@dataclass
class Answers:
    """A stand-in that answers what a plan asks, and notes what it could not answer."""

    url: str
    refused: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Return the variables that point terraform at it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "offline",
            "AWS_SECRET_ACCESS_KEY": "offline",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PROFILE": "",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


def answer(action: str) -> str | None:
    """Return what AWS would say to an action of its query protocol, or None."""
    if action == "GetCallerIdentity":
        return _CALLER
    if action == "DescribeAvailabilityZones":
        zones = (_ZONE.format(region=REGION, letter=letter, number=n) for n, letter in enumerate(ZONES, 1))
        return (
            '<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<availabilityZoneInfo>{''.join(zones)}</availabilityZoneInfo></DescribeAvailabilityZonesResponse>"
        )
    if action == "AWSStepFunctions.ValidateStateMachineDefinition":  # asked by the provider while it plans; not checked
        return '{"result": "OK", "diagnostics": []}'
    return None


@contextmanager
def answers() -> Iterator[Answers]:
    """Serve the answers on a free port of the loopback."""
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")
            said = urllib.parse.parse_qs(body).get("Action") or [self.headers.get("X-Amz-Target") or self.path]
            text = answer(said[0])
            if text is None:
                refused.append(said[0])
            content = (text or _REFUSAL.format(action=said[0])).encode()
            self.send_response(400 if text is None else 200)
            self.send_header(
                "Content-Type", "application/x-amz-json-1.0" if (text or "").startswith("{") else "text/xml"
            )
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST  # noqa: N815  # the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing: what was refused is in the error of the plan."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Answers(f"http://127.0.0.1:{server.server_port}", refused)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def copied(terraform: Terraform, tree: Path, environment: str) -> Iterator[Root]:
    """A throw-away copy of the whole tree, whose `envs/<environment>` keeps its state beside it."""
    with tempfile.TemporaryDirectory(prefix="psm-terraform-") as folder:
        copy = Path(folder) / "terraform"
        shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfplan"))
        directory = copy / "envs" / environment
        (directory / "local_override.tf").write_text(_BACKEND)
        root = terraform.at(directory)
        try:
            yield root
        finally:
            root.forget()


@contextmanager
def offline(terraform: Terraform) -> Iterator[Terraform]:
    """Return terraform for plans without an account; they must follow one another."""
    with answers() as account, attached(terraform.having(account.environment())) as started:
        yield started


def offline_plan(terraform: Terraform, tree: Path, environment: str, *flags: str) -> Plan:
    """Return the plan from empty of `envs/<environment>` below `tree`, as JSON; terraform is what `offline` gives.

    Raises:
        TerraformError: The configuration is wrong, or asks an account for more than its number and zones.
    """
    with copied(terraform, tree, environment) as root:
        return root.init().plan("-lock=false", *flags)
