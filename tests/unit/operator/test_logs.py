"""Logs that machines and people can read."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from psm_operator.logs import set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_object_per_line_with_extras_and_traceback() -> None:
    """Every record can be parsed, whatever it says."""
    stream = io.StringIO()
    set_up_logging("INFO", "json", stream)
    log = logging.getLogger("psm_operator.test")
    log.info("read\nin two lines", extra={"model": "mlops/a"})
    log.error("bad", exc_info=ZeroDivisionError())
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "read\nin two lines"
    assert first["model"] == "mlops/a"
    assert first["level"] == "info"
    assert first["time"].endswith("Z")
    assert "ZeroDivisionError" in second["traceback"]


def test_text_appends_the_extras() -> None:
    """For a terminal."""
    stream = io.StringIO()
    set_up_logging("INFO", "text", stream)
    logging.getLogger("psm_operator.test").warning("slow", extra={"model": "mlops/a", "delay_s": 2})
    assert stream.getvalue().endswith("psm_operator.test: slow  [model=mlops/a delay_s=2]\n")


def test_libraries_that_log_each_request_are_quiet() -> None:
    """At a thousand models they would be all one sees."""
    set_up_logging("INFO", "json", io.StringIO())
    assert not logging.getLogger("kopf.objects").isEnabledFor(logging.INFO)
    assert logging.getLogger("psm_operator").isEnabledFor(logging.INFO)
