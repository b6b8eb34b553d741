"""The pages of exceptions: the list, one of them with its answer, readings, and what controls say of today."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import expect

from governance.catalog.models import Application
from governance.core.clock import now
from governance.exceptions.days import day_of, quarter_of
from governance.exceptions.models import ControlException, Reading, ReportReading, Statement
from governance.identity.models import Person
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong

LIST, READINGS = "/control-exceptions/", "/control-exceptions/readings/"


@pytest.fixture
def reading(db: None) -> Reading:
    """A finished reading of two reports of this quarter; the second could not be read."""
    at = now() - timedelta(hours=1)
    first, _ = quarter_of(day_of(at))
    reading = Reading.objects.create(
        first_day=first, last_day=day_of(at), zone="UTC", known_at=at, ledger_size=0, reports=["R05", "R07"],
        begun_at=at, correlation_id="0" * 32,
    )  # fmt: skip
    counted = {"rows": 9, "exceptions": 2, "opened": 2, "reopened": 0, "changed": 0, "gone": 0}
    ReportReading.objects.create(reading=reading, report="R05", outcome="read", read_at=at, **counted)
    why = "It took longer than 10 minutes."
    ReportReading.objects.create(reading=reading, report="R07", outcome="unreadable", why=why, read_at=at)
    return reading


def found_in(reading: Reading, row: str = "person:one:0001", **known: Any) -> ControlException:
    return ControlException.objects.create(
        report="R05", row_id=row, codes="still_open over_sla", period_first=reading.first_day,
        first_seen_at=reading.known_at, open_since=reading.known_at, turn="opened", turned_by=reading, **known,
    )  # fmt: skip


def page_of(found: ControlException, act: str = "") -> str:
    return f"{LIST}{found.ref}/{act}"


def said(found: ControlException, **known: Any) -> dict[str, Any]:
    return {"owner": "", "explanation": "", "fix_by": "", "after": found.statements_made, **known}


def test_everybody_sees_what_they_answer_for_and_those_who_govern_see_all(
    reading: Reading, snowflake: Application, linus: Person, mallory: Person, audrey: Person, signed_in: SignedIn
) -> None:
    mine = found_in(reading, application=snowflake)
    other = found_in(reading, "person:two:0001")

    shown = {
        person.display_name: [str(one.ref) in signed_in(person).get(LIST).content.decode() for one in (mine, other)]
        for person in (linus, mallory, audrey)
    }

    assert shown == {"Linus Berg": [True, False], "Mallory Grey": [False, False], "Audrey Stone": [True, True]}
    assert signed_in(linus).get(page_of(other)).status_code == 404
    assert signed_in(mallory).get(page_of(mine)).status_code == 404
    assert signed_in(audrey).post(page_of(mine, "answer/"), said(mine, explanation="No.")).status_code == 403
    assert signed_in(mallory).post(page_of(mine, "answer/"), said(mine, explanation="No.")).status_code == 404
    assert signed_in(linus).post(page_of(mine, "accept/"), {}).status_code == 403
    assert signed_in(audrey).post(f"{READINGS}now/").status_code == 403
    assert not Statement.objects.exists()


def test_the_list_is_narrowed_by_state_owner_application_age_and_control(
    reading: Reading, snowflake: Application, linus: Person, sam: Person, signed_in: SignedIn
) -> None:
    today = day_of(now())
    rows = {
        "open": found_in(reading, "a", application=snowflake),
        "overdue": found_in(reading, "b", fix_by=today - timedelta(days=1), explanation="x", owner=sam),
        "accepted": found_in(reading, "c", accepted_until=today, explanation="x"),
        "explained": found_in(reading, "d", explanation="x"),
        "fixed": found_in(reading, "e"),
        "earlier": found_in(reading, "f"),
    }
    every = ControlException.objects
    every.filter(row_id="e").update(turn="gone", gone_at=now())
    every.filter(row_id="f").update(period_first=reading.first_day - timedelta(days=90))
    every.filter(row_id="d").update(open_since=now() - timedelta(days=40))
    client = signed_in(sam)

    def shown(words: str) -> set[str]:
        content = client.get(f"{LIST}?{words}").content.decode()
        return {name for name, one in rows.items() if str(one.ref) in content}

    for state in rows:
        assert shown(f"state={state}") == {state}
    assert shown("") == {"open", "overdue", "accepted", "explained"}
    assert shown("application=snowflake") == {"open"}
    assert shown("owner=me") == {"overdue"}
    assert shown("owner=nobody") == {"accepted", "explained"}
    assert shown("age=30") == {"explained"}
    assert shown("control=soc2:CC6.2") == {"open", "overdue", "accepted", "explained"}
    assert shown("control=soc2:CC8.1") == set()
    assert shown("report=R07") == set()
    assert client.get(f"{LIST}?control=soc2:nothing").status_code == 404
    assert client.get(f"{LIST}?state=nothing").status_code == 400


def test_an_answer_that_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    reading: Reading, snowflake: Application, linus: Person, signed_in: SignedIn
) -> None:
    found = found_in(reading, application=snowflake)
    typed = said(found, owner="nobody@nowhere.example", explanation="The import was late.", fix_by="2020-01-01")

    unknown = signed_in(linus).post(page_of(found, "answer/"), typed)
    past = signed_in(linus).post(page_of(found, "answer/"), {**typed, "owner": ""})

    assert (unknown.status_code, past.status_code) == (422, 422)
    assert "Nobody has the address nobody@nowhere.example." in unknown.content.decode()
    assert "Give a day from today" in past.content.decode()
    assert all("The import was late." in one.content.decode() for one in (unknown, past))


def test_a_risk_is_accepted_on_the_page(reading: Reading, sam: Person, signed_in: SignedIn) -> None:
    found = found_in(reading)
    until = (day_of(now()) + timedelta(days=9)).isoformat()

    refused = signed_in(sam).post(
        page_of(found, "accept/"), {"accept-until": until, "accept-why": "", "accept-after": 0}
    )
    signed_in(sam).post(
        page_of(found, "accept/"), {"accept-until": until, "accept-why": "Until the move.", "accept-after": 0}
    )

    assert (refused.status_code, "Say why the risk is carried." in refused.content.decode()) == (422, True)
    content = signed_in(sam).get(page_of(found)).content.decode()
    assert "Risk accepted" in content
    assert "Until the move." in content


def test_a_control_says_how_many_there_are_today_and_what_could_not_be_read(
    reading: Reading, audrey: Person, signed_in: SignedIn
) -> None:
    found_in(reading, "a")
    found_in(reading, "b", fix_by=day_of(now()) - timedelta(days=1))

    every = signed_in(audrey).get("/evidence/controls/soc2/").content.decode()
    one = signed_in(audrey).get("/evidence/controls/soc2/CC6.2/").content.decode()
    hit = signed_in(audrey).get("/evidence/controls/soc2/CC6.6/").content.decode()

    assert "?control=soc2:CC6.2" in every
    assert ">2</a>" in every
    assert "Overdue" in one
    assert "R07 could not be read by the last reading, so it is not known." in hit
    # Nothing that could be read speaks to CC1.5: a zero would claim that something was looked at.
    assert "No report to read" in every


def test_who_answers_for_a_report_is_said_by_security(
    db: None, sam: Person, audrey: Person, grace: Person, signed_in: SignedIn
) -> None:
    path = f"{LIST}owners/r05/"
    refused = signed_in(audrey).post(path, {"owner": grace.email})
    unknown = signed_in(sam).post(path, {"owner": "nobody@nowhere.example"})
    signed_in(sam).post(path, {"owner": grace.email})

    assert (refused.status_code, unknown.status_code) == (403, 422)
    assert "Nobody has the address nobody@nowhere.example." in unknown.content.decode()
    assert 'value="nobody@nowhere.example"' in unknown.content.decode()
    assert "Grace Hopper" in signed_in(audrey).get(f"{LIST}owners/").content.decode()
    assert signed_in(sam).post(f"{LIST}owners/r99/", {"owner": ""}).status_code == 404


def test_before_the_first_reading_nothing_is_claimed(db: None, sam: Person, signed_in: SignedIn) -> None:
    assert "Nothing was read yet" in signed_in(sam).get(LIST).content.decode()
    assert "Nothing was read yet" in signed_in(sam).get(READINGS).content.decode()
    controls = signed_in(sam).get("/evidence/controls/soc2/").content.decode()
    assert "Not read yet" in controls


@pytest.mark.parametrize("path", [LIST, READINGS, "/evidence/controls/soc2/", "one"])
def test_each_page_asks_a_fixed_number_of_questions(
    reading: Reading, snowflake: Application, sam: Person, ada: Person, signed_in: SignedIn, path: str
) -> None:
    for number in range(5):
        found = found_in(reading, str(number), application=snowflake, person=ada, owner=sam)
    client = signed_in(sam)

    with CaptureQueriesContext(connection) as asked:
        client.get(page_of(found) if path == "one" else path)

    said = [one["sql"] for one in asked.captured_queries if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(said) <= 12, "\n".join(one[:160] for one in said)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_an_owner_answers_without_script_and_the_pages_are_sound(
    reading: Reading, snowflake: Application, linus: Person, sam: Person, reader: Open
) -> None:
    found = found_in(reading, application=snowflake)
    page = reader(linus, java_script_enabled=False).open(LIST)
    page.locator("tbody tr").first.get_by_role("link").click()
    page.get_by_label("Why it is there").fill("The import was late.")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Your answer is saved.")).to_be_visible()
    expect(page.get_by_role("heading", name="Snowflake").first).to_contain_text("Explained")
    paths = [
        LIST,
        page_of(found),
        READINGS,
        "/evidence/controls/soc2/",
        "/evidence/controls/soc2/CC6.2/",
        f"{LIST}owners/",
    ]
    assert what_is_wrong(reader(sam), paths) == []
