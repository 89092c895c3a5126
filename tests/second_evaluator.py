"""What another evaluator says of a request: @cloud-copilot/iam-simulate, which shares no code with `tests/iam_policies.py`.

It runs in Node 20 or later and is installed from `tests/iam_simulate/package-lock.json` on first use, then cached. Beyond
ours it knows which actions, resources and condition keys there are, so a question without meaning is an error.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from iam_policies import Decision, Policy, Request

from psm_local.cache import content_key, forget_others, published
from psm_local.settings import read_settings

HERE: Final = Path(__file__).parent / "iam_simulate"
FILES: Final = ("package.json", "package-lock.json", "ask.js")
LIMIT_S: Final = 300
"""Of an installation on a slow line, and of all questions of a test."""
DECISIONS: Final = {
    "Allowed": Decision.ALLOWED,
    "ExplicitlyDenied": Decision.DENIED,
    "ImplicitlyDenied": Decision.SILENT,
}


def second_opinions(asked: Iterable[tuple[Policy, Request]], account: str) -> list[Decision]:
    """Decide each request of a role of an account by the role's policy.

    Raises:
        ValueError: A question has no meaning; the evaluator says why.
    """
    questions = [_simulation(policy, request, account) for policy, request in asked]
    said = _node("ask.js", stdin=json.dumps(questions))
    answers: list[str] = json.loads(said)
    wrong = [
        f"{question['request']}: {answer}"
        for question, answer in zip(questions, answers, strict=True)
        if answer not in DECISIONS
    ]
    if wrong:
        raise ValueError("\n".join(wrong))
    return [DECISIONS[answer] for answer in answers]


def _simulation(policy: Policy, request: Request, account: str) -> dict[str, Any]:
    """Return a request by a role of the account, to whom everything belongs: what the role's policy says is the question.

    A key lets IAM decide, as the first statement of each of ours says; without, no role's right on it would count.
    """
    iam_decides = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    is_key = ":key/" in request.resource
    return {
        "request": {
            "principal": f"arn:aws:iam::{account}:role/asking",
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": account},
            "contextVariables": {
                key: list(value) if isinstance(value, tuple) else value for key, value in request.context.items()
            },
        },
        "identityPolicies": [{"name": "asking", "policy": policy}],
        **({"resourcePolicy": {"Version": "2012-10-17", "Statement": [iam_decides]}} if is_key else {}),
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }


def _node(script: str, *, stdin: str) -> str:
    """Run a script in the installed folder; return its output."""
    folder = _installed()
    made = _run(["node", str(folder / script)], folder, stdin)
    return made.stdout


def _installed() -> Path:
    """Return the folder with the evaluator, installed if it is not there."""
    key = content_key(HERE / name for name in FILES)

    def install(folder: Path) -> None:
        for name in FILES:
            shutil.copy(HERE / name, folder / name)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, "")

    target = read_settings().cache_dir / f"iam-simulate-{key}"
    target.parent.mkdir(parents=True, exist_ok=True)
    entry = published(target, install)
    forget_others(entry)
    return entry


def _run(command: Sequence[str], folder: Path, stdin: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is not on PATH; the policies' second evaluator needs Node 20 or later")
    made = subprocess.run(
        command, cwd=folder, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if made.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {made.stderr[-2000:]}")
    return made
