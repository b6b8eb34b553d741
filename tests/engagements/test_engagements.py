"""Engagements: the usual requests, guests in time and scope only, populations before samples, one record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import time_machine
from django.db import DatabaseError, transaction
from django.db.models import Q

from governance.access import rule_runs
from governance.access.models import Grant
from governance.catalog.models import Application
from governance.catalog.rules import RuleTerms
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.engagements import asking, inviting, opening, queries, sampling
from governance.engagements.models import AuditRequest, AuditSample, Engagement, Population, RequestState
from governance.engagements.rights import check_may_read
from governance.evidence.looking import Narrowed, look, report_named, taken_in
from governance.identity.guests import add_guest
from governance.identity.models import Person, Status
from governance.ledger.models import Pending
from tests import cast
from tests.cast import TESTING, acting
from tests.engagements.conftest import LAST_DAY
from tests.evidence.issued import APRIL

SCOPE = "netsuite"


@pytest.fixture(autouse=True)
def _in_april(audit: Engagement) -> Iterator[None]:
    with time_machine.travel(APRIL, tick=False):
        yield


def events() -> list[str]:
    return [body["event"] for body in Pending.objects.order_by("id").values_list("body", flat=True)]


def open_another(sam: Person, **changes: object) -> Engagement:
    said = {"first": "2026-03-01", "last": "2026-03-31", "zone": "UTC", "ends_on": LAST_DAY, **changes}
    return opening.open_engagement("Another", "hipaa", actor=acting(sam), **said)  # type: ignore[arg-type]


def test_it_begins_with_the_usual_requests_of_its_framework(audit: Engagement) -> None:
    asked = queries.requests_of(audit)

    assert [one.number for one in asked] == list(range(1, 24))
    assert {one.code: one.report for one in asked}["P5"] == "R05"
    assert {one.state for one in asked} == {"open"}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"ends_on": date(2026, 4, 1)}, "ends_on", "This day is over"),
        ({"ends_on": date(2030, 1, 1)}, "ends_on", "two years at most"),
        ({"applications": ["nothing"]}, "applications", "There is no application nothing"),
        ({"last": "2026-02-01"}, "to", "lies before the first"),
        ({"zone": "Mars/Base"}, "zone", "is not a time zone"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_field_and_the_reason(
    changes: dict[str, object], field: str, said: str, sam: Person
) -> None:
    with pytest.raises(Invalid) as refused:
        open_another(sam, **changes)

    assert said in " ".join(refused.value.fields[field])


def test_only_a_security_administrator_opens_answers_and_closes(
    audit: Engagement, gil: Person, leavers: AuditRequest, audrey: Person
) -> None:
    for person in (gil, audrey, Person.objects.get(display_name="Ada Lovelace")):
        with pytest.raises(NotAllowed):
            opening.close(audit, actor=acting(person))
        with pytest.raises(NotAllowed):
            asking.answer(leavers, "Here", actor=acting(person))
        with pytest.raises(NotAllowed):
            inviting.invite(audit, "x@audit.example", "X", actor=acting(person))


def test_an_invitation_works_once_and_brings_a_guest_who_is_nobodys_employee(audit: Engagement, sam: Person) -> None:
    guest, token = inviting.invite(audit, "Hannah@Audit.example", "Hannah Vogt", actor=acting(sam))
    assert token not in str(list(Pending.objects.values_list("body", flat=True)))

    person = inviting.accept(token, password="a few words in a row", actor=TESTING)

    guest.refresh_from_db()
    assert (person.status, guest.person, person.is_active) == (Status.GUEST, person, False)
    assert person.check_password("a few words in a row")
    with pytest.raises(NotFound):
        inviting.accept(token, password="a few words in a row", actor=TESTING)
    check_may_read(audit, acting(person))


def test_a_link_that_is_withdrawn_too_old_or_of_an_ended_audit_lets_nobody_in(audit: Engagement, sam: Person) -> None:
    withdrawn, first = inviting.invite(audit, "one@audit.example", "One", actor=acting(sam))
    inviting.withdraw(withdrawn, actor=acting(sam))
    _, second = inviting.invite(audit, "two@audit.example", "Two", actor=acting(sam))
    with pytest.raises(NotFound):
        inviting.invitation(first)

    with time_machine.travel(APRIL + inviting.LINK_LASTS + timedelta(seconds=1)), pytest.raises(NotFound):
        inviting.invitation(second)
    opening.close(audit, actor=acting(sam))
    with pytest.raises(NotFound):
        inviting.invitation(second)


def test_a_guest_of_before_comes_with_the_password_they_have(audit: Engagement, sam: Person) -> None:
    _, first = inviting.invite(audit, "hannah@audit.example", "Hannah Vogt", actor=acting(sam))
    person = inviting.accept(first, password="a few words in a row", actor=TESTING)
    _, second = inviting.invite(open_another(sam), "hannah@audit.example", "Hannah Vogt", actor=acting(sam))

    with pytest.raises(Invalid):
        inviting.accept(second, password="some other words now", actor=TESTING)

    assert inviting.accept(second, password="a few words in a row", actor=TESTING) == person


def test_who_works_here_or_is_invited_already_is_not_invited(audit: Engagement, sam: Person, audrey: Person) -> None:
    with pytest.raises(Invalid, match="works here"):
        inviting.invite(audit, audrey.email.upper(), "Audrey", actor=acting(sam))
    inviting.invite(audit, "hannah@audit.example", "Hannah Vogt", actor=acting(sam))
    with pytest.raises(Invalid, match="invited already"):
        inviting.invite(audit, "Hannah@audit.example", "Hannah Vogt", actor=acting(sam))


def test_a_rule_for_everybody_gives_guests_nothing(audit: Engagement, gil: Person) -> None:
    reader = cast.add_role(Application.objects.get(slug="snowflake"), "Reader")
    rule_runs.change_rule(RuleTerms("Everybody", "active eq true", [reader]), actor=TESTING)
    rule_runs.work()

    given = set(Grant.objects.filter(entitlement=reader).values_list("person__status", flat=True))
    assert given == {Status.ACTIVE}


def test_a_guest_reads_only_their_own_audit_until_its_end_and_refusals_are_recorded(
    audit: Engagement, gil: Person, sam: Person
) -> None:
    other = open_another(sam)
    check_may_read(audit, acting(gil))

    with pytest.raises(NotAllowed, match="not invited"):
        check_may_read(other, acting(gil))
    with time_machine.travel(audit.ends_at), pytest.raises(NotAllowed, match="has ended"):
        check_may_read(audit, acting(gil))
    opening.close(audit, actor=acting(sam))
    with pytest.raises(NotAllowed, match="has ended"):
        check_may_read(audit, acting(gil))

    assert events().count("engagement.refused") == 3
    assert list(queries.engagements(guest=gil)) == [audit]


def test_extending_lets_guests_in_again(audit: Engagement, gil: Person, sam: Person) -> None:
    with time_machine.travel(audit.ends_at + timedelta(hours=1)):
        opening.extend(audit, LAST_DAY + timedelta(days=7), actor=acting(sam))
        audit.refresh_from_db()
        check_may_read(audit, acting(gil))


def test_a_request_goes_back_and_forth_until_it_is_accepted(leavers: AuditRequest, gil: Person, sam: Person) -> None:
    population = sampling.take_population(leavers, actor=acting(sam))
    asking.answer(leavers, population=population, actor=acting(sam))
    asking.flag(leavers, "Mallory still has access.", actor=acting(gil))
    asking.say(leavers, "We look into it.", actor=acting(sam))
    asking.answer(leavers, "It was taken away by hand.", actor=acting(sam))
    asking.accept(leavers, actor=acting(gil))

    leavers.refresh_from_db()
    assert leavers.state == RequestState.ACCEPTED
    said = queries.messages_of(leavers)
    assert [one.kind for one in said] == ["answered", "flagged", "said", "answered", "accepted"]
    with pytest.raises(Conflict, match="accepted now"):
        asking.accept(leavers, actor=acting(gil))


def test_only_its_auditors_judge_what_was_given(leavers: AuditRequest, sam: Person, audrey: Person) -> None:
    asking.answer(leavers, "Here.", actor=acting(sam))

    with pytest.raises(NotAllowed):
        asking.accept(leavers, actor=acting(sam))
    asking.accept(leavers, actor=acting(audrey))


def test_requests_in_ones_own_words_go_on_with_the_numbers(audit: Engagement, gil: Person) -> None:
    asked = asking.add_request(audit, "Who is on call?", due_on=LAST_DAY, actor=acting(gil))

    assert (asked.number, asked.code, asked.due_on) == (24, "", LAST_DAY)
    with pytest.raises(Conflict, match="No report"):
        sampling.take_population(asked, actor=acting(gil))


def test_a_population_is_the_file_that_a_bundle_has(leavers: AuditRequest, gil: Person) -> None:
    population = sampling.take_population(leavers, actor=acting(gil))
    question = sampling.question_for(leavers.engagement, population)

    again = taken_in(report_named("R05"), question)

    assert (population.rows, population.exceptions) == (1, 1)
    assert (again.rows, again.exceptions, again.sha256) == (1, 1, population.sha256)


def test_a_sample_can_be_taken_again_elsewhere(audit: Engagement, gil: Person) -> None:
    asked = audit.requests.get(report="R03")
    population = sampling.take_population(asked, actor=acting(gil))
    sample = sampling.take_sample(population, "2026-7", 2, actor=acting(gil))
    question = sampling.question_for(audit, population)
    ids = [row["row_id"] for row in look(report_named("R03"), question, Narrowed()).rows]

    expected = sorted(ids, key=lambda one: hashlib.sha256(f"2026-7{one}".encode()).digest())[:2]

    assert [row["row_id"] for row in sampling.rows_of(sample).rows] == expected
    assert len(ids) > 2


def test_samples_are_for_auditors_and_need_a_seed(leavers: AuditRequest, gil: Person, sam: Person) -> None:
    population = sampling.take_population(leavers, actor=acting(sam))

    with pytest.raises(NotAllowed):
        sampling.take_sample(population, "7", 1, actor=acting(sam))
    with pytest.raises(Invalid) as refused:
        sampling.take_sample(population, " ", 0, actor=acting(gil))
    assert set(refused.value.fields) == {"seed", "n"}


def test_behind_a_row_stands_what_the_ledger_says_of_it_and_reading_it_is_recorded(
    audit: Engagement, leavers: AuditRequest, gil: Person
) -> None:
    population = sampling.take_population(leavers, actor=acting(gil))
    sample = sampling.take_sample(population, "7", 1, actor=acting(gil))
    (row,) = sampling.rows_of(sample).rows

    item = sampling.open_item(sample, int(row["row_no"]), actor=acting(gil))

    said = [entry.event for entry in item.entries]
    assert said[0] == "person.joined"
    assert said.index("grant.started") < said.index("person.left")
    assert all(entry.index < population.ledger_size for entry in item.entries)
    assert events()[-1] == "sample.item_read"
    sampling.check_entry(sample, int(row["row_no"]), item.entries[0].index, actor=acting(gil))
    with pytest.raises(NotAllowed, match="not one of those behind"):
        sampling.check_entry(sample, int(row["row_no"]), 0, actor=acting(gil))


def test_what_is_outside_of_the_scope_is_in_no_population_and_behind_no_row(sam: Person) -> None:
    """Grants in Snowflake, an audit of NetSuite only."""
    cast.add_application("NetSuite", owner=cast.hire("Nora Net"))
    audit = open_another(sam, applications=[SCOPE])
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    bundle = opening.build_bundle(audit, actor=acting(guest))

    grants = sampling.take_population(audit.requests.get(report="R03"), actor=acting(guest))
    leavers = sampling.take_population(audit.requests.get(report="R05"), actor=acting(guest))
    sample = sampling.take_sample(leavers, "7", 1, actor=acting(guest))
    (row,) = sampling.rows_of(sample).rows
    item = sampling.open_item(sample, int(row["row_no"]), actor=acting(guest))

    assert grants.rows == 0
    assert bundle.applications == [SCOPE]
    assert [entry.event for entry in item.entries] == ["person.joined", "person.left"]


def test_an_answer_takes_only_what_belongs_to_its_audit(audit: Engagement, leavers: AuditRequest, sam: Person) -> None:
    other = opening.build_bundle(open_another(sam), actor=acting(sam))
    elsewhere = sampling.take_population(audit.requests.get(report="R01"), actor=acting(sam))

    with pytest.raises(Invalid, match="bundle of this engagement"):
        asking.answer(leavers, bundle=other, actor=acting(sam))
    with pytest.raises(Invalid, match="population of this request"):
        asking.answer(leavers, population=elsewhere, actor=acting(sam))
    with pytest.raises(Invalid, match="Give something"):
        asking.answer(leavers, actor=acting(sam))


def test_a_closed_audit_stays_and_takes_nothing_more(audit: Engagement, leavers: AuditRequest, sam: Person) -> None:
    opening.close(audit, actor=acting(sam))
    leavers.engagement.refresh_from_db()

    for act in (
        lambda: asking.say(leavers, "Late", actor=acting(sam)),
        lambda: asking.answer(leavers, "Late", actor=acting(sam)),
        lambda: sampling.take_population(leavers, actor=acting(sam)),
        lambda: opening.build_bundle(leavers.engagement, actor=acting(sam)),
        lambda: opening.close(audit, actor=acting(sam)),
    ):
        with pytest.raises(Conflict):
            act()


@pytest.mark.parametrize("model", [Population, AuditSample])
def test_what_was_given_is_never_changed(model: type, leavers: AuditRequest, gil: Person) -> None:
    population = sampling.take_population(leavers, actor=acting(gil))
    sampling.take_sample(population, "7", 1, actor=acting(gil))

    for act in (lambda: model.objects.update(taken_by_ref="x"), lambda: model.objects.all().delete()):  # type: ignore[attr-defined]
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


def test_a_guest_is_found_by_no_directory(gil: Person) -> None:
    assert not Person.objects.filter(Q(is_listed=True) | Q(status=Status.ACTIVE), pk=gil.pk).exists()
    with pytest.raises(Invalid):
        add_guest(gil.email, "Again", actor=TESTING)
