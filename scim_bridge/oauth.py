"""The token endpoint: OAuth 2.0 client credentials (RFC 6749 §4.4). oauthlib speaks the protocol, we know the clients.

`POST /scim/oauth/token` with `grant_type=client_credentials`, the client in a Basic header or in the form (§2.3.1).
The answer is an access token of an hour, for the SCIM addresses.
"""

from __future__ import annotations

import base64
import binascii
import logging
from typing import Any
from urllib.parse import unquote_plus

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from oauthlib.oauth2 import BackendApplicationServer, InvalidRequestError, RequestValidator

from governance.identity.connections.opening import opened_by_secret
from scim_bridge.access_tokens import LIFETIME_SECONDS, new_access_token

logger = logging.getLogger(__name__)

#: A token request is a line; nobody needs more.
MAX_BODY_BYTES = 8_192
_FORM = "application/x-www-form-urlencoded"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class _Clients(RequestValidator):
    """What oauthlib asks about a client. It asks in the order of the methods below."""

    def authenticate_client(self, request: Any, *_: Any, **__: Any) -> bool:
        """Tell whether the request carries the right secret of live credentials, in one of the two places.

        Raises what oauthlib answers with `invalid_request` for both (RFC 6749 §5.2).
        """
        header = _basic(request.headers.get("Authorization", ""))
        form = (request.client_id, request.client_secret) if request.client_secret else None
        if header is not None and form is not None:
            raise InvalidRequestError("The client is named in two places.", request=request)
        if header is None and form is None:
            return False
        client_id, secret = header or form or ("", "")
        opened = opened_by_secret(str(client_id or ""), str(secret or ""))
        if opened is None:
            return False
        request.client = _Client(str(client_id))
        return True

    def validate_grant_type(self, client_id: str, grant_type: str, client: Any, *_: Any, **__: Any) -> bool:
        """Tell whether it may use this grant: there is only one."""
        return grant_type == "client_credentials"

    def get_default_scopes(self, *_: Any, **__: Any) -> list[str]:
        """Return the one scope there is."""
        return ["scim"]

    def validate_scopes(self, client_id: str, scopes: list[str], *_: Any, **__: Any) -> bool:
        """Take the one scope there is; another is `invalid_scope` (RFC 6749 §5.2)."""
        return set(scopes) <= {"scim"}

    def save_bearer_token(self, *_: Any, **__: Any) -> None:
        """Keep nothing: the token says itself what it is."""


class _Client:
    """What oauthlib wants to know of a client."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id


def _new_token(request: Any) -> str:
    return new_access_token(request.client.client_id)


_SERVER = BackendApplicationServer(
    _Clients(),
    token_generator=_new_token,
    token_expires_in=LIFETIME_SECONDS,
)


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    """Answer a request for an access token. Errors are those of RFC 6749 §5.2."""
    if request.method != "POST":
        return _refused("invalid_request", "Send a POST.", 405, {"Allow": "POST"})
    body = _form(request)
    if body is None:
        return _refused("invalid_request", f"Send a form ({_FORM}) of at most {MAX_BODY_BYTES} bytes.", 400)
    try:
        headers, content, status = _SERVER.create_token_response(
            f"{settings.PUBLIC_URL}{request.path}",
            "POST",
            body,
            {"Authorization": request.headers.get("Authorization", "")},
        )
    except ValueError:  # oauthlib on a form it cannot decode
        return _refused("invalid_request", "The form cannot be read.", 400)
    except Exception:
        logger.exception("A token request failed.")
        return _refused("server_error", "Something went wrong here. It was logged.", 500)
    response = HttpResponse(content, status=status, headers={**headers, **_NO_STORE})
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="SCIM token endpoint"'
    return response


def _form(request: HttpRequest) -> str | None:
    """Return the form as text; None for what is none, or too large."""
    length = request.headers.get("Content-Length", "")
    if request.content_type != _FORM or not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return None
    try:
        return request.body.decode("ascii")
    except (UnicodeDecodeError, UnreadablePostError):
        return None


def _basic(header: str) -> tuple[str, str] | None:
    """Return the client and secret of a Basic header, form-decoded as RFC 6749 §2.3.1 wants it; None for none."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(error: str, sentence: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    body = orjson.dumps({"error": error, "error_description": sentence})
    return HttpResponse(body, status=status, content_type="application/json", headers={**_NO_STORE, **(headers or {})})
