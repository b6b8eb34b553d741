"""Machines come in by a way of their own: past sessions, forms, pages and their policies, which they do not have."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from django.core.exceptions import DisallowedHost
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse
from scim2_models import InvalidValueException

from scim_bridge.answers import error_answer
from scim_bridge.views import Endpoint

BASE = "/scim/v2/"
#: A connection to the database that was used so short a time ago is taken to be alive.
FRESH_SECONDS = 2.0


class MachineDoor:
    """Answer what is asked below the base; everything else goes on to the middleware of the pages.

    It stands behind Django's SecurityMiddleware, whose headers and redirection hold here as well.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._asked_at = 0.0
        self.answered: Callable[[HttpRequest], HttpResponse] = Endpoint.as_view()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(BASE):
            return self.get_response(request)
        self._trust_what_just_answered()
        try:
            request.get_host()
        except DisallowedHost:
            response = error_answer(InvalidValueException(detail="This server does not answer to that host."))
        else:
            response = self.answered(request)
        if not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))
        return response

    def _trust_what_just_answered(self) -> None:
        """Ask a connection to the database whether it is alive only when it was quiet; the question costs a statement.

        When it broke since, the first statement of a request notices, and is asked again (`connections.opening`).
        """
        database, at = connections[DEFAULT_DB_ALIAS], monotonic()
        if database.connection is not None and at - self._asked_at < FRESH_SECONDS:
            database.health_check_done = True  # type: ignore[attr-defined]  # not in the stubs
        self._asked_at = at
