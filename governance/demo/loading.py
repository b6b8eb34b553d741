"""Writes the demo company into an empty database: everything made in memory, then one COPY for each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.db import connection, transaction
from django.db.models import JSONField, Model
from psycopg.types.json import Jsonb

from governance.access import suggestions
from governance.core.actor import Actor, Door
from governance.core.errors import Conflict
from governance.demo import (
    connections,
    duties,
    emergencies,
    groups,
    history,
    leaving,
    mishaps,
    people,
    proposals,
    shelf,
    story,
)
from governance.demo.asking import Desk
from governance.demo.birthright import give_birthright, give_by_hand
from governance.demo.granting import write_answers, write_grants
from governance.demo.observing import observe, write_accounts
from governance.demo.ordering import write_orders
from governance.demo.plans import Books
from governance.demo.questions import ask_back_and_be_away
from governance.demo.reading import write_readings
from governance.demo.recording import record_orders
from governance.demo.verdicts import write_requests
from governance.demo.world import World
from governance.identity.models import Person
from governance.ledger.recording import Subject, record_many

DEMO_LOADED = "demo.loaded"
_REQUEST_NUMBERS = "access_request_number"


@dataclass(frozen=True, slots=True)
class Loaded:
    """How much was loaded."""

    people: int
    rows: int
    entries: int


@transaction.atomic
def load(at: datetime) -> Loaded:
    """Load the demo company as of `at`, and return how much it is. The same instant gives the same company.

    Raises Conflict when there are people already.
    """
    if Person.objects.exists():
        raise Conflict("There are people in this database already; the demo is only loaded into an empty one.")
    at = at.replace(second=0, microsecond=0)
    world = make(at)
    for model, rows in world.rows.items():
        _copy(model, rows)
    record_many(sorted(world.records, key=attrgetter("at")))
    suggestions.look(at=at)
    return Loaded(len(world.rows[Person]), sum(map(len, world.rows.values())), len(world.records))


def make(at: datetime) -> World:
    """Return the demo company as of `at`, in memory."""
    world = World(at, first_id=lambda model: _next_value(_sequence(model)))
    company = people.hire(world)
    groups.write_groups(world, company)
    offered = shelf.stock(world, company)
    books = Books()
    give_birthright(world, company, offered, books)
    desk = Desk(world, company, offered, books)
    story.tell(desk)
    history.fill_the_year(desk)
    mishaps.go_wrong(desk)
    give_by_hand(world, company, offered, books)
    first_number = _next_value(_REQUEST_NUMBERS)
    write_requests(desk, first_number)
    write_grants(world, books)
    orders = write_orders(world, books)
    write_answers(desk)
    seen = observe(world, company, offered, orders)
    write_accounts(world, seen, write_readings(world, seen))
    record_orders(world, orders)
    connections.connect(world, company)
    duties.separate(world, company, offered, books)
    ask_back_and_be_away(world, company, books)
    emergencies.happen(world, company, offered, books)
    proposals.propose(world, company, offered)
    leaving.leave(world, company)
    world.record(
        DEMO_LOADED,
        Subject("demo", "halden-health"),
        actor=Actor.system("demo", door=Door.COMMAND, correlation_id=world.correlation()),
        at=at,
        data={"people": len(world.rows[Person]), "rows": sum(map(len, world.rows.values()))},
    )
    _set_value(_REQUEST_NUMBERS, first_number + len(books.asks) - 1)
    return world


def _copy(model: type[Model], rows: Sequence[Model]) -> None:
    """Write rows with the ids they have, and move the sequence of the ids behind them."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    names = [field.attname for field in fields]
    documents = [place for place, field in enumerate(fields) if isinstance(field, JSONField)]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            values = [getattr(row, name) for name in names]
            for place in documents:
                values[place] = Jsonb(values[place])  # Everything else psycopg knows how to write.
            copy.write_row(values)
    _set_value(_sequence(model), max(row.pk for row in rows))


def _sequence(model: type[Model]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [model._meta.db_table])
        return str(cursor.fetchone()[0])


def _next_value(sequence: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s::regclass)", [sequence])
        return int(cursor.fetchone()[0])


def _set_value(sequence: str, value: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(%s::regclass, %s)", [sequence, value])
