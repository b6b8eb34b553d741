"""What the pages and the public addresses say of texts of the ledger that were disposed of."""

from __future__ import annotations

import pytest
from django.test import Client

from governance.identity.models import Person
from governance.ledger import queries
from governance.ledger.models import Entry
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests.privacy.old_ledger import LATER, old_ledger, pruned, size_at
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong

pytestmark = pytest.mark.django_db
SIGNER = Signer.generate("example.com/ledger")


def test_the_page_of_an_entry_says_that_its_text_went(sam: Person, signed_in: SignedIn) -> None:
    old_ledger(SIGNER)
    index = Entry.objects.filter(event="thing.noted").order_by("index")[3].index
    pruned()
    client = signed_in(sam)
    assert "about to be sealed" in client.get(f"/ledger/{index}/").content.decode()
    seal_everything(signer=SIGNER)

    answer = client.get(f"/ledger/{index}/")

    page = answer.content.decode()
    assert (answer.status_code, f"Entry {index} was disposed of" in page) == (200, True)
    assert "under the rule to keep 7 years" in page
    assert client.get(f"/ledger/{index}/proof/").status_code == 404
    assert client.get(f"/ledger/{10**9}/").status_code == 404


def test_the_page_of_retention_says_what_goes_and_went(sam: Person, signed_in: SignedIn) -> None:
    old_ledger(SIGNER)
    client = signed_in(sam)
    assert "tonight" in client.get("/ledger/privacy/").content.decode()
    pruned()
    seal_everything(signer=SIGNER)

    page = client.get("/ledger/privacy/").content.decode()

    assert f"below entry {size_at(LATER)}" in page
    assert "tonight" not in page


def test_machines_learn_the_minimum_index_and_every_tile_is_there(client: Client, db: None) -> None:
    old_ledger(SIGNER)
    assert client.get("/ledger/log/minimum-index").content == b"0\n"
    head = queries.latest_checkpoint()
    assert head is not None
    tile = f"/ledger/log/tile/0/000.p/{head.size}"
    before = client.get(tile).content

    pruned()

    assert client.get("/ledger/log/minimum-index").content == f"{size_at(LATER)}\n".encode()
    assert client.get(tile).content == before
    assert client.get("/ledger/log/tile/entries/000").status_code == 404


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(120)
def test_the_pages_are_accessible_quiet_and_narrow(sam: Person, reader: Open) -> None:
    old_ledger(SIGNER)
    index = Entry.objects.filter(event="thing.noted").order_by("index")[3].index
    pruned()
    seal_everything(signer=SIGNER)

    assert what_is_wrong(reader(sam), [f"/ledger/{index}/", "/ledger/privacy/"]) == []
