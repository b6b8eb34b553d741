"""Tickets are looked up at a real peer over HTTP: good, not good, unknown, silent; and never where they must not be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.cache import cache

from governance.access import requests
from governance.access.models import AccessRequest
from governance.catalog.models import Entitlement
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import TicketSystem
from governance.provisioning.secrets import decrypt, rotate_all
from governance.provisioning.ticket_systems import TicketTerms, retire_ticket_system, save_ticket_system
from governance.provisioning.tickets import TicketState, look_up, value_at
from tests.cast import TESTING, acting, ask

pytestmark = pytest.mark.django_db


class Peer(ThreadingHTTPServer):
    """A ticket system: OPS-1 is open, OPS-2 closed, OPS-3 is slow, OPS-4 redirects, OPS-5 talks nonsense."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_GET(self) -> None:
        ticket = self.path.rsplit("/", 1)[-1]
        self.server.asked.append((self.path, self.headers.get("X-Token", "")))
        if ticket == "OPS-3":
            time.sleep(2)
        known = {"OPS-1": "Open", "OPS-2": "Closed", "OPS-3": "Open"}
        status = 302 if ticket == "OPS-4" else 500 if ticket == "OPS-6" else 200 if ticket in (*known, "OPS-5") else 404
        body = b"<html>" if ticket == "OPS-5" else json.dumps({"fields": [{"status": known.get(ticket)}]}).encode()
        self.send_response(status)
        self.send_header("Location", f"{self.server.address}/issue/OPS-1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    cache.clear()
    with Peer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def terms(peer: Peer, **known: object) -> TicketTerms:
    usual = {
        "name": "Jira",
        "pattern": "OPS-[0-9]+",
        "url_template": f"{peer.address}/issue/{{ticket}}",
        "header_name": "X-Token",
        "json_path": "fields.0.status",
        "good_values": ("open", "In progress"),
        "timeout_seconds": 1,
    }
    return TicketTerms(**{**usual, **known})  # type: ignore[arg-type]


@pytest.fixture
def jira(peer: Peer) -> TicketSystem:
    return save_ticket_system(terms(peer), secret="Bearer abc", actor=TESTING)


@pytest.mark.parametrize(
    ("ticket", "state", "sentence"),
    [
        ("OPS-1", "good", "Jira says OPS-1 is “Open”."),
        ("OPS-2", "bad", "Jira says OPS-2 is “Closed”; it has to be one of: open, In progress."),
        ("OPS-9", "bad", "Jira knows no ticket OPS-9."),
        ("OPS-3", "refused_silent", "Jira could not be asked:"),
        ("OPS-4", "refused_silent", "Jira could not be asked: it answered 302."),
        ("OPS-5", "refused_silent", "Jira could not be asked: its answer is no JSON."),
        ("OPS-6", "refused_silent", "Jira could not be asked: it answered 500."),
        ("CHG-1", "", ""),
        ("", "", ""),
    ],
)
def test_what_a_system_says(ticket: str, state: str, sentence: str, jira: TicketSystem) -> None:
    answer = look_up(ticket)

    assert answer.state == TicketState(state)
    assert answer.sentence.startswith(sentence)


def test_it_is_asked_with_its_secret_once_a_minute(peer: Peer, jira: TicketSystem) -> None:
    look_up("OPS-1")
    look_up(" OPS-1 ")

    assert peer.asked == [("/issue/OPS-1", "Bearer abc")]


def test_a_silence_is_not_remembered(peer: Peer, jira: TicketSystem) -> None:
    look_up("OPS-6")
    look_up("OPS-6")

    assert len(peer.asked) == 2


def test_a_change_forgets_what_was_said(peer: Peer, jira: TicketSystem) -> None:
    look_up("OPS-1")
    save_ticket_system(terms(peer, good_values=("Closed",)), slug=jira.slug, actor=TESTING)

    assert look_up("OPS-1").state == TicketState.BAD


def test_a_number_stays_a_part_of_the_path(peer: Peer) -> None:
    save_ticket_system(terms(peer, pattern=".+", header_name=""), actor=TESTING)

    look_up("../../admin?x=1#y")

    assert peer.asked[0][0] == "/issue/..%2F..%2Fadmin%3Fx%3D1%23y"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://169.254.169.254/{ticket}", "link-local"),
        ("http://100.100.100.200/latest/{ticket}", "metadata"),
    ],
)
def test_it_never_reaches_a_metadata_service(url: str, said: str, peer: Peer) -> None:
    with pytest.raises(Invalid) as refusal:
        save_ticket_system(terms(peer, url_template=url), actor=TESTING)

    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": " "}, "name"),
        ({"pattern": "("}, "pattern"),
        ({"url_template": "https://jira.example/issue"}, "url_template"),
        ({"url_template": "https://{ticket}.example/issue"}, "url_template"),
        ({"url_template": "ftp://jira.example/{ticket}"}, "url_template"),
        ({"header_name": "X Token"}, "header_name"),
        ({"good_values": ()}, "good_values"),
        ({"json_path": ""}, "good_values"),
        ({"when_silent": "maybe"}, "when_silent"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
    ],
)
def test_what_is_wrong_is_named_by_field(wrong: dict[str, object], field: str, peer: Peer) -> None:
    with pytest.raises(Invalid) as refusal:
        save_ticket_system(terms(peer, **wrong), actor=TESTING)

    assert list(refusal.value.fields) == [field]
    assert not TicketSystem.objects.exists()


def test_its_secret_is_kept_encrypted_and_told_nobody(jira: TicketSystem) -> None:
    assert "abc" not in jira.secret_encrypted
    assert decrypt(jira.secret_encrypted) == "Bearer abc"
    assert "abc" not in str(list(Pending.objects.values_list("body", flat=True)))
    before = jira.secret_encrypted
    rotate_all()
    jira.refresh_from_db()
    assert jira.secret_encrypted != before


def test_a_retired_system_is_not_asked(peer: Peer, jira: TicketSystem) -> None:
    retire_ticket_system(jira.slug, actor=TESTING)

    assert look_up("OPS-1").state == TicketState.UNKNOWN_FORM
    with pytest.raises(Conflict):
        retire_ticket_system(jira.slug, actor=TESTING)


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 1), ("a.c.1", "y"), ("a.c.7", None), ("a.c.x", None), ("z", None), ("", {"a": {"b": 1, "c": ["x", "y"]}})],
)
def test_a_path_leads_to_a_value_or_nowhere(path: str, value: object) -> None:
    assert value_at({"a": {"b": 1, "c": ["x", "y"]}}, path) == value


# What becomes of requests


def send(person: Person, role: Entitlement, ticket: str) -> AccessRequest:
    return requests.submit(person, role, requests.with_ticket(ask(ticket=ticket)), actor=acting(person))


def test_a_good_ticket_lets_the_request_be_sent(ada: Person, analyst: Entitlement, jira: TicketSystem) -> None:
    made = send(ada, analyst, "OPS-1")

    assert made.verdict["facts"]["ask"]["ticket_sentence"] == "Jira says OPS-1 is “Open”."


@pytest.mark.parametrize(("ticket", "code"), [("OPS-2", "ticket_not_good"), ("OPS-6", "ticket_unknown")])
def test_a_bad_or_silent_ticket_refuses_it(
    ticket: str, code: str, ada: Person, analyst: Entitlement, jira: TicketSystem
) -> None:
    with pytest.raises(Refused) as refusal:
        send(ada, analyst, ticket)

    assert [(one.code, one.field) for one in refusal.value.reasons] == [(code, "ticket")]


def test_a_silence_may_be_accepted_and_shown(ada: Person, analyst: Entitlement, peer: Peer) -> None:
    save_ticket_system(terms(peer, when_silent="flag"), actor=TESTING)

    made = send(ada, analyst, "OPS-6")

    assert made.verdict["facts"]["ask"]["ticket_state"] == "flagged_silent"


def test_no_door_passes_a_ticket_system_by(ada: Person, analyst: Entitlement, jira: TicketSystem) -> None:
    with pytest.raises(Refused, match="was not looked up"):
        requests.submit(ada, analyst, ask(ticket="OPS-1"), actor=acting(ada))
