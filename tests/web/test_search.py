"""The palette: it finds what the reader may see, and nothing else."""

from __future__ import annotations

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from tests.web import stories
from tests.web.conftest import SignedIn

PART = {"HX-Request": "true"}


def test_without_words_it_lists_the_pages(ada: Person, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/search/", headers=PART).content.decode()

    assert "My access" in page
    assert "Ledger" not in page
    assert "<html" not in page


def test_applications_are_found_by_name(ada: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/search/?q=snow", headers=PART).content.decode()

    assert "/access/snowflake/request/" in page
    assert "/applications/snowflake/" not in page


def test_an_employee_finds_no_people(ada: Person, grace: Person, signed_in: SignedIn) -> None:
    assert "Grace Hopper" not in signed_in(ada).get("/search/?q=grace").content.decode()


def test_a_security_administrator_finds_people(sam: Person, ada: Person, signed_in: SignedIn) -> None:
    assert f"/people/{ada.ref}/" in signed_in(sam).get("/search/?q=lovel").content.decode()


def test_an_owner_finds_the_people_of_their_applications(
    linus: Person, ada: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)

    client = signed_in(linus)

    assert f"/people/{ada.ref}/" in client.get("/search/?q=ada").content.decode()
    assert f"/people/{mallory.ref}/" not in client.get("/search/?q=mallory").content.decode()


def test_requests_are_found_by_number_only_by_those_who_may_see_them(
    ada: Person, mallory: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    request = stories.submit(ada, analyst)

    assert f"/requests/R-{request.number}/" in signed_in(ada).get(f"/search/?q=R-{request.number}").content.decode()
    assert "/requests/R-" not in signed_in(mallory).get(f"/search/?q={request.number}").content.decode()


def test_words_come_back_escaped(ada: Person, signed_in: SignedIn) -> None:
    page = signed_in(ada).get("/search/?q=<script>alert(1)</script>").content.decode()

    assert "<script>alert(1)</script>" not in page
