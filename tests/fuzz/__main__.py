"""`python -m fuzz [target ...] [--seconds 60]`: atheris on each target, in a process of its own.

Seeds come from tests/fuzz/seeds; what is found on the way is kept in build/fuzz/<target>/corpus, crashes beside it.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

_BUILD = Path("build/fuzz")
_CHILD = "--in-this-process"
_SLOWEST_INPUT_S = 10
_MOST_MEMORY_MIB = 4096


def main() -> int:
    """The number of targets that failed."""
    if _CHILD in sys.argv:
        with atheris.instrument_imports(include=["psm_predictor", "psm_contract"]):
            import fuzz.targets  # noqa: F401, PLC0415  # instrumented as it imports
    from fuzz.targets import SEEDS, TARGETS  # noqa: PLC0415  # not before

    parser = argparse.ArgumentParser(prog="fuzz")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(_CHILD, dest="is_child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.is_child:
        _fuzz(asked.targets[0], TARGETS[asked.targets[0]](), SEEDS / asked.targets[0], asked.seconds)
    failed = [name for name in asked.targets or TARGETS if not _run(name, asked.seconds)]
    sys.stdout.write(f"crashes of {', '.join(failed)} are under {_BUILD}\n" if failed else "nothing found\n")
    return len(failed)


def _run(name: str, seconds: int) -> bool:
    """Whether nothing was found."""
    sys.stdout.write(f"{name}: {seconds} s\n")
    sys.stdout.flush()
    folder = _BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "fuzz", name, _CHILD, "--seconds", str(seconds)]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    lines = (folder / "log").read_text(errors="replace").splitlines()
    told = (
        [line for line in lines if line.startswith(("Done ", "stat::number_of_executed_units"))]
        if not code
        else lines[-15:]
    )
    sys.stdout.write("".join(f"  {line}\n" for line in told))
    return code == 0


def _fuzz(name: str, target: Callable[[bytes], None], seeds: Path, seconds: int) -> None:
    """Never returns."""
    corpus = _BUILD / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_total_time={seconds}",
        f"-timeout={_SLOWEST_INPUT_S}",
        f"-rss_limit_mb={_MOST_MEMORY_MIB}",
        f"-artifact_prefix={_BUILD / name}/",
        "-print_final_stats=1",
        "-max_len=8192",
        str(corpus),
        *([str(seeds)] if seeds.is_dir() else []),
    ]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
