"""Access tokens of OAuth 2.0 clients: signed, an hour long, without a row.

The signature says that we made it and when; the row of its client says whether it still opens anything. So nothing
has to be written for a token, or removed, and revoking a client or its connection ends all its tokens at once.
"""

from __future__ import annotations

from django.core.signing import BadSignature, TimestampSigner

LIFETIME_SECONDS = 3600
_PREFIX = "gh_access_"
# A bearer token holds no colon (RFC 6750 §2.1), Django's usual separator.
_SIGNER = TimestampSigner(salt="gatehouse.scim.access-token", sep=".")


def new_access_token(client_id: str) -> str:
    """Return a token that opens the connection of this client for an hour."""
    return _PREFIX + _SIGNER.sign(client_id)


def is_access_token(token: str) -> bool:
    """Tell whether this claims to be one of these tokens."""
    return token.startswith(_PREFIX)


def client_of(token: str) -> str | None:
    """Return the client this token was made for; None when we did not make it, or longer than an hour ago.

    Django compares the signatures in constant time.
    """
    try:
        return _SIGNER.unsign(token.removeprefix(_PREFIX), max_age=LIFETIME_SECONDS)
    except BadSignature:
        return None
