"""What the schema says about this door that cannot be read off the views."""

from __future__ import annotations

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tokens made by `manage.py api_token`."""

    target_class = "governance.api.tokens.BearerTokens"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Return how a token is presented."""
        return {"type": "http", "scheme": "bearer"}


class BrowserScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """The session of a signed-in browser."""

    target_class = "governance.api.tokens.BrowserSessions"
