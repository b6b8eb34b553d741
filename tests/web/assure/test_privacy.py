"""The pages of retention and erasure: holds by two people, an erasure with what is in its way, who may do what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import actions as lifecycle
from governance.privacy import erasing, legal_holds, retaining
from governance.privacy.models import Erasure, LegalHold
from tests import cast
from tests.cast import TESTING, acting
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong

SIGNER = Signer.generate("example.com/ledger")


def left(name: str) -> Person:
    person = cast.hire(name)
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=TESTING, unlist=True)
    seal_everything(signer=SIGNER)
    person.refresh_from_db()
    return person


def test_somebody_is_erased_from_their_page(sam: Person, signed_in: SignedIn) -> None:
    zoe, client = left("Zoe Quarter"), signed_in(sam)
    page = client.get(f"/people/{zoe.ref}/").content.decode()
    assert f"/ledger/privacy/people/{zoe.ref}/erase/" in page

    answer = client.post(f"/ledger/privacy/people/{zoe.ref}/erase/", {"ground": "She asked for it."}, follow=True)

    assert "Erased. Backups and applications keep what they have." in answer.content.decode()
    assert "Zoe" not in client.get(f"/people/{zoe.ref}/").content.decode()


def test_what_is_in_the_way_is_said_before_and_after(sam: Person, ada: Person, signed_in: SignedIn) -> None:
    client, address = signed_in(sam), f"/ledger/privacy/people/{ada.ref}/erase/"

    assert "They have not left." in client.get(address).content.decode()
    answer = client.post(address, {"ground": "She asked for it."})

    assert (answer.status_code, "has not left" in answer.content.decode()) == (409, True)
    assert client.post(address, {"ground": ""}).status_code == 422


def test_a_hold_names_people_by_their_address_and_two_release_it(sam: Person, ada: Person, signed_in: SignedIn) -> None:
    other = cast.make_security_admin(cast.hire("Olga Other"))
    mine, hers = signed_in(sam), signed_in(other)
    said = {"name": "Case 12", "reason": "The court.", "people": f"{ada.email}\nnobody@halden.example"}
    refused = mine.post("/ledger/privacy/holds/new/", said)
    assert "Nobody has the address nobody@halden.example." in refused.content.decode()
    mine.post("/ledger/privacy/holds/new/", said | {"people": ada.email})
    hold = LegalHold.objects.get()
    assert hold.people == [str(ada.ref)]

    here = f"/ledger/privacy/holds/{hold.ref}/"
    assert mine.post(f"{here}propose/", {}).status_code == 422
    mine.post(f"{here}propose/", {"reason": "It is over."})
    assert mine.post(f"{here}release/").status_code == 409
    assert "Confirm its release" not in mine.get("/ledger/privacy/").content.decode()
    assert "Confirm its release" in hers.get("/ledger/privacy/").content.decode()
    hers.post(f"{here}release/")

    hold.refresh_from_db()
    assert (hold.release_proposed_by_ref, hold.released_by_ref) == (str(sam.ref), str(other.ref))


def test_years_are_changed_with_a_reason_by_administrators(sam: Person, audrey: Person, signed_in: SignedIn) -> None:
    assert signed_in(audrey).post("/ledger/privacy/", {"years": 9, "why": "x"}).status_code == 403
    assert signed_in(sam).post("/ledger/privacy/", {"years": 3, "why": ""}).status_code == 422
    signed_in(sam).post("/ledger/privacy/", {"years": 9, "why": "Our contract."})

    assert retaining.years_kept() == 9


def test_fewer_years_wait_for_a_second_person_on_the_page(sam: Person, signed_in: SignedIn) -> None:
    mine, hers = signed_in(sam), signed_in(second_administrator())
    page = mine.post("/ledger/privacy/", {"years": 6, "why": "We keep too much."}, follow=True).content.decode()
    assert "Proposed. More would go" in page
    proposed = retaining.proposal()
    assert proposed is not None
    confirm = f"/ledger/privacy/years/{proposed.pk}/confirm/"
    assert confirm not in page
    assert confirm in hers.get("/ledger/privacy/").content.decode()
    assert mine.post(confirm).status_code == 409

    assert hers.post(confirm, follow=True).status_code == 200

    assert retaining.years_kept() == 6


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_the_pages_are_accessible_quiet_and_narrow(sam: Person, ada: Person, audrey: Person, reader: Open) -> None:
    zoe, quentin = left("Zoe Quarter"), left("Quentin Long-Name-That-Goes-On")
    erasing.ask(zoe, "She asked for it.", actor=acting(sam))
    seal_everything(signer=SIGNER)
    erasing.ask(quentin, "He asked for it. " * 9, duty="HIPAA", actor=acting(sam))
    legal_holds.place("Case 12", "The court asked. " * 9, people=[ada], actor=acting(sam))
    proposed = legal_holds.place("Everything", "An investigation.", actor=acting(sam))
    legal_holds.propose_release(proposed, "It is over.", actor=acting(second_administrator()))
    retaining.set_retention(6, "We keep too much.", actor=acting(sam))
    assert Erasure.objects.filter(due_at__gt=now() + timedelta(days=365)).exists()

    erase = f"/ledger/privacy/people/{quentin.ref}/erase/"
    assert what_is_wrong(reader(sam), ["/ledger/privacy/", "/ledger/privacy/holds/new/", erase]) == []
    assert what_is_wrong(reader(audrey), ["/ledger/privacy/"]) == []


def second_administrator() -> Person:
    """Return a second administrator."""
    return cast.make_security_admin(cast.hire("Olga Other"))
