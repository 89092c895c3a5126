"""Requests refused as AWS refuses them: what reaches the emulator is held against the service model of its operation.

moto takes any enum, length and pattern. S3, whose model has next to none of them, is not asked; nor is an operation whose
request moto cannot read by the model. Every service answers ValidationException, which on AWS some spell otherwise.
"""

from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from psm_local.emulator.shapes import refusals

_UNASKED: Final = frozenset({"s3", "s3control"})
_PASS_ON: Final = BaseResponse.call_action


class RefusedRequestError(ServiceException):
    """A request that the service's own description does not allow."""

    code = "ValidationException"


def install() -> None:
    """Let moto's server refuse what AWS would; call before the server starts."""
    BaseResponse.call_action = _call_action  # type: ignore[assignment, method-assign]  # moto offers no place of its own for it


def _call_action(response: BaseResponse) -> Any:
    found = _refusals(response)
    if not found:
        return _PASS_ON(response)
    noun = "validation error" if len(found) == 1 else "validation errors"
    refusal = RefusedRequestError(f"{len(found)} {noun} detected: {'; '.join(found)}")
    status, headers, body = response.serialized(ActionResult(refusal))
    return status, headers, body


def _refusals(response: BaseResponse) -> list[str]:
    """Say what AWS would refuse of the request that a response is about to answer."""
    service, action = response.boto3_service_name, response._get_action()  # noqa: SLF001  # what moto's own call_action asks
    model = get_service_model(service)
    if service in _UNASKED or action not in model.operation_names:
        return []
    operation = model.operation_model(action)
    request = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation, map_type=dict)
    asked = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": response.uri_match,
        }
    )
    return list(refusals(asked, operation.input_shape))
