"""Who is at the door, at django-scim2's hook for authentication: bearer tokens, how often, and that it was seen."""

from __future__ import annotations

import time
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django_scim.middleware import SCIMAuthCheckMiddleware

from governance.core.actor import Actor, Door
from governance.identity.connections.opening import Opened, opened_by_client, opened_by_token
from scim_bridge.access_tokens import client_of, is_access_token
from scim_bridge.adapters import Caller
from scim_bridge.answers import error_answer
from scim_bridge.errors import TooManyRequests, Unauthenticated, told
from scim_bridge.exchanges import RECORDER, Noted
from scim_bridge.rate_limit import LIMITER

#: Where a request without a connection comes from: only `/ServiceProviderConfig` is open.
ANYBODY = Caller("scim:anybody", Actor.service("anybody", door=Door.SCIM))

_PUBLIC = "/scim/v2/ServiceProviderConfig"


class BearerCheck(SCIMAuthCheckMiddleware):  # type: ignore[misc]  # published without types
    """Find the connection a token opens, or answer 401 or 429 with a SCIM error; note every exchange of a connection.

    Sets `request.scim_connection` (an Opened, or None where the address is public) and `request.scim_caller`.
    """

    def should_log_request(self, request: HttpRequest) -> bool:
        """Never: the stock middleware parses, masks and re-serialises every body for a debug line."""
        return False

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Let the request in, or return the refusal.

        `/ServiceProviderConfig` is public, so that a client can learn how to authenticate (RFC 7643 §5).
        """
        visit = _Visit()
        request.scim_visit = visit  # type: ignore[attr-defined]  # this door's own attributes
        request.scim_connection = None  # type: ignore[attr-defined]
        request.scim_caller = ANYBODY  # type: ignore[attr-defined]
        try:
            if not _is_public(request):
                visit.opened = _opened(request)
                _check(visit.opened)
                request.scim_connection = visit.opened  # type: ignore[attr-defined]
                request.scim_caller = _caller(visit.opened)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - the edge of the door; `told` logs what is not the client's
            return error_answer(told(error))
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Note the exchange of a connection, also one that was refused."""
        visit: _Visit = request.scim_visit  # type: ignore[attr-defined]
        if visit.opened is not None:
            RECORDER.note(visit.opened, _noted(request, response, visit))
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            # Django's own mark against its line in the log for each refusal: a flood is counted and shown instead.
            response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response


class _Visit:
    """One request: when it began, and whose it is once that is known."""

    __slots__ = ("at", "began", "opened")

    def __init__(self) -> None:
        self.at = time.time()
        self.began = time.perf_counter()
        self.opened: Opened | None = None


def _is_public(request: HttpRequest) -> bool:
    return request.method in ("GET", "HEAD") and request.path_info.rstrip("/") == _PUBLIC


def _opened(request: HttpRequest) -> Opened:
    """Return the connection a credential belongs to. Raises Unauthenticated when it belongs to none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(detail="Send a bearer token in the Authorization header.")
    if is_access_token(token):
        client_id = client_of(token)
        opened = None if client_id is None else opened_by_client(client_id)
    else:
        opened = opened_by_token(token)
    if opened is None:
        raise Unauthenticated(detail="The token is unknown, expired or revoked.", is_about_token=True)
    return opened


def _check(opened: Opened) -> None:
    """Raise Unauthenticated for a credential that ended, and TooManyRequests."""
    if opened.refusal:
        raise Unauthenticated(detail=opened.refusal, is_about_token=True)
    seconds = LIMITER.refused_for(opened.id, opened.requests_per_minute, at=time.monotonic())
    if seconds:
        raise TooManyRequests(
            detail=f"More than {opened.requests_per_minute} requests in a minute. Try again in {seconds} s.",
            retry_after_seconds=seconds,
        )


def _caller(opened: Opened) -> Caller:
    actor = Actor.service(opened.name, door=Door.SCIM)
    return Caller(opened.source, actor, connection_id=opened.id, others=opened.others)


def _noted(request: HttpRequest, response: HttpResponse, visit: _Visit) -> Noted:
    caller: Caller = request.scim_caller  # type: ignore[attr-defined]
    _, _, path = request.path.partition("/scim/v2")
    return Noted(
        at=visit.at,
        method=str(request.method),
        path=path,
        query=request.META.get("QUERY_STRING", ""),
        status=response.status_code,
        seconds=time.perf_counter() - visit.began,
        user_agent=request.headers.get("User-Agent", ""),
        correlation_id=caller.actor.correlation_id,
        # Only what somebody read: a body that was refused for its size is not read for this.
        request_body=getattr(request, "_body", None),
        response_body=response.content,
    )
