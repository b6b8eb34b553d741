"""What the pages ask about connections. Frozen values out; the rows stay in this room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, DateTimeField, F, Q, QuerySet, Value, Window

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.connections.activity import KEPT_EXCHANGES
from governance.identity.connections.dialects import label_of
from governance.identity.models import (
    Connection,
    ConnectionClient,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    ConnectionToken,
    Group,
    Person,
    ServiceToken,
)
from governance.identity.queries import names_by_ref

#: The chart of a connection has so many hours, the last of them not over yet.
CHART_HOURS = 24
#: Exchanges on one page of the list.
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class HourCount:
    """What happened in one hour."""

    hour: datetime
    requests: int
    errors: int
    #: Of the errors, those answered 429.
    limited: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A connection in the list."""

    ref: UUID
    name: str
    dialect: str
    dialect_label: str
    #: `live`, `revoked`, or `unopened`: it has neither a live token nor live client credentials.
    state: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    #: The last day, the oldest hour first, those without a request included.
    hours: Sequence[HourCount]
    open_conflicts: int
    people: int
    groups: int
    #: The first of the live tokens that ends, if any of them ends.
    next_expiry_at: datetime | None
    #: When the last that opens it ends; None when one has no end, and when there is none.
    closes_at: datetime | None

    @property
    def requests_24h(self) -> int:
        """Return how many requests there were in the hours of the chart."""
        return sum(hour.requests for hour in self.hours)

    @property
    def errors_24h(self) -> int:
        """Return how many of them were answered with 400 and above."""
        return sum(hour.errors for hour in self.hours)

    @property
    def limited_24h(self) -> int:
        """Return how many of the errors were for asking too often."""
        return sum(hour.limited for hour in self.hours)


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token of a connection. `state` is `live`, `expired` or `revoked`."""

    id: int
    hint: str
    state: str
    created_at: datetime
    #: The name of the person who made it, or of the part of Gatehouse.
    made_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClientLine:
    """OAuth 2.0 client credentials of a connection. `state` is `live` or `revoked`."""

    pk: int
    client_id: str
    hint: str
    state: str
    created_at: datetime
    made_by: str
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FirstContact:
    """When a connection was first seen, as far as that is still known.

    `is_first`: no earlier exchange can be gone. Without an exchange only the last use is known.
    """

    at: datetime
    is_first: bool = False
    user_agent: str = ""
    exchange_id: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """A person or group that this connection asks for and another one has."""

    id: int
    #: `person` or `group`.
    kind: str
    name: str
    subject_ref: UUID
    subject_name: str
    connection_ref: UUID
    connection_name: str
    holder_ref: UUID
    holder_name: str
    first_seen_at: datetime
    last_seen_at: datetime
    count: int
    #: Empty while it is open; `handed_over` or `dismissed`.
    resolution: str
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExchangeLine:
    """An exchange in the list. `problem` is empty when it went well."""

    id: int
    at: datetime
    method: str
    path: str
    query: str
    status: int
    milliseconds: float
    understood: Sequence[str]
    problem: str


@dataclass(frozen=True, slots=True)
class ExchangeDetail:
    """One exchange with its masked bodies (JSON values; None when there was none)."""

    line: ExchangeLine
    connection_ref: UUID
    connection_name: str
    section: str
    user_agent: str
    correlation_id: str
    request_body: Any
    response_body: Any


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    """One connection with all that its page shows, except the exchanges, which are paged."""

    line: ConnectionLine
    note: str
    requests_per_minute: int
    keep_exchanges_days: int
    tokens: Sequence[TokenLine]
    clients: Sequence[ClientLine]
    #: Open ones first, then the latest.
    conflicts: Sequence[ConflictLine]

    @property
    def newest_token_id(self) -> int | None:
        """Return what `rotate_tokens` takes as `newest`."""
        return max((token.id for token in self.tokens if token.state == "live"), default=None)

    @property
    def newest_client_pk(self) -> int | None:
        """Return what `give_client` takes as `newest`."""
        return max((client.pk for client in self.clients if client.state == "live"), default=None)


def every_connection() -> list[ConnectionLine]:
    """Return every connection: the live ones first, by name. Four statements, however many there are."""
    return _lines(list(_with_conflicts().order_by("name")))


def connection_line(ref: UUID | str) -> ConnectionLine:
    """Return one connection as in the list. Raises NotFound. Four statements."""
    return _lines([_one(ref, among=_with_conflicts())])[0]


def connection_detail(ref: UUID | str) -> ConnectionDetail:
    """Return one connection. Raises NotFound. Eight statements."""
    row = _one(ref, among=_with_conflicts())
    at = now()
    tokens = list(ServiceToken.objects.filter(connection_link__connection=row).order_by("-pk"))
    clients = list(row.clients.order_by("-pk"))
    makers = {token.created_by_ref for token in tokens} | {client.created_by_ref for client in clients}
    names = names_by_ref(makers)
    return ConnectionDetail(
        line=_lines([row])[0],
        note=row.note,
        requests_per_minute=row.requests_per_minute,
        keep_exchanges_days=row.keep_exchanges_days,
        tokens=[_token(token, names, at) for token in tokens],
        clients=[_client(client, names) for client in clients],
        conflicts=_conflicts(Q(connection=row) | Q(holder=row)),
    )


def first_contact(ref: UUID | str) -> FirstContact | None:
    """Return when a connection was first seen, by its earliest exchange that is kept; None when it never was.

    Raises NotFound.
    """
    row = _one(ref)
    first = row.exchanges.annotate(kept=Window(Count("*"))).order_by("at", "id").first()
    if first is not None:
        is_first = first.kept < KEPT_EXCHANGES and row.created_at >= _keeps_since(row)
        return FirstContact(first.at, is_first, first.user_agent, first.pk, first.problem)
    return FirstContact(row.last_used_at) if row.last_used_at else None


def exchanges_of(
    ref: UUID | str, *, only_errors: bool = False, before: int | None = None, limit: int = PAGE_SIZE
) -> list[ExchangeLine]:
    """Return the latest exchanges of a connection, at most `limit`; `before` is the last id of the page above.

    Raises NotFound.
    """
    row = _one(ref)
    found = ConnectionExchange.objects.filter(connection=row, at__gte=_keeps_since(row))
    if only_errors:
        found = found.filter(status__gte=400)
    if before is not None and (edge := found.filter(pk=before).values_list("at", "pk").first()):
        found = found.filter(Q(at__lt=edge[0]) | Q(at=edge[0], pk__lt=edge[1]))
    return [_exchange(each) for each in found.order_by("-at", "-id")[:limit]]


def exchange(ref: UUID | str, exchange_id: int) -> ExchangeDetail:
    """Return one exchange of a connection. Raises NotFound."""
    row = _one(ref)
    found = row.exchanges.filter(pk=exchange_id, at__gte=_keeps_since(row)).first()
    if found is None:
        raise NotFound("This exchange is not kept any more.")
    return ExchangeDetail(
        line=_exchange(found),
        connection_ref=row.ref,
        connection_name=row.name,
        section=found.section,
        user_agent=found.user_agent,
        correlation_id=found.correlation_id,
        request_body=found.request_body,
        response_body=found.response_body,
    )


def open_conflicts() -> list[ConflictLine]:
    """Return every open conflict, the latest first."""
    return _conflicts(Q(resolution=""))


def conflict(conflict_id: int) -> ConflictLine:
    """Return one conflict. Raises NotFound."""
    found = _conflicts(Q(pk=conflict_id))
    if not found:
        raise NotFound("There is no such conflict.")
    return found[0]


def _with_conflicts() -> QuerySet[Connection]:
    return Connection.objects.annotate(open_conflicts=Count("conflicts", filter=Q(conflicts__resolution="")))


def _lines(rows: Sequence[Any]) -> list[ConnectionLine]:
    """Return what the list shows of these rows of `_with_conflicts`."""
    at = now()
    hours, owned, opening = _hours(rows, at), _owned(rows), _opening(rows, at)
    lines = [
        ConnectionLine(
            ref=row.ref,
            name=row.name,
            dialect=row.dialect,
            dialect_label=label_of(row.dialect),
            state="revoked" if row.revoked_at else "live" if row.pk in opening else "unopened",
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
            hours=hours[row.pk],
            open_conflicts=row.open_conflicts,
            people=owned.get(("person", row.source), 0),
            groups=owned.get(("group", row.source), 0),
            next_expiry_at=min((end for end in opening.get(row.pk, ()) if end), default=None),
            closes_at=_last(opening.get(row.pk, ())),
        )
        for row in rows
    ]
    return sorted(lines, key=lambda line: line.revoked_at is not None)


def _last(ends: Collection[datetime | None]) -> datetime | None:
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _opening(rows: Sequence[Connection], at: datetime) -> dict[int, list[datetime | None]]:
    """Return the connections that something opens now, each with when that ends; None for no end."""
    tokens = ConnectionToken.objects.filter(
        Q(token__expires_at__isnull=True) | Q(token__expires_at__gt=at),
        connection__in=rows,
        token__revoked_at__isnull=True,
    )
    clients = ConnectionClient.objects.filter(connection__in=rows, revoked_at__isnull=True)
    no_end = Value(None, output_field=DateTimeField())
    ends: dict[int, list[datetime | None]] = {}
    for connection_id, end in tokens.values_list("connection_id", F("token__expires_at")).union(
        clients.values_list("connection_id", no_end), all=True
    ):
        ends.setdefault(connection_id, []).append(end)
    return ends


def _owned(rows: Sequence[Connection]) -> dict[tuple[str, str], int]:
    """Return how many listed people and groups carry each source, by kind and source."""
    sources = [row.source for row in rows]
    people, groups = (
        model._default_manager.filter(is_listed=True, source__in=sources)
        .order_by()
        .values("source")
        .annotate(kind=Value(kind), number=Count("pk"))
        .values_list("kind", "source", "number")
        for model, kind in ((Person, "person"), (Group, "group"))
    )
    return {(kind, source): number for kind, source, number in people.union(groups, all=True)}


def _hours(rows: Sequence[Connection], at: datetime) -> dict[int, list[HourCount]]:
    """Return the hours of the chart of each connection, the oldest first, those without a request included."""
    first = _hour(at) - timedelta(hours=CHART_HOURS - 1)
    hours = [first + timedelta(hours=number) for number in range(CHART_HOURS)]
    counted = {
        (each.connection_id, each.hour): HourCount(each.hour, each.requests, each.errors, each.limited)
        for each in ConnectionHour.objects.filter(connection__in=rows, hour__gte=first)
    }
    return {row.pk: [counted.get((row.pk, hour), HourCount(hour, 0, 0)) for hour in hours] for row in rows}


def _conflicts(which: Q) -> list[ConflictLine]:
    rows = ConnectionConflict.objects.filter(which).select_related("connection", "holder", "person", "group")
    return [_conflict(row) for row in rows.order_by("resolution", "-last_seen_at", "-id")[:200]]


def _conflict(row: ConnectionConflict) -> ConflictLine:
    subject = row.person or row.group
    assert subject is not None  # connection_conflict_is_about_one_thing
    return ConflictLine(
        id=row.pk,
        kind="person" if row.person_id else "group",
        name=row.name,
        subject_ref=subject.ref,
        subject_name=subject.display_name,
        connection_ref=row.connection.ref,
        connection_name=row.connection.name,
        holder_ref=row.holder.ref,
        holder_name=row.holder.name,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        count=row.count,
        resolution=row.resolution,
        resolved_at=row.resolved_at,
    )


def _token(token: ServiceToken, names: Mapping[str, str], at: datetime) -> TokenLine:
    is_over = token.expires_at is not None and token.expires_at <= at
    return TokenLine(
        id=token.pk,
        hint=token.hint,
        state="revoked" if token.revoked_at else "expired" if is_over else "live",
        created_at=token.created_at,
        made_by=names.get(token.created_by_ref, token.created_by_ref),
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        last_used_at=token.last_used_at,
    )


def _client(client: ConnectionClient, names: Mapping[str, str]) -> ClientLine:
    return ClientLine(
        pk=client.pk,
        client_id=client.client_id,
        hint=client.hint,
        state="revoked" if client.revoked_at else "live",
        created_at=client.created_at,
        made_by=names.get(client.created_by_ref, client.created_by_ref),
        revoked_at=client.revoked_at,
        last_used_at=client.last_used_at,
    )


def _exchange(row: ConnectionExchange) -> ExchangeLine:
    return ExchangeLine(
        id=row.pk,
        at=row.at,
        method=row.method,
        path=row.path,
        query=row.query,
        status=row.status,
        milliseconds=row.milliseconds,
        understood=tuple(row.understood),
        problem=row.problem,
    )


def _keeps_since(row: Connection) -> datetime:
    """Return since when exchanges are shown: also those that the clock has not removed yet are gone for the reader."""
    return now() - timedelta(days=row.keep_exchanges_days)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _one(ref: UUID | str, *, among: QuerySet[Connection] | None = None) -> Connection:
    rows = Connection.objects.all() if among is None else among
    try:
        return rows.get(ref=ref if isinstance(ref, UUID) else UUID(ref))
    except (Connection.DoesNotExist, ValueError) as error:
        raise NotFound("There is no such connection.") from error
