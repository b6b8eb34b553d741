"""What the pages learn about connections, and forms that are sent twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.core.errors import Conflict, NotFound
from governance.identity.connections import actions, queries
from governance.identity.models import Connection, ConnectionConflict, ConnectionExchange, ConnectionHour, Person
from tests import cast

AT = datetime(2026, 11, 25, 14, 12, tzinfo=UTC)
HOUR = datetime(2026, 11, 25, 14, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("at")


@pytest.fixture
def at(db: None) -> Any:
    with time_machine.travel(AT, tick=False) as traveller:
        yield traveller


def opened(name: str = "okta", dialect: str = "okta") -> Connection:
    return actions.open_connection(name, actions.Terms(dialect=dialect), actor=cast.TESTING)


def line(connection: Connection) -> queries.ConnectionLine:
    return queries.connection_line(connection.ref)


def test_a_line_says_what_the_connection_brought_and_did(ada: Person) -> None:
    okta = opened()
    Person.objects.filter(pk=ada.pk).update(source=okta.source)
    ConnectionHour.objects.create(connection=okta, hour=HOUR, requests=7, errors=2)
    ConnectionHour.objects.create(connection=okta, hour=HOUR - timedelta(hours=23), requests=3)
    ConnectionHour.objects.create(connection=okta, hour=HOUR - timedelta(hours=24), requests=900, errors=900)

    shown = line(okta)

    assert (shown.people, shown.groups) == (1, 0)
    assert (shown.requests_24h, shown.errors_24h) == (10, 2)
    assert [(hour.requests, hour.errors) for hour in shown.hours] == [(3, 0), *[(0, 0)] * 22, (7, 2)]
    assert shown.state == "unopened"


@pytest.mark.parametrize(
    ("days", "with_client", "closes_in"),
    [([30], False, 30), ([30, 90], False, 90), ([30, None], False, None), ([30], True, None), ([], False, None)],
    ids=["the only token", "the last of two", "a token without end", "a client", "nothing"],
)
def test_a_connection_closes_when_the_last_that_opens_it_ends(
    days: list[int | None], with_client: bool, closes_in: int | None
) -> None:
    okta = opened()
    for each in days:
        actions.give_token(okta.ref, days=each, actor=cast.TESTING)
    if with_client:
        actions.give_client(okta.ref, actor=cast.TESTING)

    assert line(okta).closes_at == (AT + timedelta(days=closes_in) if closes_in else None)


def test_open_conflicts_are_counted_with_the_one_that_asks(ada: Person, grace: Person) -> None:
    okta, entra = opened(), opened("entra", "entra")
    for person, resolution in ((ada, ""), (grace, "dismissed")):
        ConnectionConflict.objects.create(
            connection=okta, holder=entra, person=person, name="x", first_seen_at=AT, last_seen_at=AT,
            resolution=resolution, resolved_at=AT if resolution else None,
        )  # fmt: skip

    assert [one.open_conflicts for one in queries.every_connection()] == [0, 1]


def test_the_list_costs_the_same_for_one_and_for_many(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(12):
        actions.give_token(opened(f"okta {number}").ref, actor=cast.TESTING)

    with django_assert_num_queries(4):
        assert len(queries.every_connection()) == 12


def test_who_made_a_token_is_said_by_name(sam: Person, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    okta = opened()
    actions.give_token(okta.ref, actor=cast.acting(sam))
    actions.give_client(okta.ref, actor=cast.TESTING)

    with django_assert_num_queries(8):
        detail = queries.connection_detail(okta.ref)

    assert [token.made_by for token in detail.tokens] == ["Sam Okoro"]
    assert [client.made_by for client in detail.clients] == ["test"]


def test_the_first_contact_is_the_earliest_exchange_that_is_kept() -> None:
    okta = opened()
    assert queries.first_contact(okta.ref) is None
    for minutes, agent in ((1, "Second"), (5, "First")):
        ConnectionExchange.objects.create(
            connection=okta, at=AT - timedelta(minutes=minutes), method="GET", path="/Users", status=200,
            milliseconds=4.0, user_agent=agent,
        )  # fmt: skip

    contact = queries.first_contact(okta.ref)

    assert contact is not None
    assert (contact.at, contact.user_agent, contact.is_first) == (AT - timedelta(minutes=5), "First", True)


@pytest.mark.parametrize(("exchanges", "days"), [(200, 0), (1, 8)], ids=["as many as are kept", "older than is kept"])
def test_an_exchange_before_which_others_may_be_gone_is_not_called_the_first(exchanges: int, days: int) -> None:
    okta = opened()
    Connection.objects.filter(pk=okta.pk).update(created_at=AT - timedelta(days=days))
    said = {"at": AT, "method": "GET", "path": "/Users", "status": 200, "milliseconds": 4.0}
    ConnectionExchange.objects.bulk_create([ConnectionExchange(connection=okta, **said) for _ in range(exchanges)])

    contact = queries.first_contact(okta.ref)

    assert contact is not None
    assert not contact.is_first


def test_a_connection_whose_exchanges_are_gone_was_seen_at_its_last_use() -> None:
    okta = opened()
    Connection.objects.filter(pk=okta.pk).update(last_used_at=AT - timedelta(days=40))

    contact = queries.first_contact(okta.ref)

    assert contact == queries.FirstContact(AT - timedelta(days=40))


def test_what_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        queries.connection_line("0b1c6c5e-0000-4000-8000-000000000000")


def test_a_form_for_a_token_that_is_sent_twice_makes_one() -> None:
    okta = opened()
    actions.give_token(okta.ref, newest=0, actor=cast.TESTING)

    with pytest.raises(Conflict, match="Another token was made at 14:12 UTC"):
        actions.give_token(okta.ref, newest=0, actor=cast.TESTING)


def test_a_form_for_a_client_that_is_sent_twice_makes_one() -> None:
    okta = opened()
    first = actions.give_client(okta.ref, newest=0, actor=cast.TESTING)

    with pytest.raises(Conflict, match="Another client was made"):
        actions.give_client(okta.ref, newest=0, actor=cast.TESTING)
    assert actions.give_client(okta.ref, newest=first.client_pk, actor=cast.TESTING).client_pk > first.client_pk
