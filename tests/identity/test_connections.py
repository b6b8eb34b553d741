"""Connections: what each action changes, records and refuses, and what happens when two act at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection as database

from governance.core.errors import Conflict, DomainError, Invalid, NotFound
from governance.identity.connections import actions, queries
from governance.identity.connections.opening import opened_by_secret, opened_by_token
from governance.identity.models import Connection, ConnectionClient, ServiceToken
from governance.ledger.models import Pending
from tests.cast import TESTING

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def okta(db: None) -> Connection:
    return actions.open_connection("okta", actions.Terms(dialect="okta"), actor=TESTING)


def _recorded() -> list[tuple[str, Any]]:
    return [(entry.body["event"], entry.body["data"]) for entry in Pending.objects.order_by("pk")]


def test_opening_records_what_was_opened(okta: Connection) -> None:
    assert (okta.name, okta.dialect, okta.requests_per_minute, okta.keep_exchanges_days) == ("okta", "okta", 6000, 7)
    (field_history, opened) = _recorded()
    assert opened == ("connection.opened", {"name": "okta", "dialect": "okta", "requests_per_minute": 6000})
    assert field_history[0] == "configuration.changed"
    assert (field_history[1]["model"], field_history[1]["action"]) == ("identity.connection", "created")


@pytest.mark.parametrize("name", ["", " ", " okta", "x" * 81, "a\nb", "nul\x00"])
def test_a_name_out_of_order_is_refused(db: None, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        actions.open_connection(name, actor=TESTING)

    assert list(refused.value.fields) == ["name"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (actions.Terms(dialect="klingon"), "dialect"),
        (actions.Terms(requests_per_minute=59), "requests_per_minute"),
        (actions.Terms(requests_per_minute=600_001), "requests_per_minute"),
        (actions.Terms(keep_exchanges_days=0), "keep_exchanges_days"),
        (actions.Terms(keep_exchanges_days=91), "keep_exchanges_days"),
        (actions.Terms(note="x" * 501), "note"),
    ],
)
def test_terms_out_of_range_are_refused_by_field(okta: Connection, terms: actions.Terms, field: str) -> None:
    for act in (
        lambda: actions.change(okta.ref, terms, actor=TESTING),
        lambda: actions.open_connection("x", terms, actor=TESTING),
    ):
        with pytest.raises(Invalid) as refused:
            act()
        assert list(refused.value.fields) == [field]


def test_a_name_is_never_given_out_again(okta: Connection) -> None:
    actions.revoke_connection(okta.ref, actor=TESTING)

    with pytest.raises(Conflict, match="choose another name"):
        actions.open_connection("okta", actor=TESTING)


def test_changing_records_what_it_was_and_is_but_not_what_a_note_says(okta: Connection) -> None:
    terms = actions.Terms(dialect="okta", requests_per_minute=1500, note="Ask Sam.")

    actions.change(okta.ref, terms, actor=TESTING)
    actions.change(okta.ref, terms, actor=TESTING)

    assert [said for said in _recorded() if said[0] == "connection.changed"] == [
        ("connection.changed", {"requests_per_minute": [6000, 1500], "note": "changed"})
    ]
    assert Connection.objects.get().note == "Ask Sam."


def test_a_token_is_given_once_and_only_its_digest_is_kept(okta: Connection) -> None:
    new = actions.give_token(okta.ref, days=30, actor=TESTING)

    row = ServiceToken.objects.get()
    assert new.token.startswith(row.hint)
    assert new.token not in str(list(ServiceToken.objects.values()))
    assert row.expires_at == new.expires_at
    assert opened_by_token(new.token) is not None


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_days_out_of_range_are_refused(okta: Connection, days: int) -> None:
    with pytest.raises(Invalid):
        actions.give_token(okta.ref, days=days, actor=TESTING)


def test_rotating_lets_the_old_tokens_live_for_the_overlap_and_not_longer(okta: Connection) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        forever = actions.give_token(okta.ref, actor=TESTING)
        clock.shift(timedelta(hours=-23))
        soon = actions.give_token(okta.ref, days=1, actor=TESTING)
        clock.shift(timedelta(hours=23))

        new = actions.rotate_tokens(okta.ref, overlap_hours=24, actor=TESTING)

        ends = dict(ServiceToken.objects.values_list("pk", "expires_at"))
        assert ends[forever.token_id] == NOON + timedelta(hours=24)
        assert ends[soon.token_id] == NOON + timedelta(hours=1)
        assert ends[new.token_id] is None
        clock.shift(timedelta(hours=24))
        refusals = {token.token_id: (opened_by_token(token.token) or okta).refusal for token in (forever, new)}  # type: ignore[union-attr]
    assert refusals[forever.token_id]
    assert not refusals[new.token_id]
    assert (
        "connection.tokens_rotated",
        {"overlap_hours": 24, "ends_at": "2026-11-26T12:00:00+00:00", "tokens": 2},
    ) in (_recorded())


def test_without_an_overlap_the_old_token_ends_now(okta: Connection) -> None:
    old = actions.give_token(okta.ref, actor=TESTING)

    actions.rotate_tokens(okta.ref, overlap_hours=0, actor=TESTING)

    opened = opened_by_token(old.token)
    assert opened is not None
    assert opened.refusal


@pytest.mark.parametrize("hours", [-1, 24 * 90 + 1])
def test_an_overlap_out_of_range_is_refused(okta: Connection, hours: int) -> None:
    with pytest.raises(Invalid):
        actions.rotate_tokens(okta.ref, overlap_hours=hours, actor=TESTING)


def test_who_saw_an_older_list_does_not_rotate_the_token_another_has_just_made(okta: Connection) -> None:
    seen = actions.give_token(okta.ref, actor=TESTING).token_id
    actions.rotate_tokens(okta.ref, newest=seen, actor=TESTING)

    with pytest.raises(Conflict, match="Another token was made"):
        actions.rotate_tokens(okta.ref, newest=seen, actor=TESTING)


def test_revoking_a_connection_ends_its_tokens_and_clients(okta: Connection) -> None:
    tokens = [actions.give_token(okta.ref, actor=TESTING) for _ in range(2)]
    client = actions.give_client(okta.ref, actor=TESTING)

    assert actions.revoke_connection(okta.ref, actor=TESTING) == 2

    assert all((opened_by_token(each.token) or okta).refusal for each in tokens)  # type: ignore[union-attr]
    assert opened_by_secret(client.client_id, client.client_secret) is None
    events = [event for event, _ in _recorded()]
    assert [events.count(each) for each in ("token.revoked", "client.revoked", "connection.revoked")] == [2, 1, 1]


def test_revoking_one_token_or_client_leaves_the_others(okta: Connection) -> None:
    first, second = (actions.give_token(okta.ref, actor=TESTING) for _ in range(2))
    one, other = (actions.give_client(okta.ref, actor=TESTING) for _ in range(2))

    actions.revoke_one_token(okta.ref, first.token_id, actor=TESTING)
    actions.revoke_client(okta.ref, one.client_pk, actor=TESTING)
    actions.revoke_client(okta.ref, one.client_pk, actor=TESTING)

    kept = opened_by_token(second.token)
    assert kept is not None
    assert not kept.refusal
    assert opened_by_secret(one.client_id, one.client_secret) is None
    assert opened_by_secret(other.client_id, other.client_secret) is not None
    assert [event for event, _ in _recorded()].count("client.revoked") == 1


def test_a_token_of_another_connection_cannot_be_revoked_through_this_one(okta: Connection) -> None:
    other = actions.open_connection("entra", actor=TESTING)
    token, client = actions.give_token(other.ref, actor=TESTING), actions.give_client(other.ref, actor=TESTING)

    with pytest.raises(NotFound):
        actions.revoke_one_token(okta.ref, token.token_id, actor=TESTING)
    with pytest.raises(NotFound):
        actions.revoke_client(okta.ref, client.client_pk, actor=TESTING)


_ACTS: list[Callable[[Any], object]] = [
    lambda ref: actions.change(ref, actions.Terms(), actor=TESTING),
    lambda ref: actions.give_token(ref, actor=TESTING),
    lambda ref: actions.give_client(ref, actor=TESTING),
    lambda ref: actions.rotate_tokens(ref, actor=TESTING),
    lambda ref: actions.revoke_connection(ref, actor=TESTING),
]


@pytest.mark.parametrize("act", _ACTS)
def test_nothing_is_changed_about_a_revoked_connection_or_one_that_is_not_there(
    okta: Connection, act: Callable[[Any], object]
) -> None:
    actions.revoke_connection(okta.ref, actor=TESTING)

    with pytest.raises(Conflict, match="was revoked on"):
        act(okta.ref)
    for ref in (uuid4(), "no-uuid"):
        with pytest.raises(NotFound):
            act(ref)


def test_a_client_secret_is_kept_as_a_digest_only(okta: Connection) -> None:
    client = actions.give_client(okta.ref, actor=TESTING)

    assert client.client_secret not in str(list(ConnectionClient.objects.values()))
    assert opened_by_secret(client.client_id, client.client_secret + "x") is None
    assert opened_by_secret(client.client_id, client.client_secret) is not None


def test_a_connection_is_told_with_all_that_its_page_shows(okta: Connection) -> None:
    token = actions.give_token(okta.ref, days=10, actor=TESTING)
    actions.give_client(okta.ref, actor=TESTING)

    detail = queries.connection_detail(okta.ref)

    assert detail.line.state == "live"
    assert detail.line.next_expiry_at == token.expires_at
    assert [each.state for each in detail.tokens] == ["live"]
    assert [each.state for each in detail.clients] == ["live"]
    with pytest.raises(NotFound):
        queries.connection_detail(uuid4())


@pytest.mark.django_db(transaction=True)
def test_of_two_who_rotate_at_once_with_the_same_list_one_is_told() -> None:
    ref = actions.open_connection("okta", actor=TESTING).ref
    seen = actions.give_token(ref, actor=TESTING).token_id
    outcomes = _at_once(2, lambda: actions.rotate_tokens(ref, newest=seen, actor=TESTING))

    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "NewToken"]
    assert ServiceToken.objects.filter(expires_at__isnull=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_open_the_same_name_at_once_one_is_told() -> None:
    outcomes = _at_once(2, lambda: actions.open_connection("okta", actor=TESTING))

    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Connection"]


def _at_once(number: int, act: Callable[[], object]) -> list[object]:
    """Return what several threads got that began together: what the action returned, or the error it raised."""
    outcomes: list[object] = []
    barrier = threading.Barrier(number)

    def run() -> None:
        barrier.wait()
        try:
            outcomes.append(act())
        except DomainError as error:
            outcomes.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
