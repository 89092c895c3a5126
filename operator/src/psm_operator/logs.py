"""Structured logs: one JSON object per line, or plain text for a terminal.

What is passed as `extra` becomes a field of its own (`model`, `group`, `reason`), so that logs can be filtered by it.
"""

import json
import logging
import sys
import time
from typing import Final, TextIO

STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""Attributes that every record has; the rest came as `extra`."""

QUIETED: Final = {
    "kopf": logging.WARNING,
    "botocore": logging.WARNING,
    "botocore.credentials": logging.ERROR,
    "aiohttp.access": logging.WARNING,
}
"""Libraries that log each request or handler call at INFO: at 1,000 models that would be all one sees.

botocore also warns, with a traceback, each time a role cannot be assumed: the poll that needed it says so in one line.
"""


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Render time, level, logger, message, extras and traceback."""
        entry: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= extras(record)
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A line for people: time, level, message, extras as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the standard line and append the extras."""
        fields = " ".join(f"{name}={value}" for name, value in extras(record).items())
        line = super().format(record)
        return f"{line}  [{fields}]" if fields else line


def extras(record: logging.LogRecord) -> dict[str, object]:
    """What the caller passed as `extra`; kopf's own bookkeeping is left out."""
    return {
        name: value
        for name, value in record.__dict__.items()
        if name not in STANDARD and not name.startswith(("k8s_", "settings"))
    }


def set_up_logging(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Send every logger's records to `stream`.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        style: "json" or "text".
        stream: where to write.
    """
    handler = logging.StreamHandler(stream)
    formatter = (
        JsonFormatter() if style == "json" else TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, quiet_level in QUIETED.items():
        logging.getLogger(name).setLevel(max(quiet_level, logging.getLevelName(level)))
