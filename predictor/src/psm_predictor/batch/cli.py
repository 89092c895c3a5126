"""The command `psm-predict`: `batch` answers for a file. Words for people on standard error, one JSON summary on stdout."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import msgspec

from psm_contract.environment import EXIT_UNSERVABLE
from psm_predictor import settings as environment
from psm_predictor.errors import UNREACHABLE, ArtifactError, ArtifactUnavailable, PredictorError, SettingsError

if TYPE_CHECKING:
    from psm_predictor.batch.run import Summary

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SOME_REFUSED: Final = 3
"""The output is complete but for the refused rows."""

_MEBIBYTE: Final = 1024 * 1024


class Termination:
    """SIGTERM and SIGINT end a run between two pieces, so that no half-written file is left behind.

    Not at once: an exception from a signal's handler may come up inside of a library, which loses it or makes another of it.
    """

    def __init__(self) -> None:
        self._has_come = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._has_come = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self._has_come:
            raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; the exit code."""
    given = parser().parse_args(arguments)
    if find_spec("pyarrow") is None:
        return _fail("pyarrow is not installed; install psm-predictor[batch]", EXIT_FAILED)
    try:
        return _batch(given)
    except SettingsError as err:
        return _fail(f"{err}; --model and --sha256 stand for PSM_MODEL_DATA_URL and PSM_MODEL_SHA256", EXIT_USAGE)
    except ArtifactError as err:
        return _fail(str(err), EXIT_FAILED if err.reason in UNREACHABLE else EXIT_UNSERVABLE)
    except (PredictorError, ArtifactUnavailable, OSError) as err:
        return _fail(str(err), EXIT_FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", EXIT_FAILED)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="psm-predict", description="Price sensitivity of baskets.")
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    batch = commands.add_parser(
        "batch",
        help="answer for every basket of a Parquet or CSV file",
        description=(
            "Answers for every basket of a Parquet or CSV file, in constant memory. A row holds ready features, or a till "
            "line if the file has BASKET_ID, PROD_CODE, QUANTITY and SPEND. Rows at fault are written to another file, "
            "with reasons. Exit code: 0 all answered, 3 some refused, 1 nothing written, 65 the model is unservable."
        ),
    )
    batch.add_argument("source", type=Path, metavar="IN", help=".parquet, .pq, .csv or .csv.gz")
    batch.add_argument("output", type=Path, metavar="OUT", help=".parquet, .pq or .csv; appears when it is complete")
    batch.add_argument("--model", metavar="PATH|s3://…", help="model.tar.gz; default: PSM_MODEL_DATA_URL")
    batch.add_argument("--sha256", metavar="HEX", help="its digest, as registered; default: PSM_MODEL_SHA256")
    batch.add_argument("--refused", type=Path, metavar="FILE", help="refused rows; default: OUT.refused.jsonl")
    batch.add_argument(
        "--keep", metavar="COLUMN", nargs="+", help="columns to carry along; default: all that are no features"
    )
    batch.add_argument(
        "--grouped", action="store_true", help="till lines of a basket are together, but BASKET_ID is not sorted"
    )
    return command


def _batch(given: argparse.Namespace) -> int:
    import pyarrow as pa  # noqa: PLC0415  # 0.1 s, not for --help

    from psm_predictor.batch.run import Job, run  # noqa: PLC0415  # as above
    from psm_predictor.loading import load_model  # noqa: PLC0415  # as above

    settings = environment.read_for_batch(_url(given.model), given.sha256)
    refused: Path = given.refused or given.output.with_name(f"{given.output.name}.refused.jsonl")
    job = Job(
        source=given.source,
        output=given.output,
        refused=refused,
        keep=None if given.keep is None else tuple(given.keep),
        is_sorted=not given.grouped,
        limits=settings.requests,
        about={"psm.model.url": settings.package.data_url, "psm.model.sha256": settings.package.sha256},
    )
    pa.set_memory_pool(pa.system_memory_pool())  # 40 MB less than Arrow's own, and no slower here
    model = load_model(settings)
    summary = run(job, model, go_on=Termination().check)
    sys.stderr.write(f"{_told(summary, given.output, refused)}\n")
    sys.stdout.write(f"{msgspec.json.encode({**asdict(summary), 'peak_rss_bytes': peak_rss_bytes()}).decode()}\n")
    return EXIT_SOME_REFUSED if summary.refused else EXIT_OK


def _url(model: str | None) -> str | None:
    """The model's address; a path becomes file://…."""
    return model if model is None or "://" in model else Path(model).absolute().as_uri()


def _told(summary: "Summary", output: Path, refused: Path) -> str:
    speed = summary.rows / summary.seconds if summary.seconds else 0.0
    memory = f", {peak_rss_bytes() / _MEBIBYTE:.0f} MiB at most" if peak_rss_bytes() else ""
    why = f"; {summary.refused:,} refused, see {refused}" if summary.refused else ""
    return (
        f"{summary.rows:,} rows in {summary.seconds:.1f} s ({speed:,.0f} rows/s{memory}): "
        f"{summary.answered:,} baskets answered in {output}{why}"
    )


def peak_rss_bytes() -> int:
    """Most memory that this process has held; 0 where the system does not say so plainly."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"psm-predict: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
