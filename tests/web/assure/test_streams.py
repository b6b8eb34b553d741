"""The pages of streams: added, tried, changed, ended, read by auditors; a secret is shown once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.ledger.models import ConfigurationChange, Entry, Pending
from governance.streams import actions
from governance.streams.actions import Wanted
from governance.streams.models import Destination
from tests.cast import TESTING
from tests.web import stories
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong

WEBHOOK = {"name": "Watch", "address": "https://siem.example/collect", "shape": "ocsf"}


def add(**changes: object) -> Destination:
    wanted = Wanted(**{**WEBHOOK, **changes})  # type: ignore[arg-type]
    return actions.add("webhook", wanted, from_the_start=True, actor=TESTING)[0]


def test_an_administrator_adds_a_stream_and_sees_its_secret_once(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)

    answer = client.post("/ledger/streams/new/webhook/", WEBHOOK).content.decode()

    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", answer)
    stream = Destination.objects.get()
    assert secret not in stream.secret_encrypted
    assert secret not in client.get(f"/ledger/streams/{stream.ref}/").content.decode()
    assert not any(secret in str(body) for body in Pending.objects.values_list("body", flat=True))
    assert not any(secret in str(row.changes) for row in ConfigurationChange.objects.all())


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("webhook", {"address": "ftp://siem.example"}, "must start with https://"),
        ("webhook", {"name": ""}, "This field is required"),
        ("syslog", {"address": "siem.example:port"}, "Write it as host:port"),
        ("syslog", {"address": "siem.example", "authorities": "nothing"}, "These are no certificates in PEM"),
    ],
)
def test_what_cannot_work_is_said_at_its_field(
    kind: str, changes: dict[str, str], said: str, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post(f"/ledger/streams/new/{kind}/", {**WEBHOOK, **changes})

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Destination.objects.exists()


def test_a_stream_is_changed_tried_and_ended(sam: Person, signed_in: SignedIn) -> None:
    stream = add()
    client, address = signed_in(sam), f"/ledger/streams/{stream.ref}/"

    assert client.post(address, {**WEBHOOK, "name": "Watcher", "with_names": "on"}).status_code == 302
    assert client.post(f"{address}test/").status_code == 302
    stream.refresh_from_db()
    assert (stream.name, stream.with_names, stream.test_asked_at is not None) == ("Watcher", True, True)
    before = stream.secret_encrypted
    assert "whsec_" in client.post(f"{address}renew/").content.decode()
    assert client.post(f"{address}end/").status_code == 302
    stream.refresh_from_db()

    assert stream.ended_at is not None
    assert stream.secret_encrypted == ""
    assert before
    assert client.get(address).status_code == 404


def test_an_auditor_sees_how_far_a_stream_is_and_changes_nothing(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Callable[[], int], signed_in: SignedIn
) -> None:
    stream = add()
    stories.give(ada, analyst)
    seal()
    client, address = signed_in(audrey), f"/ledger/streams/{stream.ref}/"

    page = client.get("/ledger/streams/").content.decode()
    one = client.get(address).content.decode()

    assert f"{Entry.objects.count()} entries wait" in page
    assert "Save settings" not in one
    assert "Add a stream" not in page
    for path in (address, f"{address}test/", f"{address}renew/", f"{address}end/"):
        assert client.post(path, WEBHOOK).status_code == 403, path


def test_the_list_of_streams_stays_within_twelve_statements(
    audrey: Person, seal: Callable[[], int], signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        add(name=f"Watch {number}")
    seal()
    client = signed_in(audrey)

    with django_assert_max_num_queries(12):
        assert client.get("/ledger/streams/").status_code == 200


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_pages_of_streams_are_accessible_and_narrow(sam: Person, reader: Open) -> None:
    stream = add(name="Watch " * 12)
    paths = [f"/ledger/streams/{path}" for path in ("", "new/webhook/", "new/syslog/", f"{stream.ref}/")]

    assert what_is_wrong(reader(sam), paths) == []
