"""Writes the results into docs/performance.md, between two marks, so that the page says what was measured last."""

from pathlib import Path
from typing import Any, Final

from bench.page import Column, Find, found, measured_on, replace, row, table

COMMAND: Final = "bench-operator"

COLUMNS: Final[tuple[Column, ...]] = (
    ("Models", lambda run: run["crs"]),
    ("Converged, s", lambda run: run["converged_s"]),
    ("Naive, s", lambda run: run["naive_s"]),
    ("Ratio", lambda run: round(run["converged_s"] / run["naive_s"], 2)),
    ("CPU, s", lambda run: run["cpu_s"]),
    ("Naive CPU, s", lambda run: run["naive_cpu_s"]),
    ("Kubernetes' CPU, s", lambda run: run["plane_cpu_s"]),
    ("the same, naive", lambda run: run["naive_plane_cpu_s"]),
    ("Peak RSS, MiB", lambda run: run["rss_mib"]),
    ("Pass p50 / p95 / p99, ms", lambda run: " / ".join(str(value) for value in run["reconcile_ms"].values())),
    ("Passes per model", lambda run: round(run["passes"] / run["crs"], 1)),
    ("Writes per model", lambda run: round(run["writes"] / run["crs"], 1)),
)

ROWS: Final[tuple[tuple[str, str, Find], ...]] = (
    ("API writes in a quiet minute, the Lease aside", "0", lambda all_: all_["idle"]["api_writes_per_min"]),
    ("Lease renewals in a quiet minute", "30", lambda all_: all_["idle"]["lease_writes_per_min"]),
    ("AWS calls in a quiet minute, 50 groups, interval 15 s", "400", lambda all_: all_["idle"]["aws_calls_per_min"]),
    ("CPU in a quiet minute, s", "", lambda all_: all_["idle"]["cpu_s_per_min"]),
    ("Approval to candidate pod asked for, polls, p95, s", "17", lambda all_: all_["approval_to_candidate_s_p95"]),
    ("Approval to Deployment patched, polls, p95, s", "17", lambda all_: all_["approval_to_patched_s_p95"]),
    ("Revocation to Deployment patched, polls, p95, s", "17", lambda all_: all_["revocation_to_patched_s_p95"]),
    ("Approval to candidate pod asked for, SQS, p95, s", "5", lambda all_: all_["approval_to_candidate_sqs_s_p95"]),
    ("Approval to Deployment patched, SQS, p95, s", "5", lambda all_: all_["approval_to_patched_sqs_s_p95"]),
    ("Revocation to Deployment patched, SQS, p95, s", "5", lambda all_: all_["revocation_to_patched_sqs_s_p95"]),
    ("Restart to quiet, s", "60", lambda all_: all_["restart_quiet_s"]),
    ("Failover, worst of three, s", "20", lambda all_: all_["failover_s"]),
    ("RSS after churn over RSS before", "1.15", lambda all_: all_["churn_rss_ratio"]),
    ("Minutes of churn", "30", lambda all_: all_["churn"]["minutes"]),
)


def tell(results: dict[str, Any], page: Path) -> None:
    """Replace what stands between the marks."""
    replace(page, COMMAND, tables(results))


def tables(results: dict[str, Any]) -> str:
    """Both tables in Markdown; what was not measured is a dash."""
    lines = [
        measured_on(results["machine"]),
        "",
        *table(COLUMNS, results["runs"]),
        "",
        row([f"At {results.get('steady_crs', '?')} models", "Measured", "Target"]),
        row(["---"] * 3),
        *(row([name, found(find, results), target]) for name, target, find in ROWS),
    ]
    return "\n".join(lines) + "\n"
