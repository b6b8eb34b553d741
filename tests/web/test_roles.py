"""Who may open which page."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory

from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound, Reason, Refused
from governance.identity.models import Person
from governance.web import errors
from tests.web.conftest import SignedIn


def test_signed_out_people_are_sent_to_sign_in_and_come_back(db: None) -> None:
    answer = Client().get("/me/access/?x=1")

    assert answer.status_code == 302
    assert answer.url == "/sign-in/?next=%2Fme%2Faccess%2F%3Fx%3D1"


def test_a_signed_out_htmx_request_leaves_the_page_instead_of_swapping_the_sign_in_into_it(db: None) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/access/?q=snow"}

    answer = Client().get("/access/", headers=headers)

    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in/?next=%2Faccess%2F%3Fq%3Dsnow"


@pytest.mark.parametrize("wrong", ["ada", "linus", "audrey"])
def test_the_kit_is_for_security_administrators(
    wrong: str, request: pytest.FixtureRequest, sam: Person, signed_in: SignedIn
) -> None:
    assert signed_in(sam).get("/kit/").status_code == 200

    answer = signed_in(request.getfixturevalue(wrong)).get("/kit/")

    assert answer.status_code == 403
    assert "This page is for security administrators." in answer.content.decode()


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (NotFound("There is no request R-1."), 404, "There is no request R-1."),
        (NotAllowed("This page is for auditors."), 403, "This page is for auditors."),
        (Conflict("Grace declined this at 14:02."), 409, "Grace declined this at 14:02."),
        (Refused([Reason("a", "One reason."), Reason("b", "Another.")]), 409, "Another."),
        (Invalid({"name": "Give it a name."}), 400, "Give it a name."),
    ],
    ids=["not found", "not allowed", "conflict", "refused", "invalid"],
)
@pytest.mark.parametrize("is_htmx", [False, True], ids=["page", "htmx"])
def test_each_error_of_the_rooms_has_its_answer(
    error: Exception, status: int, sentence: str, is_htmx: bool, ada: Person
) -> None:
    request = RequestFactory().get("/", headers={"HX-Request": "true"} if is_htmx else {})

    answer = errors.answer(request, error)

    assert answer.status_code == status
    assert sentence in answer.content.decode()
    assert answer["Content-Type"].startswith("text/plain" if is_htmx else "text/html")


def test_an_unknown_address_has_a_page_with_a_way_on(ada: Person, signed_in: SignedIn) -> None:
    answer = signed_in(ada).get("/nowhere/")

    assert answer.status_code == 404
    assert 'href="/"' in answer.content.decode()


def test_a_broken_server_says_so_without_the_database() -> None:
    answer = errors.server_error(RequestFactory().get("/"))

    assert answer.status_code == 500
    assert "Nothing was changed" in answer.content.decode()


def test_a_form_from_elsewhere_is_refused(ada: Person, signed_in: SignedIn) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    answer = client.post("/settings/theme/")

    assert answer.status_code == 403
    assert "Reload the page" in answer.content.decode()
