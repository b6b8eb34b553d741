"""The pages of anchors: what a newcomer reads, who may change, and that nothing typed is lost."""

from __future__ import annotations

import pytest
from django.test import Client

from governance.anchors import actions
from governance.anchors.actions import Wanted
from governance.anchors.models import Anchor
from governance.identity.models import Person
from tests.cast import TESTING

pytestmark = pytest.mark.django_db


def client_of(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def anchor() -> Anchor:
    said = {"endpoint": "https://s3.example", "bucket": "evidence", "key_id": "KEYID"}
    return actions.add("object_lock", Wanted("Locked", said, "very secret"), actor=TESTING)


def test_without_any_anchor_the_page_says_what_that_means(audrey: Person) -> None:
    page = client_of(audrey).get("/ledger/anchors/").content.decode()

    assert "No head is kept elsewhere" in page
    assert "witness.py" in page
    assert "Add a place" not in page


def test_an_administrator_adds_one_and_changes_it_without_typing_the_secret_again(sam: Person) -> None:
    client = client_of(sam)
    said = {
        "name": "Locked",
        "endpoint": "https://s3.example",
        "bucket": "evidence",
        "key_id": "KEYID",
        "key": "s3cret",
    }

    made = client.post("/ledger/anchors/new/object_lock/", said)
    address = made.headers["Location"]
    shown = client.get(address).content.decode()
    changed = client.post(address, {**said, "key": "", "every": "120", "is_paused": "on"})

    anchor = Anchor.objects.get()
    assert changed.status_code == 302
    assert (anchor.every_seconds, anchor.paused_at is not None) == (7_200, True)
    assert "s3cret" not in shown
    assert "s3cret" not in anchor.secret_encrypted
    assert "Nothing is kept there yet" in shown


def test_what_is_wrong_is_said_at_the_field_and_the_rest_stays_typed(sam: Person) -> None:
    said = {"name": "Elsewhere", "url": "ftp://git.example/heads", "branch": "evidence"}

    answer = client_of(sam).post("/ledger/anchors/new/git/", said)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert "must start with https:// or ssh://" in page
    assert 'value="evidence"' in page
    assert not Anchor.objects.exists()


def test_an_auditor_reads_and_cannot_change(audrey: Person, anchor: Anchor) -> None:
    client = client_of(audrey)
    address = f"/ledger/anchors/{anchor.ref}/"

    assert "Save settings" not in client.get(address).content.decode()
    assert client.post(address, {"name": "Mine"}).status_code == 403
    assert client.post(f"{address}end/").status_code == 403


def test_an_administrator_asks_for_a_head_now_and_ends_it(sam: Person, anchor: Anchor) -> None:
    client = client_of(sam)

    assert client.post(f"/ledger/anchors/{anchor.ref}/now/").status_code == 302
    assert client.post(f"/ledger/anchors/{anchor.ref}/end/").status_code == 302
    anchor.refresh_from_db()
    assert anchor.ended_at is not None
    assert client.post(f"/ledger/anchors/{anchor.ref}/now/").status_code == 409
    assert client.get("/ledger/anchors/new/pigeon/").status_code == 404
