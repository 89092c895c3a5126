"""The arithmetic of the predictor's benchmark; what it measures, only running it shows."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import processes
from bench.page import END, begin
from bench.predictor.contestants import CONTESTANTS, FLOOR, OURS
from bench.predictor.dialects import COLUMNS_V1, COLUMNS_V2, FRAME, PSM, RECORDS, SPLIT, TENSOR
from bench.predictor.in_process import combined
from bench.predictor.plot import draw
from bench.predictor.subject import Basket
from bench.predictor.targets import judge
from bench.predictor.tell import tell
from bench.predictor.venvs import REQUIREMENTS, version_of

BASKETS = [
    Basket({"spend": 2.5, "basket_size": "S"}, [2.5, 0.0]),
    Basket({"spend": 7.0, "basket_size": "L"}, [7.0, 2.0]),
]
ROWS = [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]


def run(server: str, rows: int, **figures: float) -> dict[str, Any]:
    fast = {"rps": 10_000.0, "cpu_us": 50.0, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0}
    return {"server": server, "rows": rows, "c": 16, **fast, "rss_mib": 80.0, "cold_start_s": 1.0, **figures}


def results(*runs: dict[str, Any]) -> dict[str, Any]:
    return {
        "runs": list(runs),
        "machine": {"cores": 2, "memory_gib": 24, "python": "3.11"},
        "model": {"trees": 100, "leaves": 100_000, "features": 44},
        "seconds": 4,
        "repeat": 3,
        "engines": {"trees": {"us_per_row": {"1": 3.0, "100": 2.0}, "max_abs_diff": 2e-7, "labels_differ": 0}},
    }


def test_a_basket_is_the_same_in_every_dialect() -> None:
    """Rows, columns, or one tensor: each says all features of all baskets."""
    rows = [basket.words for basket in BASKETS]
    assert PSM.ask(BASKETS[:1]) == rows[0]
    assert PSM.ask(BASKETS) == RECORDS.ask(BASKETS) == {"instances": rows}
    assert FRAME.ask(BASKETS) == {"baskets": rows}
    assert SPLIT.ask(BASKETS)["dataframe_split"] == {
        "columns": ["spend", "basket_size"],
        "data": [[2.5, "S"], [7.0, "L"]],
    }
    assert COLUMNS_V1.ask(BASKETS) == {"instances": [{"spend": [2.5, 7.0], "basket_size": ["S", "L"]}]}
    numbers, words = COLUMNS_V2.ask(BASKETS)["inputs"]
    assert (numbers["datatype"], numbers["data"], words["datatype"], words["shape"]) == (
        "FP64",
        [2.5, 7.0],
        "BYTES",
        [2, 1],
    )
    tensor = TENSOR.ask(BASKETS)["inputs"][0]
    assert (tensor["shape"], tensor["data"]) == ([2, 2], [2.5, 0.0, 7.0, 2.0])


def test_probabilities_are_found_in_every_answer() -> None:
    """One basket or several; a tensor flat or nested."""
    named = [dict(zip(("LA", "MM", "UM"), row, strict=True)) for row in ROWS]
    assert PSM.read({"label": "UM", "probabilities": named[0]}) == ROWS[:1]
    assert PSM.read({"predictions": [{"probabilities": one} for one in named]}) == ROWS
    labels = {"name": "label", "shape": [2], "data": ["UM", "LA"]}
    assert TENSOR.read({"outputs": [labels, {"shape": [2, 3], "data": [*ROWS[0], *ROWS[1]]}]}) == ROWS
    assert COLUMNS_V2.read({"outputs": [{"shape": [2, 3], "data": ROWS}]}) == ROWS


def test_every_target_is_judged_by_figures_of_the_same_run() -> None:
    """A ratio on the right side is met, on the wrong side missed, and without its two figures not measured."""
    judged = judge(
        results(
            run(OURS, 1),
            run(FLOOR, 1, cpu_us=25.0, p99_ms=0.5),
            run("mlserver", 1, rps=100.0),
            run("kserve", 1, rps=300.0),
            run("mlserver-kernel", 1, rps=2_000.0),
        )
    )
    met = {one["target"]: one["met"] for one in judged}
    assert met["CPU per request over bare uvicorn's, 1 row, c = 16"] is True
    assert met["p99 over bare uvicorn's, 1 row, c = 16"] is False
    assert met["requests/s over mlserver's, 1 row, c = 16"] is True
    assert met["requests/s over kserve's, 1 row, c = 16"] is False
    assert met["requests/s over mlserver-kernel's, 1 row, c = 16"] is True
    assert met["requests/s over bentoml's, 1 row, c = 16"] is None
    assert met["requests/s over mlserver's, 100 rows, c = 16"] is None
    assert met["RSS under load, MB"] is True
    assert met["largest difference from scikit-learn, 100,000 rows"] is True


def test_memory_is_judged_in_the_largest_run() -> None:
    """115 MiB are 120.6 MB."""
    judged = judge(results(run(OURS, 1), run(OURS, 100, rss_mib=115.0)))
    memory = next(one for one in judged if one["target"].startswith("RSS"))
    assert (memory["measured"], memory["met"]) == (120.6, False)


def test_engines_are_told_by_median_times_and_worst_differences() -> None:
    """A repetition that was disturbed does not count, one that answered wrongly does."""
    times = [{"1": 3.0, "100": 2.0}, {"1": 9.0, "100": 2.5}, {"1": 4.0, "100": 1.0}]
    samples = [
        {"us_per_row": us, "rows": 1000, "max_abs_diff": diff, "labels_differ": 0}
        for us, diff in zip(times, (1e-7, 2e-7, 1e-7), strict=True)
    ]
    told = combined(samples)
    assert told == {"us_per_row": {"1": 4.0, "100": 2.0}, "rows": 1000, "max_abs_diff": 2e-7, "labels_differ": 0}


def test_the_page_and_the_plot_leave_out_what_was_not_measured(tmp_path: Path) -> None:
    """Everybody has a row; a dash stands for what is missing, and who was left out is named without this machine's paths."""
    page = tmp_path / "page.md"
    page.write_text(f"above\n{begin('bench-predictor')}stale\n{END}below\n")
    figures = {
        **results(run(OURS, 1), run(OURS, 100), run(FLOOR, 1)),
        "left_out": {"ray-serve": "no wheel in /home/somebody"},
    }
    figures["targets"] = judge(figures)
    tell(figures, page)
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "stale" not in text
    assert "| 10,000 / 50 / 1 / 2 / 3 | 10,000 / 50 / 1 / 2 / 3 | 1 | 80 |" in text
    assert "| Ray Serve | - | - | - | - |" in text
    assert "| ours: flat arrays, C kernel | 3 | 2 | 2e-07 | 0 |" in text
    assert "| requests/s over kserve's, 1 row, c = 16 | >= 50 | - | not measured |" in text
    assert "`build/bench/predictor.json`: ray-serve.\n" in text
    assert "somebody" not in text
    draw(figures, tmp_path / "img" / "plot.svg")
    assert "<svg" in (tmp_path / "img" / "plot.svg").read_text()


def test_cpu_and_memory_are_of_the_whole_tree() -> None:
    """A server whose work is done by a process of its own is not told to cost nothing."""
    work = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        family = processes.tree(process.pid)
        assert len(family) == 2
        assert processes.tree_memory_mib(process.pid) > processes.memory_mib(process.pid)
        assert processes.born(family[1]) is not None
        process.stdin.write(b"\n")
    assert processes.born(process.pid) is None
    assert processes.tree_cpu_seconds(os.getpid()) > 0


def test_every_peer_has_a_locked_environment_that_holds_what_it_is_named_after() -> None:
    """The page tells the version."""
    for name in {one.venv for one in CONTESTANTS if one.venv}:
        assert version_of(name).split()[1][0].isdigit()
        asked, locked = (REQUIREMENTS / f"{name}.{kind}" for kind in ("in", "txt"))
        assert "scikit-learn==" in asked.read_text()
        assert "://" not in locked.read_text()


def test_names_are_told_apart() -> None:
    """Names and titles are keys of the results and of the page."""
    assert len({one.name for one in CONTESTANTS}) == len({one.title for one in CONTESTANTS}) == len(CONTESTANTS)
    assert json.dumps([one.name for one in CONTESTANTS])
