"""Which connection a presented credential opens. One statement, which also says whose people it does not see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db import connection as database

from governance.core.clock import now
from governance.core.statements import row as first
from governance.identity.roles import digest


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection a credential belongs to. With a `refusal` it is known, but does not open."""

    id: int
    ref: UUID
    name: str
    dialect: str
    requests_per_minute: int
    #: The sources of the other live connections: what carries them is not there for this one.
    others: tuple[str, ...]
    #: Which credential it was; one of the two is None.
    token_id: int | None
    client_pk: int | None
    #: Why it opens nothing, in a sentence; empty when it opens.
    refusal: str = ""

    @property
    def source(self) -> str:
        """Return what people and groups of this connection carry as their source."""
        return f"scim:{self.name}"


# The other live connections come along, so that ownership costs no statement of its own.
_SELECT = """
SELECT c.id, c.ref, c.name, c.dialect, c.requests_per_minute,
    ARRAY(SELECT 'scim:' || o.name FROM identity_connection o
          WHERE o.revoked_at IS NULL AND o.id <> c.id ORDER BY o.id),
    c.revoked_at, k.revoked_at, k.id, {columns}
FROM {tables}
WHERE {condition}
"""
_BY_TOKEN = _SELECT.format(
    columns="k.digest, k.expires_at",
    tables="identity_servicetoken k"
    " JOIN identity_connectiontoken l ON l.token_id = k.id JOIN identity_connection c ON c.id = l.connection_id",
    condition="k.digest = %s AND k.audience = 'scim'",
)
_BY_CLIENT = _SELECT.format(
    columns="k.secret_digest, NULL",
    tables="identity_connectionclient k JOIN identity_connection c ON c.id = k.connection_id",
    condition="k.client_id = %s",
)


def opened_by_token(token: str) -> Opened | None:
    """Return the connection of a bearer token, or None when there is no such token.

    It is looked up by its SHA-256: neither the index nor the time taken says anything about other tokens.
    """
    presented = digest(token)
    row = _row(_BY_TOKEN, presented)
    if row is None or not compare_digest(row[9], presented):
        return None
    return _opened(row, is_token=True)


def opened_by_client(client_id: str) -> Opened | None:
    """Return the connection of client credentials whose access token was checked, or None when there are none."""
    row = _row(_BY_CLIENT, client_id)
    return None if row is None else _opened(row, is_token=False)


#: What an unknown client's secret is compared with, so that it takes as long as a known one's.
_NO_DIGEST = "0" * 64


def opened_by_secret(client_id: str, secret: str) -> Opened | None:
    """Return the connection of these client credentials, or None when they are wrong or ended."""
    row = _row(_BY_CLIENT, client_id)
    is_right = compare_digest(_NO_DIGEST if row is None else row[9], digest(secret))
    if row is None or not is_right:
        return None
    found = _opened(row, is_token=False)
    return None if found.refusal else found


def _row(sql: str, key: str) -> tuple[Any, ...] | None:
    if "\x00" in key:
        return None
    try:
        return first(sql, [key])
    except (OperationalError, InterfaceError):
        # A connection that was idle may have broken meanwhile, and this is what a request asks first: once more.
        if database.in_atomic_block:
            raise
        database.close()
        return first(sql, [key])


def _opened(row: tuple[Any, ...], *, is_token: bool) -> Opened:
    id_, ref, name, dialect, limit, others, connection_revoked, key_revoked, key_id, _, expires = row
    return Opened(
        id=id_,
        ref=ref,
        name=name,
        dialect=dialect,
        requests_per_minute=limit,
        others=tuple(others),
        token_id=key_id if is_token else None,
        client_pk=None if is_token else key_id,
        refusal=_refusal(connection_revoked, key_revoked, expires, now()),
    )


def _refusal(
    connection_revoked: datetime | None, key_revoked: datetime | None, expires: datetime | None, at: datetime
) -> str:
    """Return the reason. Whoever presents the credential had it, so it tells nobody anything they should not know."""
    if connection_revoked is not None:
        return f"The connection was revoked at {_said(connection_revoked)}."
    if key_revoked is not None:
        return f"The token or client was revoked at {_said(key_revoked)}."
    if expires is not None and expires <= at:
        return f"The token ended at {_said(expires)}."
    return ""


def _said(at: datetime) -> str:
    return f"{at:%H:%M UTC on %d %B %Y}"
