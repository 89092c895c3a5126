"""Entry points of the distribution: `kubectl-psm`, and `kubectl_complete-psm`, which kubectl asks for completions."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from psm_operator.kubectl.cli import run  # noqa: PLC0415  # nothing is imported that need not be

    sys.exit(run(sys.argv[1:]))


def complete() -> None:
    """Print completions of the last argument as kubectl wants them."""
    from psm_operator.kubectl.completion import complete as answer  # noqa: PLC0415  # as above

    sys.exit(answer(sys.argv[1:]))


if __name__ == "__main__":
    main()
