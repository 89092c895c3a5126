"""What a request asks AWS for, in every protocol: the service whose name it is signed for, and the operation.

Called by the emulator for its list of what was asked, from which the tests tell which rights the caller needs.
"""

from collections.abc import Mapping
from typing import Any, Final

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

_FORM: Final = "application/x-www-form-urlencoded"
_MODELS: Final[Mapping[str, str]] = {"monitoring": "cloudwatch", "states": "stepfunctions"}
"""Name in a signature -> botocore's name of the model, where they differ and a path has to be looked up."""


def asked(environ: dict[str, Any], body: bytes | None = None) -> str | None:
    """Return service and operation, such as s3:GetBucketAcl; None if the request is not signed or there is no such operation.

    `body` is what the request has, where it was read already; a path is told without it.
    """
    service = _signed_for(environ.get("HTTP_AUTHORIZATION", ""))
    if service is None:
        return None
    target: str = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if target:
        return f"{service}:{target}"
    if environ.get("CONTENT_TYPE", "").startswith(_FORM) and body is not None:
        form = Request.from_values(method="POST", data=body, content_type=_FORM).form
        return f"{service}:{form['Action']}" if "Action" in form else None
    try:
        operation, _ = get_service_router(_MODELS.get(service, service)).match(Request(environ, populate_request=False))
    except (HTTPException, LookupError, NotImplementedError):
        return None
    return f"{service}:{operation.name}"


def _signed_for(authorization: str) -> str | None:
    """Return the service in a signature of version 4: Credential=<key>/<day>/<region>/<service>/aws4_request."""
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) > 3 else None  # noqa: PLR2004  # the fourth part
