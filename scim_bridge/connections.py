"""Connections and their tokens: open, list, revoke, and find by a presented token."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.identity.connections import actions
from governance.identity.models import Connection, ConnectionToken, ServiceToken
from governance.identity.roles import digest, revoke_token

#: `last_used_at` is written at most so often, so that a sync does not write a row for each request.
NOTE_USE_EVERY = timedelta(minutes=1)
#: So much of a token is kept to recognise it by.
HINT_LENGTH = 12


@transaction.atomic
def open_connection(name: str, *, dialect: str | None = None, days: int | None = None, actor: Actor) -> str:
    """Return a new token for the connection called `name`, which is made when there is none.

    A second token leaves the earlier ones alone, so that an identity provider can be moved over and the old token
    revoked after. Raises Invalid for a bad name, dialect or number of days, and Conflict for another dialect.
    """
    connection = Connection.objects.filter(name=name).first()
    if connection is None:
        connection = actions.open_connection(name, actions.Terms(dialect=dialect or "strict"), actor=actor)
    elif dialect is not None and connection.dialect != dialect:
        raise Conflict(f"The connection {name} speaks {connection.dialect}; change it, or choose another name.")
    return actions.give_token(connection.ref, days=days, actor=actor).token


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
    connection = Connection.objects.filter(name=name).first()
    if connection is None:
        raise NotFound(f"There is no connection {name}.")
    if hint is None:
        return actions.revoke_connection(connection.ref, actor=actor)
    live = ServiceToken.objects.filter(connection_link__connection=connection, revoked_at__isnull=True)
    tokens = list(live.filter(hint__startswith=hint[:HINT_LENGTH]))
    if not tokens:
        raise Conflict(f"The connection {name} has no live token that begins with {hint[:HINT_LENGTH]}.")
    for token in tokens:
        revoke_token(token, actor=actor)
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
