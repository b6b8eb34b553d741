"""Connections and their tokens: open, list, revoke, and find by a presented token."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import ServiceToken
from governance.identity.roles import digest, issue_token, revoke_token
from scim_bridge.dialects.policies import DIALECTS
from scim_bridge.models import Connection, ConnectionToken

#: `last_used_at` is written at most so often, so that a sync does not write a row for each request.
NOTE_USE_EVERY = timedelta(minutes=1)


@transaction.atomic
def open_connection(name: str, *, dialect: str | None = None, days: int | None = None, actor: Actor) -> str:
    """Return a new token for the connection called `name`, which is made when there is none.

    A second token leaves the earlier ones alone, so that an identity provider can be moved over and the old token
    revoked after. Raises Invalid for a bad name, dialect or number of days, and Conflict for another dialect.
    """
    if dialect is not None and dialect not in DIALECTS:
        raise Invalid({"dialect": f"Choose one of {', '.join(DIALECTS)}."})
    if days is not None and not 1 <= days <= 3650:
        raise Invalid({"days": "Between 1 and 3650."})
    connection = _connection(name, dialect)
    expires_at = now() + timedelta(days=days) if days else None
    row, token = issue_token(ServiceToken.Audience.SCIM.value, name, expires_at=expires_at, actor=actor)
    ConnectionToken.objects.create(connection=connection, token=row)
    return token


def _connection(name: str, dialect: str | None) -> Connection:
    if not name.strip() or len(name) > 80:
        raise Invalid({"name": "Give the connection a name of 1 to 80 characters."})
    connection, _ = Connection.objects.get_or_create(
        name=name, defaults={"dialect": dialect or "strict", "created_at": now()}
    )
    if dialect is not None and connection.dialect != dialect:
        raise Conflict(f"The connection {name} speaks {connection.dialect}; revoke it and open another for {dialect}.")
    if connection.revoked_at is not None:
        raise Conflict(f"The connection {name} was revoked on {connection.revoked_at:%d %B %Y}; choose another name.")
    return connection


def every_connection() -> QuerySet[ConnectionToken]:
    """Return every token of every connection, oldest first."""
    return ConnectionToken.objects.select_related("connection", "token").order_by(
        "connection__name", "token__created_at"
    )


@transaction.atomic
def revoke(name: str, *, hint: str | None = None, actor: Actor) -> int:
    """End the tokens of a connection that begin with `hint`, or all of them and the connection; return how many.

    Raises NotFound when there is no such connection, and Conflict when no live token matches.
    """
    connection = Connection.objects.select_for_update().filter(name=name).first()
    if connection is None:
        raise NotFound(f"There is no connection {name}.")
    live = ServiceToken.objects.filter(connection_link__connection=connection, revoked_at__isnull=True)
    tokens = list(live.filter(hint__startswith=hint) if hint else live)
    if not tokens and (hint or connection.revoked_at):
        raise Conflict(f"The connection {name} has no live token{f' that begins with {hint}' if hint else ''}.")
    for token in tokens:
        revoke_token(token, actor=actor)
    if hint is None:
        Connection.objects.filter(pk=connection.pk).update(revoked_at=now())
    return len(tokens)


def authenticated(token: str) -> Connection | None:
    """Return the connection a presented token opens, or None. One statement, and one more in the first of a minute.

    The token is looked up by its SHA-256, so the time taken says nothing about other tokens.
    """
    at = now()
    link = (
        ConnectionToken.objects.select_related("connection", "token")
        .filter(
            Q(token__expires_at__isnull=True) | Q(token__expires_at__gt=at),
            token__digest=digest(token),
            token__audience=ServiceToken.Audience.SCIM,
            token__revoked_at__isnull=True,
            connection__revoked_at__isnull=True,
        )
        .first()
    )
    if link is None:
        return None
    _note_use(link.token, at)
    return link.connection


def _note_use(token: ServiceToken, at: datetime) -> None:
    if token.last_used_at is not None and at - token.last_used_at < NOTE_USE_EVERY:
        return
    before = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - NOTE_USE_EVERY)
    ServiceToken.objects.filter(before, pk=token.pk).update(last_used_at=at)
