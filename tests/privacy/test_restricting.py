"""Restriction: while a duty keeps somebody's data, their name is on no ordinary page, and evidence still has it."""

from __future__ import annotations

import pytest
import time_machine
from django.conf import settings
from django.db import connection, transaction
from django.test import Client

from governance.access.models import AccessRequest
from governance.catalog.models import Entitlement
from governance.identity.models import AsideName, Person
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.privacy import erasing, restricting
from governance.privacy.models import Erasure
from governance.provisioning.models import Account
from tests.cast import TESTING, acting
from tests.evidence.issued import APRIL
from tests.privacy import test_erasing
from tests.privacy.test_erasing import NAME, REASON, WORDS, places_with, seal

# The person, the key and the folders of the tests of erasure.
zenobia, signer, _folders = test_erasing.zenobia, test_erasing.signer, test_erasing._folders
DUTY = "HIPAA, 45 CFR 164.316(b)(2)(i)"


def restricted(zenobia: Person, sam: Person) -> Erasure:
    erasure = erasing.ask(zenobia, "She asked for it.", duty=DUTY, actor=acting(sam))
    zenobia.refresh_from_db()
    return erasure


def pages(person: Person, entitlement: Entitlement) -> list[str]:
    """Return addresses where the name stood; half a name is searched for, so that no page has to repeat it."""
    application, grant = f"/applications/{entitlement.application.slug}", person.grants.get()
    plain = "/ /leavers/ /expiries/ /operations/ /orphans/ /matrix/ /approvals/ /requests/ /notices/ /ledger/ /drift/"
    return [
        *plain.split(),
        *[
            "/people/",
            "/break-glass/",
            "/risk/",
            "/duties/",
            "/holds/",
            "/access/",
            "/policies/",
            "/reach/?at=2026-03-01",
        ],
        *["/people/?q=zenob", "/people/?show=left&q=quarterm", "/search/?q=zenob", "/search/?q=quarterm"],
        "/matrix/?at=2026-03-01",
        f"/ledger/?about=person:{person.ref}",
        f"/grants/{grant.pk}/",
        *(f"/requests/R-{one.number}/" for one in AccessRequest.objects.all()),
        *(f"/people/{person.ref}/{part}" for part in ("", "requests/", "history/")),
        f"/leavers/{person.ref}/",
        *(f"{application}/{part}" for part in ("", "accounts/", "history/")),
    ]


def shows(client: Client, path: str) -> bool:
    page = client.get(path, follow=True).content.decode().lower()
    # What somebody wrote stays as they wrote it.
    for one in (REASON.lower(), f"as {NAME} has it.".lower(), f"{NAME} may.".lower()):
        page = page.replace(one, "")
    return any(word in page for word in WORDS)


def test_no_ordinary_page_shows_the_name_to_anybody(
    zenobia: Person, sam: Person, linus: Person, ada: Person, analyst: Entitlement
) -> None:
    paths = pages(zenobia, analyst)
    readers = {person: Client() for person in (sam, linus, ada)}
    for person, client in readers.items():
        client.force_login(person)
    before = [path for path in paths if shows(readers[sam], path)]
    assert len(before) > 10, before

    restricted(zenobia, sam)

    assert [(str(person), path) for person, one in readers.items() for path in paths if shows(one, path)] == []
    page = readers[sam].get(f"/people/{zenobia.ref}/").content.decode()
    assert f"{str(zenobia.ref)[:8]} (restricted until 2033-" in page
    assert NAME in readers[sam].get("/ledger/privacy/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_evidence_still_names_them(zenobia: Person, sam: Person, signer: Signer) -> None:
    with time_machine.travel(APRIL, tick=False):
        restricted(zenobia, sam)
        seal(signer)

        built = test_erasing.bundle(signer, sam)

    assert NAME.encode() in (settings.BUNDLE_DIR / built.file_name).read_bytes()


def test_cancelling_puts_every_name_back(zenobia: Person, sam: Person) -> None:
    def said() -> list[tuple[str, str, str]]:
        people = Person.objects.filter(pk=zenobia.pk).values_list("display_name", "user_name", "email")
        return [*people, *zenobia.revisions.order_by("number").values_list("display_name", "user_name", "email")]

    before = said()
    erasure = restricted(zenobia, sam)
    assert all(NAME not in one for one in said())

    erasing.cancel(erasure, actor=acting(sam))

    assert said() == before
    assert not AsideName.objects.exists()
    assert Pending.objects.filter(body__event="subject.names_restored").exists()


def test_what_still_needs_the_name_keeps_it_until_it_is_gone(zenobia: Person, sam: Person) -> None:
    Account.objects.filter(person=zenobia).update(gone_at=None)
    assert restricted(zenobia, sam).person.display_name == NAME
    Account.objects.filter(person=zenobia).update(gone_at=zenobia.left_at)

    assert restricting.withhold_names(actor=TESTING) == 1
    assert restricting.withhold_names(actor=TESTING) == 0

    zenobia.refresh_from_db()
    assert "restricted until" in zenobia.display_name


def test_who_comes_back_has_their_name(zenobia: Person, sam: Person) -> None:
    restricted(zenobia, sam)
    with transaction.atomic():
        person = Person.objects.select_for_update().get(pk=zenobia.pk)
        Person.objects.filter(pk=person.pk).update(status="active", left_at=None)

    assert restricting.withhold_names(actor=TESTING) == 1

    zenobia.refresh_from_db()
    assert (zenobia.display_name, AsideName.objects.count()) == (NAME, 0)


def test_on_the_day_nothing_of_it_is_left(zenobia: Person, sam: Person, signer: Signer) -> None:
    erasure = restricted(zenobia, sam)
    seal(signer)

    with time_machine.travel(erasure.due_at, tick=False):
        assert erasing.erase_due(actor=TESTING) == 1

    seal(signer)
    assert places_with(WORDS) == []


def test_nobody_is_restricted_whose_erasure_does_not_wait(zenobia: Person) -> None:
    with pytest.raises(Exception, match="nothing restricts what is shown"), transaction.atomic():
        connection.cursor().execute("SELECT gatehouse_withhold(%s, 'x')", [zenobia.pk])
