"""The way into the engine: a request of a connection in, an answer out."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from scim2_models import NotFoundException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from scim_bridge.adapters import Caller
from scim_bridge.dialects.policies import DIALECTS
from scim_bridge.engine.handler import Handler
from scim_bridge.engine.service import service_for
from scim_bridge.storage.directory import Directory
from scim_bridge.storage.retrying import settled


def serve(request: ScimRequest, *, dialect: str, caller: Caller) -> ScimResponse:
    """Answer a request on behalf of a connection.

    Raises a SCIMException for whatever has to be answered with an error; anything else is a bug of ours.
    """
    service = service_for(dialect)
    allowed = service.allowed_at(request.path)
    method = request.method.upper()
    if not allowed:
        raise NotFoundException(detail=f"There is no SCIM endpoint at {request.path}.")
    if method not in allowed:
        raise MethodNotAllowedException(allowed=allowed, detail=f"{method} does not apply to {request.path}.")
    if method == "OPTIONS":
        return ScimResponse(HTTPStatus.NO_CONTENT, None, {"Allow": ", ".join(sorted(allowed))})
    if method == "HEAD":
        # The answer of GET; the web server leaves the body out (RFC 9110 §9.3.2).
        request = replace(request, method="GET")
    return settled(lambda: Handler(service, Directory(caller, request.base_url), DIALECTS[dialect]).handle(request))
