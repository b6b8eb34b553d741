"""The page that answers who could reach what, as of any instant, as it was known at any other."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from governance.access import asof, grants
from governance.catalog import actions as catalog
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests import cast
from tests.web import stories
from tests.web.conftest import SignedIn

HTMX = {"HX-Request": "true"}
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def patients(noon: object, linus: Person) -> Entitlement:
    """A role that reaches patient data, in an application of Linus."""
    return cast.add_role(cast.add_application("Clinic", owner=linus), "Nurse", data_classes=["phi"])


def names(page: str) -> list[str]:
    """Return the people of the rows, in order."""
    body = page.rsplit("<tbody data-list>", maxsplit=1)[-1] if "<tbody data-list>" in page else ""
    return [part.split("</a>")[0].split(">")[-1] for part in body.split('class="rowlink trunc"')[1:]]


def test_nothing_is_answered_before_something_is_asked(sam: Person, signed_in: SignedIn) -> None:
    page = signed_in(sam).get("/reach/").content.decode()

    assert "Choose what you ask about" in page
    assert "Export CSV" not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("data=phi", ["Ada Lovelace"]),
        ("data=pii", []),
        ("app=clinic", ["Ada Lovelace"]),
        ("app=clinic&role=nurse", ["Ada Lovelace"]),
        ("app=snowflake&role=nurse", ["Ada Lovelace", "Grace Hopper"]),
        ("person=ada@halden.example", ["Ada Lovelace", "Ada Lovelace"]),
        ("person=ADA@halden.example&data=phi", ["Ada Lovelace"]),
        ("person=Grace Hopper", ["Grace Hopper"]),
    ],
)
def test_what_is_asked_about_narrows_the_answer(
    query: str,
    expected: list[str],
    ada: Person,
    grace: Person,
    patients: Entitlement,
    analyst: Entitlement,
    sam: Person,
    signed_in: SignedIn,
) -> None:
    for person, role in ((ada, patients), (ada, analyst), (grace, analyst)):
        stories.give(person, role, ends_in=None)

    page = signed_in(sam).get(f"/reach/?{query}").content.decode()

    assert names(page) == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("person=nobody", "Nobody is called that"),
        ("person=Ada Lovelace", "Several people are called that"),
        ("app=nothing", "There is no such application"),
        ("person=3f8b6a4e-1111-4222-8333-444455556666", "Nobody is called that"),
    ],
)
def test_what_is_not_found_is_said_in_words(
    query: str, said: str, ada: Person, sam: Person, signed_in: SignedIn
) -> None:
    cast.hire("Ada Lovelace", user_name="ada2@halden.example", email="ada2@halden.example", external_id="ada-2")

    page = signed_in(sam).get(f"/reach/?{query}").content.decode()

    assert said in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("at=yesterday", "Write the day as 2026-03-31."),
        ("at=2026-02-31", "Write the day as 2026-03-31."),
        ("at=2026-03-02T99:00", "Write the day as 2026-03-31."),
        ("at=1066-10-14", "That is before anything was recorded."),
        ("at=2026-03-04", "That day has not begun yet."),
        ("known=2026-03-04", "That day has not begun yet."),
        ("at=%00", "Write the day as 2026-03-31."),
    ],
)
def test_an_instant_that_cannot_be_read_is_said_and_now_is_shown(
    noon: object, query: str, said: str, sam: Person, signed_in: SignedIn
) -> None:
    page = signed_in(sam).get(f"/reach/?data=phi&{query}").content.decode()

    assert said in page


def test_an_instant_and_what_was_known_of_it(
    noon: time_machine.Traveller, ada: Person, patients: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    sam.time_zone = "UTC"
    grant = stories.give(ada, patients, ends_in=4 * HOUR)
    noon.shift(HOUR)
    grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=cast.TESTING)
    noon.shift(5 * HOUR)
    ask = signed_in(sam)

    found = [
        names(ask.get(f"/reach/?data=phi&at={at}&known={known}").content.decode())
        for at, known in [
            ("2026-03-03T12:00", ""),
            ("2026-03-03T15:00", ""),
            ("2026-03-03T15:00", "2026-03-03T12:30"),
            ("2026-03-03T15:00", "2026-03-03T11:59"),
            ("2026-03-03T11:59", "2026-03-03T12:30"),
        ]
    ]

    assert found == [["Ada Lovelace"], [], ["Ada Lovelace"], [], []]


def test_an_owner_is_answered_about_their_applications_only(
    ada: Person, linus: Person, patients: Entitlement, signed_in: SignedIn
) -> None:
    vault = cast.add_role(cast.add_application("Vault"), "Reader", data_classes=["phi"])
    stories.give(ada, vault)
    stories.give(ada, patients)
    ask = signed_in(linus)

    page = ask.get("/reach/?data=phi").content.decode()

    assert "Nurse" in page
    assert "Vault" not in page
    assert "it is not yours" in ask.get("/reach/?app=vault").content.decode()
    assert "Reader" not in ask.get(f"/reach/?person={ada.ref}").content.decode()
    assert "Reader" not in ask.post("/reach/export/", {"data": "phi"}).getvalue().decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("who", ["ada", "mallory"])
def test_it_is_not_for_employees(who: str, request: pytest.FixtureRequest, signed_in: SignedIn) -> None:
    ask = signed_in(request.getfixturevalue(who))

    assert ask.get("/reach/?data=phi").status_code == 403
    assert ask.post("/reach/export/", {"data": "phi"}).status_code == 403


def test_every_row_opens_its_why_and_counts_stand_by_role(
    ada: Person, grace: Person, patients: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    doctor = cast.add_role(patients.application, "Doctor", data_classes=["phi"])
    given = [stories.give(ada, patients), stories.give(grace, patients), stories.give(ada, doctor)]

    page = signed_in(sam).get("/reach/?data=phi", headers=HTMX).content.decode()

    assert all(f'href="/grants/{grant.pk}/"' in page for grant in given)
    assert "2 people can reach" in " ".join(page.split())
    assert "3 reasons" in page
    assert "Clinic, Nurse <b>2</b>" in page
    assert "Clinic, Doctor <b>1</b>" in page


def test_pages_go_on_and_back(
    patients: Entitlement, sam: Person, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asof, "PAGE_SIZE", 2)
    monkeypatch.setattr(asof.page, "__kwdefaults__", asof.page.__kwdefaults__ | {"limit": 2})
    for number in range(5):
        stories.give(cast.hire(f"Person{number} Test"), patients)
    ask = signed_in(sam)

    pages, address = [], "/reach/?data=phi"
    while address:
        page = ask.get(address).content.decode()
        pages.append(names(page))
        address = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&") if 'rel="next"' in page else ""
        address = f"/reach/{address}" if address else ""
    back = page.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")

    assert pages == [["Person0 Test", "Person1 Test"], ["Person2 Test", "Person3 Test"], ["Person4 Test"]]
    assert names(ask.get(f"/reach/{back}").content.decode()) == pages[1]


def test_an_export_is_whole_guarded_and_recorded_with_its_digest(
    ada: Person, patients: Entitlement, sam: Person, signed_in: SignedIn
) -> None:
    evil = cast.hire("Eve Sum", display_name="=SUM(A1)", user_name="eve@halden.example")
    grant = stories.give(evil, patients)
    stories.give(ada, patients)

    answer: Any = signed_in(sam).post("/reach/export/", {"data": "phi", "person": ""})

    file = answer.getvalue()
    rows = list(csv.DictReader(io.StringIO(file.decode())))
    entry = Pending.objects.filter(body__event="reach.exported").get().body
    assert [row["name"] for row in rows] == ["'=SUM(A1)", "Ada Lovelace"]
    assert (rows[0]["grant"], rows[0]["data_classes"]) == (str(grant.pk), "phi")
    assert (entry["data"]["rows"], entry["data"]["data_class"]) == (2, "phi")
    assert entry["data"]["sha256"] == hashlib.sha256(file).hexdigest()


def test_an_export_of_nothing_in_particular_is_refused_and_not_recorded(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).post("/reach/export/", {}).status_code == 404

    assert not Pending.objects.filter(body__event="reach.exported").exists()


def test_hostile_names_stay_text(sam: Person, snowflake: Application, signed_in: SignedIn) -> None:
    role = catalog.add_entitlement(
        snowflake, stories.HOSTILE, sentence=stories.HOSTILE, target_ref="x", data_classes=["phi"], actor=cast.TESTING
    )
    stories.give(cast.hire("Eve", display_name=stories.HOSTILE, department=stories.HOSTILE), role)
    ask = signed_in(sam)

    for query in (
        "data=phi",
        f"data=phi&person={stories.HOSTILE}",
        "app=snowflake&role=x%27%22",
        "data=phi&at=%3Cb%3E",
    ):
        page = ask.get(f"/reach/?{query}").content.decode()
        assert "<img src=x" not in page
        assert "<b>x" not in page


@pytest.mark.parametrize("people", [1, 7])
@pytest.mark.parametrize("query", ["data=phi", "data=phi&app=clinic&role=nurse", "person=person0@halden.example"])
def test_the_page_costs_a_fixed_number_of_statements(
    people: int,
    query: str,
    patients: Entitlement,
    sam: Person,
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(people):
        stories.give(cast.hire(f"Person{number} Test"), patients)
    ask = signed_in(sam)

    with django_assert_max_num_queries(12):
        assert ask.get(f"/reach/?{query}").status_code == 200


@pytest.mark.parametrize("page", ["/people/{ref}/", "/applications/clinic/"])
def test_the_pages_of_a_person_and_an_application_look_back_as_known(
    noon: time_machine.Traveller,
    page: str,
    ada: Person,
    patients: Entitlement,
    sam: Person,
    signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    grant = stories.give(ada, patients, ends_in=4 * HOUR)
    noon.shift(HOUR)
    grants.shorten(grant, ends_at=NOON + 2 * HOUR, actor=cast.TESTING)
    noon.shift(5 * HOUR)
    ask, address = signed_in(sam), page.format(ref=ada.ref)

    shown = []
    for known in ("", "2026-03-03T12:30", "2026-03-03T11:00"):
        with django_assert_max_num_queries(16):
            answer = ask.get(f"{address}?at=2026-03-03T15:00&known={known}").content.decode()
        shown.append(f'href="/grants/{grant.pk}/"' in answer)

    assert shown == [False, True, False]
    assert now() > NOON
