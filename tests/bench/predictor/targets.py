"""What the predictor has to reach, as ratios against others in the same run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.predictor.contestants import FLOOR, OURS
from bench.predictor.in_process import OUR_ENGINE

MIB_PER_MB: Final = 1e6 / 2**20


class Figures:
    """Look-ups in the results; KeyError where something was not measured."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._runs: dict[tuple[str, int, int], dict[str, Any]] = {
            (run["server"], run["rows"], run["c"]): run for run in results["runs"]
        }
        self.engines: dict[str, Any] = results.get("engines", {})

    def of(self, server: str, rows: int, c: int) -> dict[str, Any]:
        """One run."""
        return self._runs[server, rows, c]

    def ratio(self, name: str, server: str, rows: int = 1) -> float:
        """Our figure divided by another server's, at c = 16."""
        ours, theirs = (self.of(one, rows, 16)[name] for one in (OURS, server))
        return float(ours / theirs)

    def largest(self, name: str) -> float:
        """The largest of our figures."""
        return max(float(run[name]) for (server, _, _), run in self._runs.items() if server == OURS)


@dataclass(frozen=True)
class Target:
    """One target; `least` or `most` is what is wanted."""

    text: str
    measure: Callable[[Figures], float]
    least: float | None = None
    most: float | None = None

    def judge(self, results: dict[str, Any]) -> dict[str, Any]:
        """What was wanted, what was measured, and whether it is met; None where it was not measured."""
        wanted = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
        try:
            measured = self.measure(Figures(results))
        except (KeyError, ValueError):
            return {"target": self.text, "wanted": wanted, "measured": None, "met": None}
        met = (self.least is None or measured >= self.least) and (self.most is None or measured <= self.most)
        return {"target": self.text, "wanted": wanted, "measured": float(f"{measured:.4g}"), "met": met}


def _times(server: str, rows: int, least: float) -> Target:
    return Target(
        f"requests/s over {server}'s, {rows} row{'s' * (rows > 1)}, c = 16",
        lambda figures: figures.ratio("rps", server, rows),
        least=least,
    )


def _ours(figures: Figures) -> dict[str, Any]:
    engine: dict[str, Any] = figures.engines[OUR_ENGINE]
    return engine


TARGETS: Final = (
    Target("CPU per request over bare uvicorn's, 1 row, c = 16", lambda of: of.ratio("cpu_us", FLOOR), most=2.5),
    *(_times(server, 1, 50) for server in ("mlserver", "kserve", "bentoml")),
    *(_times(server, 1, 3) for server in ("mlserver-kernel", "kserve-kernel")),
    *(_times(server, 100, 8) for server in ("mlserver", "kserve", "bentoml")),
    Target("p99 over bare uvicorn's, 1 row, c = 16", lambda of: of.ratio("p99_ms", FLOOR), most=3),
    Target("cold start without S3, s", lambda of: of.largest("cold_start_s"), most=1.5),
    Target("RSS under load, MB", lambda of: of.largest("rss_mib") / MIB_PER_MB, most=120),
    Target(
        "largest difference from scikit-learn, 100,000 rows", lambda of: float(_ours(of)["max_abs_diff"]), most=1e-5
    ),
    Target("labels that differ where the margin is clear", lambda of: float(_ours(of)["labels_differ"]), most=0),
)


def judge(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target."""
    return [target.judge(results) for target in TARGETS]


def verdict(met: bool | None) -> str:  # noqa: FBT001  # three values
    """In a word."""
    return {True: "met", False: "missed", None: "not measured"}[met]
