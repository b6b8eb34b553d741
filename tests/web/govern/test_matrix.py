"""The matrix as a page: cells, filters, the sentence about completeness, the export."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from governance.access.matrix import Access, Column
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.web.govern.cells import cell_of
from governance.web.govern.completeness import Source, said
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn
from tests.web.govern import world

SNOWFLAKE = Column(1, "snowflake", "Snowflake", "snowflake", 4)
HTMX = {"HX-Request": "true"}


def access(kind: str, role: str = "Analyst", *, risk: int = 2, minutes: int = 120, powerful: bool = False) -> Access:
    """Return an access that began an hour ago."""
    at = now()
    ends_at = at + timedelta(minutes=minutes) if kind in ("temporary", "breakglass") else None
    return Access(kind, 1, role, powerful, risk, at - timedelta(hours=1), ends_at, "grant", 1)


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [
        (["birthright", "pending"], "pending"),
        (["pending", "standing"], "standing"),
        (["standing", "temporary"], "temporary"),
        (["temporary", "drift"], "drift"),
        (["drift", "orphan"], "orphan"),
        (["orphan", "breakglass"], "breakglass"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_cell_shows_what_carries_most_risk(kinds: list[str], shown: str) -> None:
    found = [access(kind, f"Role {number}") for number, kind in enumerate(kinds)]

    cell = cell_of(found, SNOWFLAKE, "/", now())

    assert (cell.kind, cell.more) == (shown, 1)


@pytest.mark.parametrize(("minutes", "soon"), [(31, False), (29, True)])
def test_access_turns_amber_under_thirty_minutes(minutes: int, soon: bool) -> None:
    cell = cell_of([access("temporary", minutes=minutes)], SNOWFLAKE, "/", now())

    assert cell.is_ending is soon
    assert cell.text.endswith("min")


def test_a_powerful_role_marks_the_cell_unless_it_is_only_asked_for() -> None:
    held = cell_of([access("standing", powerful=True)], SNOWFLAKE, "/", now())
    asked = cell_of([access("pending", powerful=True)], SNOWFLAKE, "/", now())

    assert (held.is_privileged, asked.is_privileged) == (True, False)


def test_completeness_is_a_sentence_that_names_what_is_old() -> None:
    at = now()
    fresh = Source("GitHub", True, at - timedelta(minutes=4))
    old = Source("Snowflake", True, at - timedelta(hours=2))
    never = Source("Okta", True, None)
    by_hand = Source("NetSuite", False, None)

    assert said([fresh], at).sentence == "Complete: the one application read in the last 4 min"
    assert said([fresh, by_hand], at).is_complete
    assert "Snowflake was not read for 2 h" in said([fresh, old], at).sentence
    assert "Okta was never read to the end" in said([never, fresh], at).sentence
    assert not said([by_hand], at).is_complete


def test_the_page_shows_people_columns_and_counts(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)
    world.account(analyst.application, "svc-backup")

    page = signed_in(sam).get("/matrix/").content.decode()

    assert "Ada Lovelace" in page
    assert "Snowflake: Temporary, Analyst" in page
    assert "svc-backup" in page
    assert '<b id="n-temporary">1</b>' in page


def test_the_page_stays_within_twelve_statements(
    sam: Person, analyst: Entitlement, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        stories.give(cast.hire(f"P{number:02d} Person"), analyst)
    client = signed_in(sam)

    with django_assert_max_num_queries(12):
        client.get("/matrix/")


def test_htmx_gets_the_grid_and_what_changes_with_it(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(sam).get("/matrix/?q=sam", headers=HTMX).content.decode()

    assert "<html" not in page
    assert 'id="grid"' in page
    assert 'hx-target="#n-orphan"' in page
    assert 'hx-target="#live"' in page


def test_filters_without_a_hit_can_be_good_news(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    page = signed_in(sam).get("/matrix/?type=breakglass").content.decode()

    assert "Nothing matches these filters" in page


def test_the_first_day_offers_to_connect_an_application(sam: Person, audrey: Person, signed_in: SignedIn) -> None:
    for person in (sam, audrey):
        Person.objects.filter(pk=person.pk).update(department="")

    assert "Connect the first one" not in signed_in(audrey).get("/matrix/?type=standing").content.decode()
    assert "Connect the first one" in signed_in(sam).get("/matrix/?type=standing").content.decode()


@pytest.mark.parametrize("day", ["2999-01-01", "1066-10-14", "yesterday"])
def test_a_day_that_cannot_be_asked_about_is_refused_and_now_is_shown(
    day: str, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).get(f"/matrix/?at={day}")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in page
    assert "What is shown is now." in page


def test_the_past_says_so(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    day = (now() - timedelta(days=2)).date()

    page = signed_in(sam).get(f"/matrix/?at={day}", headers=HTMX).content.decode()

    assert "As of" in page.split('id="summary"')[1].split("</p>")[0]


def test_hostile_names_stay_text_everywhere_in_the_grid(sam: Person, linus: Person, signed_in: SignedIn) -> None:
    application = cast.add_application(stories.HOSTILE, owner=linus, slug="hostile")
    role = cast.add_role(application, "Analyst")
    Entitlement.objects.filter(pk=role.pk).update(name=stories.HOSTILE)
    stories.give(cast.hire(stories.HOSTILE, title=stories.HOSTILE, department=stories.HOSTILE), role, ends_in=None)
    world.account(application, stories.HOSTILE)

    page = signed_in(sam).get("/matrix/").content.decode()

    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    """Return the rows of the export."""
    answer = client.post("/matrix/export/", dict(part.split("=") for part in query.split("&") if part))
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_the_export_is_recorded_and_keeps_the_filters(
    ada: Person, mallory: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)
    stories.give(mallory, analyst, ends_in=None)

    rows = exported(signed_in(sam), "q=lovelace")

    assert [(row["name"], row["application"], row["kind"]) for row in rows] == [
        ("Ada Lovelace", "Snowflake", "temporary")
    ]
    body = Pending.objects.filter(body__event="matrix.exported").get().body
    assert body["data"]["rows"] == 1
    assert "lovelace" not in str(body)
    assert set(body["private"]) == {"search"}


def test_the_export_is_safe_in_a_spreadsheet(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    stories.give(cast.hire("=HYPERLINK(1) Person", title="+1"), analyst)

    (row,) = exported(signed_in(sam))

    assert row["name"].startswith("'=")
    assert row["title"] == "'+1"


def test_the_export_changes_something_so_it_is_no_get(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/matrix/export/").status_code == 405


def test_an_owner_exports_only_their_applications(
    ada: Person, linus: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    stories.give(ada, analyst)
    stories.give(ada, cast.add_role(cast.add_application("NetSuite"), "Clerk"))

    assert {row["application"] for row in exported(signed_in(linus))} == {"Snowflake"}


def test_what_is_too_much_to_count_is_said_and_no_number_is_shown(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories.give(ada, analyst)
    monkeypatch.setattr("governance.access.matrix.MOST_COST", 0)

    for address in ("/matrix/", "/matrix/?type=temporary"):
        page = signed_in(sam).get(address).content.decode()
        assert "Ada Lovelace" in page
        assert "more access than is counted while you wait" in page
        assert '<b id="n-temporary"></b>' in page


@pytest.mark.parametrize(
    ("at", "linked"),
    [("2026-03-03", "2026-03-03"), ("2026-03-03T12:00", "2026-03-03T12:00:00")],
    ids=["day", "instant"],
)
def test_a_cell_opens_at_the_instant_of_the_matrix(
    at: str, linked: str, sam: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    with time_machine.travel("2026-03-03T10:00Z", tick=False):
        ada = cast.hire("Ada Lovelace")
        stories.give(ada, cast.add_role(snowflake, "Viewer"), ends_in=None)

    page = signed_in(sam).get(f"/matrix/?at={at}").content.decode()

    assert f"/matrix/{ada.ref}/snowflake/?at={linked}" in page
