"""The writers of connections: open, change, give tokens and clients, rotate, revoke. Each is recorded in the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity import events
from governance.identity.connections.dialects import DIALECTS
from governance.identity.models import Connection, ConnectionClient, ConnectionToken, ServiceToken
from governance.identity.roles import digest, issue_token, revoke_token
from governance.ledger.recording import Subject, record

#: What an administrator may choose; the constraints of the table say the same.
LIMIT_RANGE = (60, 600_000)
KEEP_DAYS_RANGE = (1, 90)
TOKEN_DAYS_RANGE = (1, 3650)
OVERLAP_HOURS_RANGE = (0, 24 * 90)


@dataclass(frozen=True, slots=True)
class Terms:
    """What of a connection can be chosen. The page fills it from its form."""

    dialect: str = "strict"
    requests_per_minute: int = 6000
    keep_exchanges_days: int = 7
    note: str = ""


def terms_of(connection: Connection) -> Terms:
    """Return the terms a connection follows now."""
    return Terms(**{field: getattr(connection, field) for field in Terms.__slots__})


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. `token` is shown once and not kept."""

    token_id: int
    token: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewClient:
    """Client credentials that were just made. `client_secret` is shown once and not kept."""

    client_pk: int
    client_id: str
    client_secret: str


@transaction.atomic
def open_connection(name: str, terms: Terms | None = None, *, actor: Actor) -> Connection:
    """Return a new connection without a token.

    Raises Invalid for a bad name or terms, and Conflict when the name was ever used: all that a connection brought,
    and the ledger, carry it.
    """
    terms = terms or Terms()
    _check(terms, name=name)
    connection, is_new = Connection.objects.get_or_create(
        name=name, defaults={"created_at": now(), **{field: getattr(terms, field) for field in Terms.__slots__}}
    )
    if not is_new:
        raise Conflict(f"There is a connection {name} already, or there was one; choose another name.")
    record(
        events.CONNECTION_OPENED,
        actor=actor,
        subjects=[_subject(connection)],
        data={"name": name, "dialect": terms.dialect, "requests_per_minute": terms.requests_per_minute},
    )
    return connection


@transaction.atomic
def change(ref: UUID | str, terms: Terms, *, actor: Actor) -> Connection:
    """Make a connection follow these terms; return it. What says the same already is not recorded.

    Raises NotFound, Invalid for bad terms, and Conflict for a connection that was revoked.
    """
    _check(terms)
    connection = _locked(ref)
    changed = {
        field: [getattr(connection, field), getattr(terms, field)]
        for field in Terms.__slots__
        if getattr(connection, field) != getattr(terms, field)
    }
    if not changed:
        return connection
    for field, (_, new) in changed.items():
        setattr(connection, field, new)
    connection.save(update_fields=list(changed))
    # What administrators write to each other may name people; that it changed is enough for the ledger.
    said: Mapping[str, object] = {**changed, **({"note": "changed"} if "note" in changed else {})}
    record(events.CONNECTION_CHANGED, actor=actor, subjects=[_subject(connection)], data=said)
    return connection


@transaction.atomic
def give_token(ref: UUID | str, *, days: int | None = None, newest: int | None = None, actor: Actor) -> NewToken:
    """Return a new token beside those the connection has. Without `days` it lives until it is revoked.

    `newest` as for `rotate_tokens`: a form that is sent twice makes one token. Raises NotFound, Invalid for a bad
    number of days, and Conflict when there is a newer token or the connection was revoked.
    """
    connection = _locked(ref)
    _check_newest(_live_tokens(connection).order_by("-pk").first(), newest)
    return _given(connection, days, actor)


@transaction.atomic
def rotate_tokens(
    ref: UUID | str, *, overlap_hours: int = 24, days: int | None = None, newest: int | None = None, actor: Actor
) -> NewToken:
    """Return a new token; the others of the connection end after the overlap, or earlier if they would have.

    `newest` is the id of the newest live token the asker saw, 0 for none. Raises Conflict when there is a newer one by
    now (two people rotate at once: the second would end the token the first has just carried to the provider), or
    when the connection was revoked; Invalid for bad numbers; NotFound.
    """
    _check_range("overlap_hours", overlap_hours, OVERLAP_HOURS_RANGE)
    connection = _locked(ref)
    live = list(_live_tokens(connection).order_by("-pk"))
    _check_newest(live[0] if live else None, newest)
    end = now() + timedelta(hours=overlap_hours)
    later = Q(expires_at__isnull=True) | Q(expires_at__gt=end)
    ServiceToken.objects.filter(later, pk__in=[token.pk for token in live]).update(expires_at=end)
    new = _given(connection, days, actor)
    record(
        events.CONNECTION_TOKENS_ROTATED,
        actor=actor,
        subjects=[_subject(connection), *(Subject("token", str(token.pk)) for token in live)],
        data={"overlap_hours": overlap_hours, "ends_at": end.isoformat(), "tokens": len(live)},
    )
    return new


@transaction.atomic
def revoke_one_token(ref: UUID | str, token_id: int, *, actor: Actor) -> None:
    """End one token of a connection now; again is fine. Raises NotFound."""
    token = ServiceToken.objects.filter(connection_link__connection__ref=_uuid(ref), pk=token_id).first()
    if token is None:
        raise NotFound("There is no such token.")
    revoke_token(token, actor=actor)


@transaction.atomic
def revoke_connection(ref: UUID | str, *, actor: Actor) -> int:
    """End a connection with its tokens and clients for good; return how many tokens ended.

    The people and groups it brought stay as they are; the next connection that writes to them has them.
    Raises NotFound, and Conflict when it was revoked before.
    """
    connection = _locked(ref)
    tokens = list(_live_tokens(connection))
    for token in tokens:
        revoke_token(token, actor=actor)
    for client in connection.clients.filter(revoked_at__isnull=True):
        _end_client(client, actor)
    Connection.objects.filter(pk=connection.pk).update(revoked_at=now())
    record(events.CONNECTION_REVOKED, actor=actor, subjects=[_subject(connection)], data={"name": connection.name})
    return len(tokens)


@transaction.atomic
def give_client(ref: UUID | str, *, newest: int | None = None, actor: Actor) -> NewClient:
    """Return new OAuth 2.0 client credentials of a connection.

    `newest` is the key of the newest live client the asker saw, 0 for none: a form that is sent twice makes one.
    Raises NotFound, and Conflict when there is a newer one or the connection was revoked.
    """
    connection = _locked(ref)
    _check_newest(connection.clients.filter(revoked_at__isnull=True).order_by("-pk").first(), newest)
    client_id, secret = f"gh_client_{secrets.token_hex(12)}", f"gh_secret_{secrets.token_urlsafe(32)}"
    client = ConnectionClient.objects.create(
        connection=connection,
        client_id=client_id,
        secret_digest=digest(secret),
        hint=secret[:12],
        created_at=now(),
        created_by_ref=actor.ref,
    )
    record(
        events.CLIENT_ISSUED,
        actor=actor,
        subjects=[_subject(connection), Subject("client", client_id)],
        data={"name": connection.name},
    )
    return NewClient(client.pk, client_id, secret)


@transaction.atomic
def revoke_client(ref: UUID | str, client_pk: int, *, actor: Actor) -> None:
    """End client credentials, and with them every access token they got; again is fine. Raises NotFound."""
    client = ConnectionClient.objects.filter(connection__ref=_uuid(ref), pk=client_pk).first()
    if client is None:
        raise NotFound("There are no such client credentials.")
    _end_client(client, actor)


def _end_client(client: ConnectionClient, actor: Actor) -> None:
    if ConnectionClient.objects.filter(pk=client.pk, revoked_at__isnull=True).update(revoked_at=now()):
        record(events.CLIENT_REVOKED, actor=actor, subjects=[Subject("client", client.client_id)])


def _given(connection: Connection, days: int | None, actor: Actor) -> NewToken:
    if days is not None:
        _check_range("days", days, TOKEN_DAYS_RANGE)
    expires_at = now() + timedelta(days=days) if days else None
    row, token = issue_token(ServiceToken.Audience.SCIM.value, connection.name, expires_at=expires_at, actor=actor)
    ConnectionToken.objects.create(connection=connection, token=row)
    return NewToken(row.pk, token, expires_at)


def _live_tokens(connection: Connection) -> QuerySet[ServiceToken]:
    return ServiceToken.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now()),
        connection_link__connection=connection,
        revoked_at__isnull=True,
    )


def _check_newest(latest: ServiceToken | ConnectionClient | None, newest: int | None) -> None:
    if newest is not None and latest is not None and latest.pk != newest:
        what = "token" if isinstance(latest, ServiceToken) else "client"
        raise Conflict(f"Another {what} was made at {latest.created_at:%H:%M} UTC; look at the list again.")


def _locked(ref: UUID | str) -> Connection:
    """Return a live connection, locked until the transaction ends. Raises NotFound and Conflict."""
    connection = Connection.objects.select_for_update().filter(ref=_uuid(ref)).first()
    if connection is None:
        raise NotFound("There is no such connection.")
    if connection.revoked_at is not None:
        raise Conflict(f"The connection {connection.name} was revoked on {connection.revoked_at:%d %B %Y}.")
    return connection


def _check(terms: Terms, *, name: str | None = None) -> None:
    problems: dict[str, str] = {}
    if name is not None and (not name.strip() or name != name.strip() or len(name) > 80 or not name.isprintable()):
        problems["name"] = "Give the connection a name of 1 to 80 characters."
    if terms.dialect not in DIALECTS:
        problems["dialect"] = f"Choose one of {', '.join(DIALECTS)}."
    if len(terms.note) > 500 or "\x00" in terms.note:
        problems["note"] = f"At most 500 characters of text; this has {len(terms.note)}."
    problems |= _outside("requests_per_minute", terms.requests_per_minute, LIMIT_RANGE)
    problems |= _outside("keep_exchanges_days", terms.keep_exchanges_days, KEEP_DAYS_RANGE)
    if problems:
        raise Invalid(problems)


def _check_range(name: str, value: int, allowed: tuple[int, int]) -> None:
    if problems := _outside(name, value, allowed):
        raise Invalid(problems)


def _outside(name: str, value: int, allowed: tuple[int, int]) -> dict[str, str]:
    return {} if allowed[0] <= value <= allowed[1] else {name: f"Between {allowed[0]} and {allowed[1]}."}


def _uuid(ref: UUID | str) -> UUID:
    try:
        return ref if isinstance(ref, UUID) else UUID(ref)
    except ValueError as error:
        raise NotFound("There is no such connection.") from error


def _subject(connection: Connection) -> Subject:
    return Subject("connection", str(connection.ref))
