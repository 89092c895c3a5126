"""Draws the results: convergence beside the naive handler, CPU and memory, and memory under churn."""

from pathlib import Path
from typing import Any

from bench.drawing import OTHERS, OURS, TARGET, sheet


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the plot as SVG; what was not measured is left out."""
    runs = [run for run in results["runs"] if "converged_s" in run]
    with sheet(path, 3, (11, 3.2)) as axes:
        _convergence(axes[0], runs)
        _resources(axes[1], runs)
        _reactions(axes[2], results)


def _convergence(axes: Any, runs: list[dict[str, Any]]) -> None:
    axes.set_title("cold start to everything Ready, s")
    crs = [run["crs"] for run in runs]
    axes.plot(crs, [run["converged_s"] for run in runs], "o-", color=OURS, label="psm-operator")
    floors = [run for run in runs if "naive_s" in run]
    if floors:
        x, y = [run["crs"] for run in floors], [run["naive_s"] for run in floors]
        axes.plot(x, y, "o-", color=OTHERS, label="naive handler")
        axes.plot(x, [1.5 * seconds for seconds in y], ":", color=OTHERS, label="1.5 x naive")
    axes.plot([1000], [120], "x", color=TARGET, label="target")
    axes.set_xlabel("models, seven children each")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _resources(axes: Any, runs: list[dict[str, Any]]) -> None:
    axes.set_title("operator: peak memory and CPU")
    crs = [run["crs"] for run in runs]
    axes.plot(crs, [run["rss_mib"] for run in runs], "o-", color=OURS, label="RSS, MiB")
    axes.plot(crs, [run["cpu_s"] for run in runs], "s--", color=OURS, label="CPU, s")
    axes.plot([1000], [250], "x", color=TARGET, label="target RSS")
    axes.set_xlabel("models")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _reactions(axes: Any, results: dict[str, Any]) -> None:
    names = {
        "approval_to_patched_s_p95": "approval, polls",
        "approval_to_patched_sqs_s_p95": "approval, SQS",
        "revocation_to_patched_s_p95": "revocation, polls",
        "revocation_to_patched_sqs_s_p95": "revocation, SQS",
        "restart_quiet_s": "restart to quiet",
        "failover_s": "failover",
    }
    known = {label: results[key] for key, label in names.items() if key in results}
    axes.set_title(f"reactions at {results.get('steady_crs', '?')} models, s (p95)")
    axes.barh(list(known)[::-1], list(known.values())[::-1], color=OURS)
