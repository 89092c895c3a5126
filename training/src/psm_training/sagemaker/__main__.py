"""Entry point of the training image.

train        what SageMaker runs: hyperparameters, channels, checkpoints and the model below /opt/ml
process      a processing job: the steps that are named, from folders to a folder
<step>       any other subcommand of psm-train, such as `run --source complete-journey --out /tmp/w`

"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from psm_training.sagemaker.paths import EXIT_ORDER, Container
from psm_training.sagemaker.supervise import supervise

METRICS_PORT: Final = "--metrics-port"
ROOT: Final = "--root"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job of SageMaker, or a subcommand of psm-train; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    port = _taken(given, METRICS_PORT)
    root = Path(_taken(given, ROOT) or Container().root)
    container = Container(root)
    match given[:1]:
        case ["train"]:
            return supervise(["train", ROOT, str(root), *given[1:]], container.failure, _port(port))
        case ["process"]:
            return supervise(["process", ROOT, str(root), *given[1:]], container.message, _port(port))
        case ["serve"]:
            sys.stderr.write("psm-training: this image trains; the predictor's image serves\n")
            return EXIT_ORDER
        case _:
            from psm_training.__main__ import main as psm_train  # noqa: PLC0415  # the jobs above start without it

            return psm_train(given)


def _taken(arguments: list[str], name: str) -> str | None:
    """The value of an option, which is taken out."""
    if name not in arguments[:-1]:
        return None
    at = arguments.index(name)
    value = arguments[at + 1]
    del arguments[at : at + 2]
    return value


def _port(text: str | None) -> int | None:
    return int(text) if text is not None else None


if __name__ == "__main__":
    sys.exit(main())
