"""Bearer tokens, at django-scim2's hook for authentication."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django_scim.middleware import SCIMAuthCheckMiddleware
from scim2_models import UnauthorizedException

from governance.identity.models import Connection
from scim_bridge import connections
from scim_bridge.answers import error_answer
from scim_bridge.errors import told


class BearerCheck(SCIMAuthCheckMiddleware):  # type: ignore[misc]  # published without types
    """Find the connection a token opens, or answer 401 with a SCIM error."""

    def should_log_request(self, request: HttpRequest) -> bool:
        """Never: the stock middleware parses, masks and re-serialises every body for a debug line."""
        return False

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Set `request.scim_connection`, or return the refusal.

        `/ServiceProviderConfig` is public, so that a client can learn how to authenticate (RFC 7643 §5).
        """
        try:
            request.scim_connection = _connection(request)  # type: ignore[attr-defined]  # this door's own attribute
        except Exception as error:  # noqa: BLE001 - the edge of the door; `told` logs what is not the client's
            return error_answer(told(error))
        return None


def _connection(request: HttpRequest) -> Connection | None:
    if request.method == "GET" and request.path.rstrip("/").endswith("/ServiceProviderConfig"):
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedException(detail="Send a bearer token in the Authorization header.")
    connection = connections.authenticated(token.strip())
    if connection is None:
        raise UnauthorizedException(detail="The token is unknown, expired or revoked.")
    return connection
