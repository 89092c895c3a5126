"""Run the emulator: `python -m psm_local.emulator --address 127.0.0.1 --port 5000`."""

import argparse
import logging

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from psm_local.emulator import alarms, registry, strict
from psm_local.emulator.faults import FaultyApp


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else one line per request
    registry.install()
    alarms.install()
    strict.install()
    app = FaultyApp(DomainDispatcherApplication(create_backend_app))
    make_server(args.address, args.port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    main()
