"""The arithmetic of the operator's benchmark; what it measures, only running it shows."""

import json
from pathlib import Path

import pytest
from bench.operator.audit import AuditLog
from bench.operator.contestants import Scrape, quantile_ms
from bench.operator.plot import draw
from bench.operator.tell import COMMAND, tell
from bench.page import END, begin
from bench.results import Results, percentile

RUN = {
    "converged_s": 30.0,
    "rss_mib": 120.0,
    "cpu_s": 9.0,
    "plane_cpu_s": 40.0,
    "reconcile_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    "passes": 500,
    "writes": 1500,
    "naive_s": 24.0,
    "naive_cpu_s": 6.0,
    "naive_plane_cpu_s": 25.0,
}
MACHINE = {"cores": 2, "memory_gib": 24, "python": "3.11"}


def test_quantiles_are_linear_within_their_bucket() -> None:
    """As Prometheus reckons; what lies beyond the last bound counts as the last bound."""
    buckets = {0.1: 50.0, 0.2: 100.0, float("inf"): 100.0}
    assert quantile_ms(buckets, 0.5) == pytest.approx(100)
    assert quantile_ms(buckets, 0.75) == pytest.approx(150)
    assert quantile_ms({0.1: 0.0, float("inf"): 5.0}, 0.5) == pytest.approx(100)


def test_buckets_of_every_outcome_are_added_up() -> None:
    """A pass that fails takes its time too."""
    name = "psm_reconcile_duration_seconds_bucket"
    text = f'{name}{{le="0.1",outcome="success"}} 3.0\n{name}{{le="0.1",outcome="stalled"}} 2.0\nother 7\n'
    assert Scrape(text).buckets() == {0.1: 5.0}
    assert Scrape(text).total("other") == 7


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The smallest that so large a share does not exceed."""
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert percentile([1.0], 0.95) == 1.0


def test_the_audit_log_tells_contestants_from_others_and_renewals_from_writes(tmp_path: Path) -> None:
    """Kubernetes' own components and the bench are not counted, nor is a line that is still being written."""

    def line(agent: str, verb: str, resource: str) -> str:
        return json.dumps({"verb": verb, "userAgent": agent, "objectRef": {"resource": resource}}) + "\n"

    path = tmp_path / "audit.log"
    path.write_text(line("psm-operator", "patch", "deployments"))
    log = AuditLog(path)
    place = log.here()
    with path.open("a") as more:
        more.write(line("psm-operator", "patch", "services") + line("psm-operator", "update", "leases"))
        more.write(line("kopf/1.45", "watch", "services") + line("kube-controller-manager/v1", "update", "services"))
        more.write(line("psm-bench", "create", "services") + '{"verb": "pat')
    requests = log.since(place)
    assert (requests.writes, requests.lease_writes, requests.reads) == (1, 1, 1)


def test_a_run_that_is_cut_short_keeps_what_it_has(tmp_path: Path) -> None:
    """The file is whole after every figure."""
    results = Results(tmp_path / "bench" / "operator.json")
    results.run({"crs": 500}, naive_s=20.0)
    results.run({"crs": 100}, converged_s=5.0)
    results.run({"crs": 500}, converged_s=30.0)
    results.set(failover_s=17.0)
    runs = [{"crs": 100, "converged_s": 5.0}, {"crs": 500, "naive_s": 20.0, "converged_s": 30.0}]
    assert json.loads(results.path.read_text()) == {"runs": runs, "failover_s": 17.0}


def test_the_page_and_the_plot_leave_out_what_was_not_measured(tmp_path: Path) -> None:
    """What stands around the marks stays."""
    page = tmp_path / "performance.md"
    page.write_text(f"above\n{begin(COMMAND)}old\n{END}below\n")
    results = {"runs": [{"crs": 100, **RUN}, {"crs": 500, "naive_s": 20.0}], "machine": MACHINE, "failover_s": 17.0}
    tell(results, page)
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "old" not in text
    assert "| 100 | 30.0 | 24.0 | 1.25 |" in text
    assert "| 500 | - | 20.0 | - |" in text
    assert "| Failover, worst of three, s | 17.0 | 20 |" in text
    assert "| Restart to quiet, s | - | 60 |" in text
    draw(results, tmp_path / "img" / "plot.svg")
    assert "<svg" in (tmp_path / "img" / "plot.svg").read_text()
