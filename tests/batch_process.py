"""`psm-predict batch` as a process of its own, for tests."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts import ArtifactFile

TIMEOUT_S = 300.0
"""Generous: a million rows take seconds."""


@dataclass(frozen=True)
class Run:
    """What a run said and left behind."""

    code: int
    summary: dict[str, Any]
    told: str
    output: Path
    refused: list[dict[str, Any]]


def command(artifact: ArtifactFile, source: Path, output: Path, *options: str) -> list[str]:
    """The command line."""
    model = ["--model", str(artifact.path), "--sha256", artifact.sha256]
    return [sys.executable, "-m", "psm_predictor.batch.cli", "batch", str(source), str(output), *model, *options]


def batch(artifact: ArtifactFile, source: Path, output: Path, *options: str, **environ: str) -> Run:
    """Runs it to its end."""
    done = subprocess.run(
        command(artifact, source, output, *options),
        env={"PATH": os.defpath, **environ},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    refused = output.with_name(f"{output.name}.refused.jsonl")
    return Run(
        code=done.returncode,
        summary=json.loads(done.stdout) if done.stdout else {},
        told=done.stderr,
        output=output,
        refused=[json.loads(line) for line in refused.read_text().splitlines()] if refused.exists() else [],
    )
