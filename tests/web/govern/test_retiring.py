"""Retiring on a page: what happens is shown by name first, and only owners of it and security do it."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import grants
from governance.access.models import Grant, GrantCause
from governance.access.sweep import sweep
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.cast import TESTING
from tests.web.conftest import SignedIn

ROLE = "/applications/snowflake/roles/analyst/retire/"
APPLICATION = "/applications/snowflake/retire/"


@pytest.fixture
def held(ada: Person, analyst: Entitlement) -> Grant:
    new = grants.NewGrant(ada.pk, analyst.pk, analyst.application_id, GrantCause.MANUAL, now())
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def seen(page: str) -> str:
    return re.findall(r'name="seen" value="([^"]+)"', page)[0]


@pytest.mark.parametrize(
    ("path", "then"), [(ROLE, "/applications/snowflake/roles/"), (APPLICATION, "/applications/snowflake/")]
)
def test_the_owner_sees_who_loses_access_and_then_retires(
    path: str, then: str, held: Grant, linus: Person, signed_in: SignedIn
) -> None:
    client = signed_in(linus)
    page = client.get(path).content.decode()
    answer = client.post(path, {"seen": seen(page)})
    sweep()

    held.refresh_from_db()
    assert "Ada Lovelace" in page
    assert "1 person loses access" in page
    assert (answer.status_code, answer.headers["Location"]) == (302, then)
    assert held.end_cause == "retired"
    assert "Retired" in client.get(then).content.decode()


@pytest.mark.parametrize("path", [ROLE, APPLICATION])
@pytest.mark.parametrize("who", ["ada", "audrey", "mallory", "other owner"])
def test_browserstack_enigma_317_nobody_else_retires_anything(
    who: str, path: str, held: Grant, signed_in: SignedIn, request: pytest.FixtureRequest
) -> None:
    if who == "other owner":
        person = cast.hire("Olga Stern")
        cast.add_application("Ledgerline", owner=person)
    else:
        person = request.getfixturevalue(who)
    client = signed_in(person)

    assert client.get(path).status_code == 403
    assert client.post(path, {"seen": "x"}).status_code == 403
    assert not Application.objects.filter(retired_at__isnull=False).exists()
    assert not Entitlement.objects.filter(retired_at__isnull=False).exists()


@pytest.mark.parametrize("path", [ROLE, APPLICATION])
def test_what_changed_since_the_look_is_shown_again(path: str, held: Grant, sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    for words in ({}, {"seen": "1-1-0-0-0"}):
        answer = client.post(path, words)

        assert answer.status_code == 409
        assert "nothing was retired" in answer.content.decode()
    assert not Entitlement.objects.filter(retired_at__isnull=False).exists()


@pytest.mark.parametrize("path", [ROLE, APPLICATION])
def test_a_look_takes_at_most_twelve_statements(path: str, held: Grant, linus: Person, signed_in: SignedIn) -> None:
    client = signed_in(linus)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200

    assert len(asked) <= 12, [one["sql"][:90] for one in asked]


def test_a_retired_application_offers_nothing_and_is_not_retired_again(
    held: Grant, linus: Person, signed_in: SignedIn
) -> None:
    client = signed_in(linus)
    client.post(APPLICATION, {"seen": seen(client.get(APPLICATION).content.decode())})
    before = client.get("/applications/snowflake/").content.decode()
    sweep()
    after = client.get("/applications/snowflake/").content.decode()

    assert "1 grant has not ended yet" in before
    assert "Every access has ended" in after
    assert "Add role" not in after
    assert client.get(APPLICATION).status_code == 409
    assert client.get("/applications/snowflake/new-role/").status_code == 409
    assert "Snowflake" not in client.get("/applications/").content.decode().split("<tbody")[-1]
