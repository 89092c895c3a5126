"""Every request that boto3 makes in a test is held against AWS's service model before it is sent (a plugin of pytest).

botocore itself lets pass any enum, pattern and upper bound. The check is a handler of botocore's own, so a session, a
client and a retry in any place of the process meet it; a process that a test starts is asked by the emulator
(psm_local/emulator/strict.py). A request that a test makes wrong on purpose carries the mark refused_request.
"""

from collections.abc import Iterator
from typing import Any, Final

import botocore.handlers
import pytest
from botocore.model import OperationModel

from psm_local.emulator.shapes import refusals

_FOUND: Final[list[str]] = []
"""What AWS would refuse of the requests of the test that runs."""


def _hold(params: dict[str, Any], model: OperationModel, **_: object) -> None:
    """Note what AWS would refuse; raised at the test's end, since code under test may catch what is raised here."""
    service = model.service_model.service_name
    _FOUND.extend(f"{service}:{model.name}{fault}" for fault in refusals(params, model.input_shape))


botocore.handlers.BUILTIN_HANDLERS.append(("before-parameter-build", _hold))


@pytest.fixture(autouse=True)
def _requests_are_as_aws_wants_them(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fixture of a wider scope makes its requests before the first test that wants it, which answers for them."""
    yield
    found = list(_FOUND)
    _FOUND.clear()
    if request.node.get_closest_marker("refused_request") is None:
        assert not found, "AWS would refuse:\n" + "\n".join(found)
