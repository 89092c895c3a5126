"""`psm-train synthesize`: till lines of any size whose best possible accuracy is known."""

import argparse
from pathlib import Path
from typing import Any

from psm_training.commands.options import examples
from psm_training.settings import Settings

EXAMPLES = (
    "psm-train synthesize --out build/lines                               # a million lines, 52 weeks, a file each",
    "psm-train synthesize --out build/lines --lines 2670000 --one-file",
    "psm-train synthesize --out build/lines --weeks 117 --first-week 200607",
    "psm-train synthesize --out build/lines --drift price --from-week 200844",
    "psm-train synthesize --out build/lines --regress                     # worse labels in the last quarter",
    "psm-train synthesize --out build/lines --fault truncated             # the last file is cut",
    "psm-train run --source source-files --data build/lines --out build/models",
)
DRIFTS = ("price", "mix", "label")
FAULTS = ("truncated", "schema", "duplicate-week", "nan-flood", "bad-rows")


def add(commands: Any) -> None:
    """Puts the subcommand on the parser."""
    step = commands.add_parser(
        "synthesize",
        help="synthetic Source Files with a known best accuracy, drift and faults on request",
        **examples(*EXAMPLES),
    )
    step.add_argument("--out", type=Path, required=True, help="an empty folder for transactions*.csv")
    step.add_argument("--lines", type=int, default=1_000_000, help="about how many (1000000)")
    step.add_argument("--weeks", type=int, default=52, help="over how many weeks (52)")
    step.add_argument("--first-week", type=int, default=200801, help="yyyyww (200801)")
    step.add_argument("--households", type=int, help="by default one for every 20 baskets, at least 600")
    step.add_argument("--seed", type=int, default=0, help="the same order gives the same bytes (0)")
    step.add_argument("--drift", choices=DRIFTS, help="dearer shelves, larger baskets, or classes that buy cheaper")
    step.add_argument("--regress", action="store_true", help="three labels of ten are wrong")
    step.add_argument("--from-week", type=int, help="of drift and regress, yyyyww; by default the last quarter")
    step.add_argument("--fault", choices=FAULTS, help="spoil the last file")
    step.add_argument("--one-file", action="store_true", help="all weeks in transactions.csv")
    step.set_defaults(command=_synthesize)


def _synthesize(options: argparse.Namespace, _: Settings) -> Any:
    from psm_training.synthetic_files import Order, synthesize  # noqa: PLC0415  # the others start without pyarrow

    order = Order(
        lines=options.lines,
        weeks=options.weeks,
        first_week=options.first_week,
        households=options.households,
        seed=options.seed,
        drift=options.drift,
        regress=options.regress,
        from_week=options.from_week,
        fault=options.fault,
        is_one_file=options.one_file,
    )
    return synthesize(options.out, order)
