"""Who is at the door: tokens of scripts, sessions of browsers. Apart from the views: it is loaded before them."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.request import Request

from governance.core.clock import now
from governance.identity.models import Person, ServiceToken
from governance.identity.roles import live_token

#: A token's last use is written at most this often.
_USE_IS_NOTED_EVERY = timedelta(minutes=1)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class BearerTokens(BaseAuthentication):
    """Lets in the person a token acts for. A token without the scope `write` only reads."""

    def authenticate(self, request: Request) -> tuple[Person, ServiceToken] | None:
        """Return the person and the token; None when no bearer token was presented."""
        kind, _, presented = get_authorization_header(request).partition(b" ")
        if kind.lower() != b"bearer":
            return None
        at = now()
        token = live_token(presented.decode("latin-1").strip(), ServiceToken.Audience.API, at=at)
        if token is None or token.acts_for is None:
            raise exceptions.AuthenticationFailed("This token is unknown, expired or revoked.")
        if request.method not in _SAFE and "write" not in token.scopes:
            raise exceptions.PermissionDenied("This token may only read.")
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - _USE_IS_NOTED_EVERY)
        if token.last_used_at is None or token.last_used_at < at - _USE_IS_NOTED_EVERY:
            ServiceToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=at)
        return token.acts_for, token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="Gatehouse"'


class BrowserSessions(SessionAuthentication):
    """Lets in who is signed in with a browser: who works here, and guests. Writing needs the CSRF token as well."""

    def authenticate(self, request: Request) -> tuple[Person, None] | None:
        """Return the person; None when nobody is signed in."""
        # The wrapped request has who is signed in; asking `request.user` would ask this again.
        person = getattr(request._request, "user", None)  # noqa: SLF001
        if not isinstance(person, Person) or not person.may_sign_in:
            return None
        self.enforce_csrf(request)
        return person, None
