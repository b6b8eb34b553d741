"""Connections by their names, for the command line: open one with a token, list the tokens, revoke."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.db.models import QuerySet

from governance.core.actor import Actor
from governance.core.errors import Conflict, NotFound
from governance.identity.connections import actions
from governance.identity.models import Connection, ConnectionToken, ServiceToken
from governance.identity.roles import revoke_token

#: So much of a token is kept to recognise it by.
HINT_LENGTH = 12


@transaction.atomic
def open_connection(
    name: str, *, dialect: str | None = None, limit: int | None = None, days: int | None = None, actor: Actor
) -> str:
    """Return a new token for the connection called `name`, which is made when there is none.

    A second token leaves the earlier ones alone, so that an identity provider can be moved over and the old token
    revoked after. `limit` is how many requests it may send in a minute. Raises Invalid for a bad name, dialect, limit
    or number of days, and Conflict for another dialect.
    """
    connection = Connection.objects.filter(name=name).first()
    if connection is None:
        connection = actions.open_connection(name, actions.Terms(dialect=dialect or "strict"), actor=actor)
    elif dialect is not None and connection.dialect != dialect:
        raise Conflict(f"The connection {name} speaks {connection.dialect}; change it, or choose another name.")
    if limit is not None:
        actions.change(connection.ref, replace(actions.terms_of(connection), requests_per_minute=limit), actor=actor)
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
