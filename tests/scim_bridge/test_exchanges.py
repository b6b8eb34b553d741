"""The last exchanges of a connection: masked, at most 200, written outside of the request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.connections import actions, queries
from governance.identity.connections.activity import KEPT_EXCHANGES
from governance.identity.connections.opening import Opened, opened_by_token
from governance.identity.models import Connection, ConnectionExchange, ConnectionHour, ServiceToken
from governance.identity.tasks import forget_exchanges
from scim_bridge.exchanges import MAX_BODY_BYTES, RECORDER, Noted, Recorder
from scim_bridge.rate_limit import LIMITER
from tests.scim_bridge.conftest import PATCH, Provider

ACTOR = Actor.system("test", door=Door.COMMAND)
SECRET = "zq!-correct-horse"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    RECORDER.reset()
    LIMITER.reset()
    yield
    RECORDER.reset()
    LIMITER.reset()


def _noted(number: int = 0, *, status: int = 200, at: float | None = None, body: bytes | None = None) -> Noted:
    return Noted(at or time.time(), "GET", f"/Users/{number}", "", status, 0.001, "Agent", "c" * 32, body, None)


def _opened(provider: Provider) -> Opened:
    opened = opened_by_token(provider.token)
    assert opened is not None
    return opened


def _last(name: str = "strict") -> queries.ExchangeDetail:
    ref = Connection.objects.get(name=name).ref
    return queries.exchange(ref, queries.exchanges_of(ref)[0].id)


def test_an_exchange_is_kept_with_its_structure_and_without_anybodys_data(okta: Provider) -> None:
    user = okta.create_user(
        "ada@halden.example",
        active=True,
        password=SECRET,
        name={"givenName": "Ada", "familyName": "Lovelace"},
        emails=[{"value": "ada@halden.example", "type": "work", "primary": True}],
    )
    assert not ConnectionExchange.objects.exists()

    RECORDER.flush()

    kept = _last("okta")
    assert (kept.line.method, kept.line.path, kept.line.status) == ("POST", "/Users", 201)
    assert kept.line.understood == ("Create the user ad… (18 characters).",)
    assert kept.request_body["userName"] == "ad… (18 characters)"
    assert kept.request_body["emails"] == [{"value": "ad… (18 characters)", "type": "work", "primary": True}]
    assert kept.request_body["active"] is True
    assert kept.request_body["password"] == "(not kept)"
    assert kept.response_body["id"] == user["id"]
    everything = json.dumps(list(ConnectionExchange.objects.values()), default=str)
    for text in (SECRET, "halden.example", "Lovelace", okta.token):
        assert text not in everything


@pytest.mark.parametrize(
    "body",
    [
        {"op": "replace", "path": "password", "value": SECRET},
        {"op": "add", "value": {"password": SECRET}},
        {"op": "Replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "value": SECRET},
    ],
)
def test_a_password_is_kept_in_no_form(okta: Provider, body: dict[str, object]) -> None:
    user = okta.create_user("ada@halden.example")
    okta.patch(f"Users/{user['id']}", body)

    RECORDER.flush()

    assert SECRET[:2] not in json.dumps(list(ConnectionExchange.objects.values("request_body", "response_body")))


def test_a_refusal_says_why_and_does_not_repeat_names(strict: Provider) -> None:
    strict.create_user("ada@halden.example")
    strict.ask(
        "POST", "Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@halden.example"}
    )

    RECORDER.flush()

    kept = _last()
    assert kept.line.status == 409
    assert kept.line.problem.startswith("The name is taken, and it must be unique.")
    assert kept.section == "RFC 7644 §3.3"
    assert "halden" not in kept.line.problem
    assert "halden" not in json.dumps(kept.response_body)


def test_what_a_filter_and_an_address_say_is_shortened(strict: Provider) -> None:
    strict.find("Users", 'userName eq "ada@halden.example"')
    strict.ask("GET", "Users/ada@halden.example")

    RECORDER.flush()

    rows = list(ConnectionExchange.objects.order_by("id"))
    assert rows[0].query == 'filter=userName eq "ad… (18 characters)"'
    assert rows[0].understood == ["Look for a user named ad… (18 characters): none found."]
    assert rows[1].path == "/Users/ad… (18 characters)"
    assert "halden" not in rows[1].problem


def test_five_thousand_requests_cost_little_and_leave_exactly_the_last_two_hundred(strict: Provider) -> None:
    opened = _opened(strict)
    began = time.perf_counter()
    for number in range(5000):
        RECORDER.note(opened, _noted(number, status=500 if number % 10 == 0 else 200))
    noting = time.perf_counter() - began

    with CaptureQueriesContext(database) as captured:
        RECORDER.flush()

    assert noting < 0.5  # 0.1 ms each would be ten times too slow already
    assert len(captured) <= 9
    assert ConnectionExchange.objects.count() == KEPT_EXCHANGES
    assert ConnectionExchange.objects.order_by("at", "id").first().path == "/Users/48… (4 characters)"  # type: ignore[union-attr]
    assert ConnectionHour.objects.values_list("requests", "errors").get() == (5000, 500)


def test_several_bursts_leave_the_last_two_hundred_of_each_connection(connected: Callable[..., Provider]) -> None:
    first, second = _opened(connected("strict", "first")), _opened(connected("strict", "second"))
    for burst in range(3):
        for number in range(150):
            RECORDER.note(first, _noted(burst * 1000 + number))
        RECORDER.note(second, _noted(burst))
        RECORDER.flush()

    counted = {name: queries.exchanges_of(Connection.objects.get(name=name).ref) for name in ("first", "second")}
    assert ConnectionExchange.objects.filter(connection_id=first.id).count() == KEPT_EXCHANGES
    assert len(counted["first"]) == queries.PAGE_SIZE
    assert len(counted["second"]) == 3


def test_pages_of_exchanges_follow_each_other_without_a_gap(strict: Provider) -> None:
    opened, ref = _opened(strict), Connection.objects.get().ref
    for number in range(120):
        RECORDER.note(opened, _noted(number, status=400 if number % 2 else 200))
    RECORDER.flush()

    first = queries.exchanges_of(ref)
    second = queries.exchanges_of(ref, before=first[-1].id)
    third = queries.exchanges_of(ref, before=second[-1].id)

    assert [len(page) for page in (first, second, third)] == [50, 50, 20]
    assert len({each.id for page in (first, second, third) for each in page}) == 120
    assert {each.status for each in queries.exchanges_of(ref, only_errors=True)} == {400}


def test_of_a_long_page_the_first_resources_are_kept_and_how_many_there_were(strict: Provider) -> None:
    for number in range(8):
        strict.create_user(f"person{number}@halden.example")
    strict.get("Users")

    RECORDER.flush()

    kept = _last()
    assert [len(kept.response_body["Resources"]), kept.response_body["Resources"][-1]] == [6, "… and 3 more"]
    assert kept.response_body["totalResults"] == 8
    assert "person" not in json.dumps(kept.response_body)
    assert any("8" in sentence for sentence in kept.line.understood)


def test_use_is_noted_of_the_connection_and_its_token(strict: Provider) -> None:
    moment = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        strict.get("Users")
        RECORDER.flush()

        assert Connection.objects.get().last_used_at == moment
        assert ServiceToken.objects.get().last_used_at == moment
        line = queries.every_connection()[0]
    assert (line.requests_24h, line.errors_24h, line.last_used_at) == (1, 0, moment)


def test_a_token_that_ended_shows_up_in_the_exchanges_of_its_connection(strict: Provider) -> None:
    ServiceToken.objects.update(revoked_at=now())
    strict.ask("GET", "Users")

    RECORDER.flush()

    kept = _last()
    assert (kept.line.status, kept.section) == (401, "RFC 6750 §3.1")
    assert "revoked" in kept.line.problem


def test_exchanges_go_after_as_many_days_as_the_connection_says(strict: Provider) -> None:
    connection = Connection.objects.get()
    actions.change(connection.ref, actions.Terms(keep_exchanges_days=3), actor=ACTOR)
    old = (now() - timedelta(days=3, minutes=1)).timestamp()
    RECORDER.note(_opened(strict), _noted(1, at=old))
    RECORDER.note(_opened(strict), _noted(2))
    RECORDER.flush()

    assert len(queries.exchanges_of(connection.ref)) == 1
    assert forget_exchanges() == 1
    assert ConnectionExchange.objects.count() == 1


def test_what_belongs_to_a_connection_that_is_not_there_is_left_out(strict: Provider) -> None:
    opened = _opened(strict)
    stranger = Opened(10**9, opened.ref, "gone", "strict", 60, (), 10**9, None)
    RECORDER.note(stranger, _noted())
    RECORDER.note(opened, _noted())

    RECORDER.flush()

    assert ConnectionExchange.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\x00",
        b'"\\u0000"',
        b'{"a\\u0000b": "x\\u0000yz"}',
        b"[" * 500 + b"]" * 500,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'"' + b"x" * MAX_BODY_BYTES + b'"',
        json.dumps([{"value": str(number)} for number in range(1000)]).encode(),
    ],
    ids=["broken", "bytes", "nul", "nul-key", "deep-list", "deep-object", "large", "long"],
)
def test_any_body_can_be_kept(strict: Provider, body: bytes) -> None:
    RECORDER.note(_opened(strict), _noted(body=body))

    assert RECORDER.flush() == 1

    assert len(json.dumps(ConnectionExchange.objects.get().request_body)) < 5000


def test_a_request_itself_writes_nothing_about_its_exchange(strict: Provider) -> None:
    user = strict.create_user("ada@halden.example")
    with CaptureQueriesContext(database) as captured:
        strict.ask(
            "PATCH", f"Users/{user['id']}", {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "title"}]}
        )

    assert not [query for query in captured if "exchange" in query["sql"] or "connectionhour" in query["sql"]]


def test_what_other_processes_answered_counts_against_the_limit(strict: Provider) -> None:
    opened = _opened(strict)
    other = Recorder()
    LIMITER.refused_for(opened.id, 60, at=time.monotonic())
    RECORDER.note(opened, _noted())
    RECORDER.flush()
    for number in range(9):
        other.note(opened, _noted(number))
    other.flush()

    RECORDER.note(opened, _noted())
    RECORDER.flush()

    assert LIMITER.refused_for(opened.id, 60, at=time.monotonic()) >= 1


def test_what_other_processes_refused_does_not(strict: Provider) -> None:
    opened = _opened(strict)
    other = Recorder()
    LIMITER.refused_for(opened.id, 60, at=time.monotonic())
    RECORDER.note(opened, _noted())
    RECORDER.flush()
    for number in range(500):
        other.note(opened, _noted(number, status=429))
    other.flush()

    RECORDER.note(opened, _noted())
    RECORDER.flush()

    assert LIMITER.refused_for(opened.id, 60, at=time.monotonic()) == 0
    assert ConnectionHour.objects.values_list("requests", "errors", "limited").get() == (502, 500, 500)


@pytest.mark.django_db(transaction=True)
def test_the_thread_writes_by_itself_and_what_is_left_at_the_end(
    connected: Callable[..., Provider], settings: object
) -> None:
    settings.SCIM_EXCHANGES_FLUSH_SECONDS = 0.01  # type: ignore[attr-defined]
    opened = _opened(connected("strict"))
    recorder = Recorder()

    recorder.note(opened, _noted())
    deadline = time.monotonic() + 10
    while not ConnectionExchange.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert ConnectionExchange.objects.count() == 1
    thread = recorder._thread
    recorder.note(opened, _noted())
    recorder.stop()
    assert ConnectionExchange.objects.count() == 2
    assert thread is not None
    assert not thread.is_alive()


def test_a_forked_process_begins_anew(strict: Provider) -> None:
    recorder = Recorder()
    recorder.note(_opened(strict), _noted())

    recorder.reset()

    assert recorder.flush() == 0
