"""django-scim2's shell: its dispatch, CSRF exemption and authentication hook, around our engine."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django_scim.utils import get_base_scim_location_getter
from django_scim.views import SCIMView
from scim2_models import InvalidSyntaxException
from scim2_server.errors import UnsupportedMediaTypeException
from scim2_server.requests import ScimRequest

from governance.core.actor import acting_as
from governance.identity.connections.opening import Opened
from scim_bridge.adapters import Caller
from scim_bridge.answers import answer, error_answer, wanted_type
from scim_bridge.engine.serving import serve
from scim_bridge.errors import TooLarge, told


class Endpoint(SCIMView):  # type: ignore[misc]  # published without types
    """Every address below the base: the engine routes, so that 404 and 405 are SCIM errors too."""

    def serve(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        """Answer a request. No exception leaves, so that every answer is a SCIM document."""
        content_type = wanted_type(request)
        try:
            return self._served(request, content_type)
        except Exception as error:  # noqa: BLE001 - the edge of the door; `told` logs what is not the client's
            return error_answer(told(error), content_type=content_type)

    get = post = put = patch = delete = head = options = trace = serve

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Let the engine say which methods the address has."""
        return self.serve(request)

    def _served(self, request: HttpRequest, content_type: str) -> HttpResponse:
        asked = _asked(request)
        connection: Opened | None = request.scim_connection  # type: ignore[attr-defined]
        caller: Caller = request.scim_caller  # type: ignore[attr-defined]
        dialect = "strict" if connection is None else connection.dialect
        with acting_as(caller.actor):
            response = serve(asked, dialect=dialect, caller=caller)
        return answer(response.status.value, response.body, response.headers, content_type=content_type)


def _asked(request: HttpRequest) -> ScimRequest:
    base_url: str = get_base_scim_location_getter()(request=request)
    _, _, path = request.path.partition("/scim/v2")
    return ScimRequest(
        method=str(request.method),
        base_url=base_url,
        path=path,
        query=request.GET.dict(),
        headers=dict(request.headers),
        body=_body(request),
    )


def _body(request: HttpRequest) -> bytes:
    """Return the body, of which never more than the limit is read. Raises TooLarge.

    Bulk has a limit of its own, which is published (RFC 7644 §3.7.4). Django's DATA_UPLOAD_MAX_MEMORY_SIZE is meant for
    forms and does not hold here.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):  # unpacking would let a small body be an endless one
        raise UnsupportedMediaTypeException(detail=f"Content-Encoding: {encoding} is not read; send the body as it is.")
    is_bulk = request.path.rstrip("/").endswith("/Bulk")
    limit: int = settings.SCIM_MAX_BULK_BYTES if is_bulk else settings.SCIM_MAX_BODY_BYTES
    too_large = TooLarge(detail=f"The body is larger than {limit} bytes.")
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    try:
        body: bytes = request.read(limit + 1)
    except OSError as error:
        raise InvalidSyntaxException(detail="The body broke off.") from error
    if len(body) > limit:
        raise too_large
    request._body = body  # noqa: SLF001 - what Django's `body` returns from here on
    return body
