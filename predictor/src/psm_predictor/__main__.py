"""The command `psm-predictor`: `serve` (the default) and `healthcheck`.

Imports as little as it can: the health check runs every few seconds beside the server, on the server's CPU share.
"""

import http.client
import logging
import sys
from typing import Final, NoReturn

from psm_predictor import settings as environment
from psm_predictor.errors import SettingsError

_USAGE: Final = """usage: psm-predictor [serve | healthcheck]

  serve        listen, load the model named by PSM_MODEL_*, answer until SIGTERM (default)
  healthcheck  exit 0 if the server on this machine's PSM_LISTEN_PORT is alive, else 1
"""
_HEALTHCHECK_TIMEOUT_S: Final = 2.0
EXIT_USAGE: Final = 2


def main() -> int:
    """The command; the exit code."""
    match sys.argv[1:]:
        case [] | ["serve"]:
            return serve()
        case ["healthcheck"]:
            return healthcheck()
        case _:
            sys.stderr.write(_USAGE)
            return EXIT_USAGE


def serve() -> NoReturn:
    """Serves until SIGTERM, exit code 0; 65 if the archive can never be served; 1 if it cannot be had; 2 if the environment is wrong."""
    from psm_predictor import logs, stop, workers  # noqa: PLC0415  # not for the health check

    try:
        settings = environment.read()
    except SettingsError as err:
        logs.configure("INFO")
        logging.getLogger(__name__).error("the environment is wrong: %s", err)  # noqa: TRY400  # a traceback adds nothing
        stop.leave(EXIT_USAGE)
    logs.configure(settings.log_level)
    stop.leave(workers.run(settings))


def healthcheck() -> int:
    """For a container's HEALTHCHECK: asks /healthz."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", environment.listen_port(), timeout=_HEALTHCHECK_TIMEOUT_S)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, SettingsError) as err:
        sys.stderr.write(f"not alive: {err}\n")
        return 1
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
