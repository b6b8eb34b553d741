"""Syslog over TLS to a real peer: framing, certificates on both sides, and what counts as arrived."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from governance.core.errors import Invalid
from governance.ledger.models import Entry
from governance.streams import actions
from governance.streams.actions import Wanted
from governance.streams.models import Destination
from governance.streams.sending import send_due
from governance.streams.ways import syslog
from governance.streams.ways.base import NotArrived, Place
from tests.cast import TESTING
from tests.streams.conftest import Authority, SyslogPeer

Grow = Callable[[int], None]
LINE = re.compile(r"<(\d+)>1 (\S+) (\S+) gatehouse - (\S+) - (\{.*\})", re.DOTALL)


def add(address: str, authorities: str, **wanted: object) -> Destination:
    said = Wanted("Watch", address, authorities=authorities, with_rows=True, **wanted)  # type: ignore[arg-type]
    return actions.add("syslog", said, from_the_start=True, actor=TESTING)[0]


def test_entries_arrive_framed_in_order(syslog_peer: SyslogPeer, authority: Authority, grow: Grow) -> None:
    stream = add(syslog_peer.address, authority.pem)
    grow(700)

    assert send_due() == Entry.objects.count()

    found = [LINE.fullmatch(one) for one in syslog_peer.messages]
    assert all(found)
    said = [json.loads(one[5]) for one in found if one]
    assert [one["metadata"]["sequence"] for one in said] == list(range(Entry.objects.count()))
    noted = next(one for one in found if one and one[4] == "thing.noted")
    assert noted[1] == str(13 * 8 + 6)
    stream.refresh_from_db()
    assert stream.next_index == Entry.objects.count()


def test_a_message_is_counted_in_bytes() -> None:
    at = datetime(2026, 3, 3, 12, tzinfo=UTC)

    sent = syslog.frames([syslog.message('{"name":"Zoë"}', severity=6, at=at, host="gate.example", kind="a.b")])

    text = '<110>1 2026-03-03T12:00:00.000000Z gate.example gatehouse - a.b - {"name":"Zoë"}'
    assert sent == f"{len(text.encode())} {text}".encode()


@pytest.mark.parametrize("issued_by", ["nobody known", "the right one for another host"])
def test_a_server_that_cannot_be_verified_gets_nothing(
    issued_by: str, tmp_path: Path, authority: Authority, grow: Grow
) -> None:
    right = issued_by == "the right one for another host"
    server = authority.issue("other.example") if right else Authority("Mallory").issue("127.0.0.1")
    peer = SyslogPeer(tmp_path, server)
    stream = add(peer.address, authority.pem)
    grow(1)

    assert send_due() == 0

    stream.refresh_from_db()
    assert "certificate is not trusted" in stream.last_error
    assert stream.next_index == 0
    assert peer.messages == []
    peer.close()


def test_a_server_that_wants_a_certificate_gets_ours(tmp_path: Path, authority: Authority, grow: Grow) -> None:
    peer = SyslogPeer(tmp_path, authority.issue("127.0.0.1"), clients=authority.pem)
    ours = authority.issue("gatehouse.example")
    stream = add(peer.address, authority.pem, client_certificate=ours.certificate, client_key=ours.key)
    grow(1)

    assert send_due() == Entry.objects.count()

    assert "gatehouse.example" in peer.clients[0]
    assert ours.key.strip() not in stream.secret_encrypted
    peer.close()


def test_without_a_certificate_such_a_server_gets_nothing(tmp_path: Path, authority: Authority, grow: Grow) -> None:
    peer = SyslogPeer(tmp_path, authority.issue("127.0.0.1"), clients=authority.pem)
    stream = add(peer.address, authority.pem)
    grow(1)

    assert send_due() == 0

    stream.refresh_from_db()
    assert stream.next_index == 0
    assert stream.last_error
    peer.close()


def test_a_server_that_fails_in_the_middle_is_sent_everything_again(
    syslog_peer: SyslogPeer, authority: Authority, grow: Grow
) -> None:
    stream = add(syslog_peer.address, authority.pem)
    grow(200)
    syslog_peer.cuts_after = 20
    assert send_due() == 0
    first = list(syslog_peer.messages)
    Destination.objects.filter(pk=stream.pk).update(next_at=stream.created_at)

    send_due()

    again = syslog_peer.messages[len(first) :]
    sequence = [json.loads(LINE.fullmatch(one)[5])["metadata"]["sequence"] for one in again]  # type: ignore[index]
    assert len(first) >= 20
    assert sequence == list(range(Entry.objects.count()))


@pytest.mark.parametrize("turn", range(12))
def test_a_refusal_that_comes_after_we_have_sent_is_never_taken_for_arrival(
    turn: int, tmp_path: Path, authority: Authority
) -> None:
    peer = SyslogPeer(tmp_path, authority.issue("127.0.0.1"), clients=authority.pem)
    place = Place(peer.address, "", authority.pem, allows_loopback=True)

    with pytest.raises(NotArrived):
        syslog.deliver(place, [b"x" * (turn * 900 + 1)] * 3)

    assert peer.messages == []
    peer.close()


def test_a_server_that_goes_away_without_farewell_has_not_confirmed(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = SyslogPeer(tmp_path, authority.issue("127.0.0.1"))
    monkeypatch.setattr("ssl.SSLSocket.unwrap", lambda session: session)

    with pytest.raises(NotArrived, match="without the farewell"):
        syslog.deliver(Place(peer.address, "", authority.pem, allows_loopback=True), [b"x"])

    peer.close()


def test_a_server_that_is_not_there_is_said(authority: Authority, grow: Grow) -> None:
    stream = add("127.0.0.1:1", authority.pem)
    grow(1)

    assert send_due() == 0

    stream.refresh_from_db()
    assert stream.last_error.startswith("It could not be reached")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": "siem.example:99999"}, "address"),
        ({"address": "https://siem.example"}, "address"),
        ({"authorities": "no certificate"}, "authorities"),
        ({"client_certificate": "no certificate"}, "client_key"),
        ({"client_key": "no key"}, "client_certificate"),
        ({"client_certificate": "no certificate", "client_key": "no key"}, "client_certificate"),
        ({"name": " "}, "name"),
        ({"shape": "cef"}, "shape"),
    ],
)
def test_what_cannot_work_is_refused_by_field(changes: dict[str, str], field: str) -> None:
    wanted = Wanted(**{"name": "Watch", "address": "siem.example", **changes})

    with pytest.raises(Invalid) as refusal:
        actions.add("syslog", wanted, from_the_start=False, actor=TESTING)

    assert field in refusal.value.fields
