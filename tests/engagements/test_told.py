"""Who is told in an audit: its hosts what is asked, its auditors what is given, both when it is about to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.core.clock import now
from governance.engagements import asking, inviting, opening, reminding
from governance.engagements.models import AuditRequest, Engagement
from governance.identity.models import Person
from governance.identity.roles import remove_role
from governance.ledger.sequencer import seal_everything
from governance.notices import preferences
from governance.notices.letters import letter
from governance.notices.models import Notice
from governance.notices.reading import read_on
from tests import cast
from tests.cast import TESTING, acting
from tests.engagements.conftest import LAST_DAY, SIGNER
from tests.evidence.issued import APRIL

Tell = Callable[[], int]


@pytest.fixture(autouse=True)
def _in_april(audit: Engagement) -> Iterator[None]:
    with time_machine.travel(APRIL, tick=False):
        yield


@pytest.fixture
def tell(audit: Engagement) -> Tell:
    """Seal what was recorded and read it, once before the test as well; return how many notices came of it."""

    def run() -> int:
        seal_everything(signer=SIGNER)
        return read_on()

    run()
    return run


def told(person: Person) -> list[str]:
    found = Notice.objects.filter(person=person, kind__startswith="audit.").order_by("id")
    return [f"{one.kind}{'' if one.settled_at is None else ' over'}" for one in found]


def test_the_company_is_told_what_is_asked_and_the_auditor_what_is_given(
    audit: Engagement, gil: Person, sam: Person, audrey: Person, tell: Tell
) -> None:
    asked = asking.add_request(audit, "Who is on call?", actor=acting(gil))
    tell()
    assert (told(sam), told(gil)) == (["audit.asked"], [])
    asking.answer(asked, "Grace is.", actor=acting(sam))
    tell()
    assert (told(sam), told(gil)) == (["audit.asked over"], ["audit.answered"])
    asking.flag(asked, "And at night?", actor=acting(gil))
    asking.say(asked, "We look.", actor=acting(sam))
    tell()

    assert told(sam) == ["audit.asked over", "audit.flagged"]
    assert told(gil) == ["audit.answered over", "audit.said"]
    assert told(audrey) == []
    (note,) = Notice.objects.filter(kind="audit.flagged")
    assert (note.facts["audit"], note.facts["asked"], note.facts["actor"]) == ("SOC 2 for March", 24, "Gil Outside")
    assert tell() == 0


def test_a_colleague_who_audits_is_told_of_what_they_took_part_in(
    audit: Engagement, leavers: AuditRequest, sam: Person, audrey: Person, tell: Tell
) -> None:
    asking.answer(leavers, "Here.", actor=acting(sam))
    tell()
    before = told(audrey)
    asking.flag(leavers, "One is missing.", actor=acting(audrey))
    asking.answer(leavers, "Now.", actor=acting(sam))
    asking.say(leavers, "Thank you.", actor=acting(audrey))
    tell()

    assert before == []
    assert told(audrey) == ["audit.answered"]
    # The flag was answered before anybody could be told of it.
    assert told(sam) == ["audit.said"]


def test_where_who_opened_it_no_longer_runs_gatehouse_every_administrator_is_told(
    audit: Engagement, gil: Person, sam: Person, tell: Tell
) -> None:
    other = cast.make_security_admin(cast.hire("Olga Other"))
    remove_role(sam, "security_admin", actor=TESTING)

    asking.add_request(audit, "Who is on call?", actor=acting(gil))
    tell()

    assert (told(sam), told(other)) == ([], ["audit.asked"])


def test_a_guest_who_comes_is_announced(audit: Engagement, sam: Person, tell: Tell) -> None:
    _, token = inviting.invite(audit, "hannah@audit.example", "Hannah Vogt", actor=acting(sam))
    inviting.accept(token, password="a few words in a row", actor=TESTING)
    tell()

    assert told(sam) == ["audit.came"]
    (note,) = Notice.objects.filter(kind="audit.came")
    body = letter(sam, [note], "one").message.body
    assert "Hannah Vogt came to the audit SOC 2 for March" in body
    assert f"/engagements/{audit.ref}/" in body


@pytest.mark.parametrize("way", ["withdrawn", "ended"])
def test_a_guest_who_no_longer_looks_is_told_nothing(
    way: str, audit: Engagement, leavers: AuditRequest, gil: Person, sam: Person, tell: Tell
) -> None:
    if way == "withdrawn":
        inviting.withdraw(audit.guests.get(), actor=acting(sam))
    asking.answer(leavers, "Here.", actor=acting(sam))
    with time_machine.travel(audit.ends_at if way == "ended" else now()):
        tell()

    assert told(gil) == []


def test_both_are_told_a_week_and_a_day_before_the_end_and_not_of_one_that_moved(
    audit: Engagement, gil: Person, sam: Person, tell: Tell
) -> None:
    def at(before: timedelta) -> int:
        audit.refresh_from_db()
        with time_machine.travel(audit.ends_at - before):
            return reminding.warn_of_ends()

    counts = [at(timedelta(days=days, minutes=1)) for days in (7, 6, 5, 1)]
    counts += [at(timedelta(hours=23)), at(timedelta(hours=1)), at(-timedelta(hours=1))]
    assert counts == [0, 2, 0, 0, 2, 0, 0]
    assert told(sam) == told(gil) == ["audit.ending", "audit.ending"]
    assert Notice.objects.filter(kind="audit.ending").first().facts["waiting"] == 23  # type: ignore[union-attr]

    opening.extend(audit, LAST_DAY + timedelta(days=30), actor=acting(sam))
    tell()
    assert told(gil) == ["audit.ending over", "audit.ending over"]
    assert at(timedelta(days=6)) == 2
    opening.close(audit, actor=acting(sam))
    assert at(timedelta(hours=3)) == 0


def test_a_short_audit_has_no_word_a_week_before(sam: Person, audit: Engagement) -> None:
    days = {"first": "2026-03-01", "last": "2026-03-31", "zone": "UTC"}
    short = opening.open_engagement(
        "Short", "soc2", **days, ends_on=(APRIL + timedelta(days=4)).date(), actor=acting(sam)
    )

    assert reminding.warn_of_ends() == 0
    with time_machine.travel(short.ends_at - timedelta(hours=20)):
        assert reminding.warn_of_ends() == 1


def test_a_guest_is_written_to_and_chooses_how_often(audit: Engagement, gil: Person, sam: Person, tell: Tell) -> None:
    asking.answer(audit.requests.get(report="R05"), "Here.", actor=acting(sam))
    tell()
    (note,) = Notice.objects.filter(person=gil)

    mail = letter(gil, [note], "one").message

    assert mail.to == [gil.email]
    assert "Request 5 of the audit SOC 2 for March was answered" in mail.body
    assert f"/engagements/{audit.ref}/requests/5/" in mail.body


def test_reading_costs_the_same_however_many_requests_there_are(audit: Engagement, gil: Person, tell: Tell) -> None:
    def cost(number: int) -> int:
        for _ in range(number):
            asking.add_request(audit, "Again?", actor=acting(gil))
        seal_everything(signer=SIGNER)
        with CaptureQueriesContext(connection) as seen:
            assert read_on() == number
        return len(seen)

    cost(1)
    assert cost(2) == cost(5)


def test_a_guest_chooses_how_soon_they_are_written_to_and_sees_no_other_group(audit: Engagement, gil: Person) -> None:
    client = Client()
    client.force_login(gil)

    page = client.get("/settings/notices/").content.decode()
    kept = client.post("/settings/notices/", {"audits": "daily", "daily_hour": "7", "time_zone": ""})

    assert ("What is asked and answered in audits" in page, "Your requests" in page) == (True, False)
    assert kept.status_code == 302
    assert preferences.of(gil).paces["audits"] == "daily"
