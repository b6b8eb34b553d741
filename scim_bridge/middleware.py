"""What is answered below this door before our view is asked, as a SCIM error: Django's own refusals are pages."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from scim2_models import SCIMException

from scim_bridge.answers import error_answer

PREFIX = "/scim/v2/"


class Refused(SCIMException):
    """Refused before anything was read."""


def scim_answers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware, to stand first: RFC 7644 §3.12 wants every error as a SCIM document."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.status_code < 400 or not is_page or not request.path.startswith(PREFIX):
            return response
        error = Refused(detail=_sentence(response.status_code))
        error.status = response.status_code
        return error_answer(error)

    return respond


def _sentence(status: int) -> str:
    if status == HTTPStatus.BAD_REQUEST:
        return "The request is not for this server (see its Host header), or is not a request that can be read."
    return f"The server cannot answer this request ({HTTPStatus(status).phrase})."
