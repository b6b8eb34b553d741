"""The stream over real peers: in order, from the cursor on, again after an outage, signed, and only one sender."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections, transaction

from governance.config.processes import wait_until
from governance.ledger.models import Entry
from governance.ledger.recording import Subject, record
from governance.streams import actions, queries, sending
from governance.streams.actions import Wanted
from governance.streams.models import Destination
from governance.streams.sending import send_due
from tests.cast import TESTING
from tests.forked import forked
from tests.streams.conftest import Listener, seal

Grow = Callable[[int], None]


def add(
    listener: Listener, name: str = "Watch", *, from_the_start: bool = False, **wanted: object
) -> tuple[Destination, str]:
    said = Wanted(name, listener.url, **{"shape": "entry", "with_rows": True, **wanted})  # type: ignore[arg-type]
    return actions.add("webhook", said, from_the_start=from_the_start, actor=TESTING)


def indexes(listener: Listener) -> list[int]:
    return [one["index"] for one in listener.entries]


def test_entries_arrive_in_order_without_gaps_and_can_be_verified(listener: Listener, grow: Grow) -> None:
    grow(3)
    stream, secret = add(listener, from_the_start=True)
    grow(4)

    assert send_due() == Entry.objects.count()

    assert indexes(listener) == list(range(Entry.objects.count()))
    bodies = dict(Entry.objects.values_list("index", "body"))
    assert all(one["body"] == bodies[one["index"]] for one in listener.entries)
    headers, body = listener.arrived[0]
    assert headers["webhook-id"] == f"{stream.ref}-0-{Entry.objects.count()}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert json.loads(body)["log"] == "example.com/ledger"


def test_a_stream_begins_with_what_comes_after_it_was_added(listener: Listener, grow: Grow) -> None:
    grow(3)
    size = Entry.objects.count()
    add(listener)
    grow(2)

    send_due()

    assert indexes(listener) == list(range(size, Entry.objects.count()))


def test_sending_adds_nothing_to_the_ledger_and_ends(listener: Listener, grow: Grow) -> None:
    add(listener)
    grow(2)
    send_due()
    size = Entry.objects.count()

    seal()

    assert Entry.objects.count() == size
    assert send_due() == 0


def test_captured_rows_stay_in_the_house_unless_they_are_asked_for(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener, with_rows=False, from_the_start=True)
    grow(2)
    assert Entry.objects.filter(event__startswith="rows.").exists()

    send_due()

    stream.refresh_from_db()
    assert stream.next_index == Entry.objects.count()
    assert not any(json.loads(one["body"])["event"].startswith("rows.") for one in listener.entries)


def test_an_outage_loses_nothing_and_repeats_nothing(listener: Listener, grow: Grow) -> None:
    with time_machine.travel("2026-03-03T12:00:00Z", tick=False) as clock:
        stream, _ = add(listener, from_the_start=True)
        grow(2)
        send_due()
        listener.status = 503
        grow(3)
        assert send_due() == 0
        assert send_due() == 0
        refused = listener.arrived.pop()
        assert json.loads(refused[1])["entries"]
        stream.refresh_from_db()
        assert stream.last_error == "It answered 503."
        assert stream.failures_in_a_row == 1

        listener.status = 204
        grow(2)
        assert send_due() == 0
        clock.shift(timedelta(seconds=1))
        send_due()

    assert indexes(listener) == list(range(Entry.objects.count()))
    stream.refresh_from_db()
    assert (stream.last_error, stream.failures_in_a_row, stream.trouble_since) == ("", 0, None)


def test_a_sender_that_dies_after_sending_repeats_no_more_than_its_batch(
    listener: Listener, grow: Grow, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(listener, from_the_start=True)
    grow(12)

    def die() -> None:
        monkeypatch.setattr(sending, "_move_on", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    listener.on_post = die
    with pytest.raises(KeyboardInterrupt):
        send_due()
    listener.on_post = lambda: None
    monkeypatch.undo()
    send_due()

    seen = indexes(listener)
    first = json.loads(listener.arrived[0][1])
    assert seen[: first["to"]] == list(range(first["to"]))
    assert seen[first["to"] :] == list(range(Entry.objects.count()))


def test_trouble_that_lasts_is_recorded_once_and_its_end_as_well(listener: Listener, grow: Grow) -> None:
    with time_machine.travel("2026-03-03T12:00:00Z", tick=False) as clock:
        add(listener)
        grow(1)
        listener.status = 500
        for _ in range(15):
            send_due()
            clock.shift(timedelta(minutes=1))
        listener.status = 204
        send_due()
        seal()

    told = list(Entry.objects.filter(event__in=["stream.stopped", "stream.resumed"]).order_by("index"))
    assert [one.event for one in told] == ["stream.stopped", "stream.resumed"]


def test_the_lag_is_the_age_of_the_first_entry_that_is_missing(listener: Listener, grow: Grow) -> None:
    with time_machine.travel("2026-03-03T12:00:00Z", tick=False) as clock:
        add(listener)
        seal()
        send_due()
        (standing,) = queries.standings()
        assert (standing.unsent, standing.lag_seconds, standing.is_late) == (0, 0.0, False)

        grow(3)
        clock.shift(timedelta(minutes=3))
        (standing,) = queries.standings()

    assert (standing.unsent, standing.lag_seconds, standing.is_late) == (3, 180.0, True)


def test_a_paused_stream_waits_and_goes_on_where_it_was(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener, from_the_start=True)
    grow(2)
    wanted = Wanted("Watch", listener.url, shape="entry", with_rows=True)
    actions.change(stream, Wanted(**{**_said(wanted), "is_paused": True}), actor=TESTING)
    assert send_due() == 0

    actions.change(stream, wanted, actor=TESTING)
    seal()
    send_due()

    assert indexes(listener) == list(range(Entry.objects.count()))


def _said(wanted: Wanted) -> dict[str, object]:
    return {name: getattr(wanted, name) for name in Wanted.__slots__}


def test_a_redirect_is_not_followed(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener)
    grow(1)
    listener.status, listener.headers = 302, {"Location": listener.url}

    send_due()

    stream.refresh_from_db()
    assert "redirects are not followed" in stream.last_error
    assert len(listener.arrived) == 1


def test_a_test_arrives_and_says_so(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener)
    actions.ask_for_test(stream, actor=TESTING)
    send_due()

    stream.refresh_from_db()
    assert json.loads(listener.arrived[0][1])["type"] == "test"
    assert stream.tested_at is not None
    assert stream.test_error == ""


def test_a_test_that_does_not_arrive_says_why(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener)
    listener.status = 401
    actions.ask_for_test(stream, actor=TESTING)
    send_due()

    stream.refresh_from_db()
    assert stream.test_error == "It answered 401."
    assert stream.trouble_since is None


def test_a_test_that_breaks_unexpectedly_is_tried_once_and_stops_no_other_stream(
    listener: Listener, grow: Grow, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, _ = add(listener, "Broken")
    actions.ask_for_test(broken, actor=TESTING)
    add(listener, "Sound")
    grow(2)
    whole = sending.place_of

    def place_of(row: Destination) -> sending.Place:
        if row.pk == broken.pk:
            raise ZeroDivisionError
        return whole(row)

    monkeypatch.setattr(sending, "place_of", place_of)
    assert send_due() > 0

    broken.refresh_from_db()
    assert "unexpected" in broken.test_error
    assert broken.test_asked_at is None


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_once(listener: Listener) -> None:
    add(listener)
    with transaction.atomic():
        record("thing.noted", actor=TESTING, subjects=[Subject("thing", "1")])
    seal()
    is_there, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        is_there.set()
        assert may_go_on.wait(10)

    listener.on_post = wait
    other = threading.Thread(target=lambda: (send_due(), connections.close_all()))
    other.start()
    assert is_there.wait(10)
    assert send_due() == 0
    may_go_on.set()
    other.join(10)

    assert len(listener.arrived) == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [sending._LOCK_SPACE]
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_is_killed_gives_its_place_back_and_loses_nothing(listener: Listener) -> None:
    add(listener, from_the_start=True)
    with transaction.atomic():
        record("thing.noted", actor=TESTING, subjects=[Subject("thing", "1")])
    seal()
    has_arrived, may_go_on = threading.Event(), threading.Event()
    listener.on_post = lambda: (has_arrived.set(), may_go_on.wait(20))  # type: ignore[assignment]
    connections.close_all()
    worker = forked(send_due)
    assert has_arrived.wait(20)

    worker.kill()
    worker.join()
    may_go_on.set()

    assert worker.exitcode == -9
    with connection.cursor() as cursor:
        # As the server does when it notices; in a test the parent may hold the same socket.
        held = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
        cursor.execute(held, [sending._LOCK_SPACE])
    assert wait_until(lambda: send_due() == Entry.objects.count(), timeout_seconds=20)
    killed, again = (json.loads(body) for _, body in listener.arrived)
    assert (killed["from"], killed["to"]) == (again["from"], again["to"]) == (0, Entry.objects.count())
    assert listener.arrived[0][0]["webhook-id"] == listener.arrived[1][0]["webhook-id"]


def test_a_cursor_that_somebody_moved_is_not_moved_back(listener: Listener, grow: Grow) -> None:
    stream, _ = add(listener, from_the_start=True)
    grow(3)
    batch = sending.batch_from(0, shape="entry", with_names=False, with_rows=True)
    Destination.objects.filter(pk=stream.pk).update(next_index=batch.end + 7)

    assert sending._move_on(stream, batch) is False

    stream.refresh_from_db()
    assert stream.next_index == batch.end + 7
