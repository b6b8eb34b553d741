"""What rules about duties prevent: at a request, at each yes, at the start, and by role."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from governance.access import birthright, deciding, grants, queries, requests, sweep
from governance.access.models import AccessRequest, EndCause, Grant, GrantCause, RequestState, Withheld
from governance.catalog import rules, sod
from governance.catalog.models import Application, Entitlement, SodEffect, SodException, SodRule
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING, acting, add_role, ask, hire, move
from tests.duties import exempt, forbid, seen

pytestmark = pytest.mark.django_db

#: After the cast joined.
LATER = datetime(2036, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def payer(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Payer")


@pytest.fixture
def approver(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Approver")


def recorded() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


def submit(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def yes(request: AccessRequest, approver: Person, duration: timedelta | None = None) -> AccessRequest:
    return deciding.approve(request, approver=approver, duration=duration, actor=acting(approver))


@transaction.atomic
def give(
    person: Person, role: Entitlement, *, starts_in: timedelta = timedelta(0), lasts: timedelta | None = None
) -> Grant:
    starts_at = now() + starts_in
    ends_at = OPEN_END if lasts is None else starts_at + lasts
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
    return grants.start_many([new], at=now(), actor=TESTING)[0]


def held_by(person: Person) -> set[str]:
    return {grant.entitlement.name for grant in queries.access_of(person, at=now())}


def codes(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [reason.code for reason in refusal.value.reasons]


def test_a_request_that_breaks_a_rule_is_refused_among_all_reasons(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    forbid([payer, approver], owner=sam, at_most=1, name="One of them")
    give(ada, payer)

    with pytest.raises(Refused) as refusal:
        submit(ada, approver, reason="Short.")

    assert codes(refusal) == ["breaks_duties", "breaks_duties", "reason_too_short"]
    assert "“Pay and approve” together with Payer in Snowflake" in str(refusal.value)
    assert not AccessRequest.objects.exists()


def test_what_was_only_seen_there_counts_and_is_named_so(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    seen(ada, payer)

    with pytest.raises(Refused, match=r"Payer in Snowflake \(seen there\)"):
        submit(ada, approver)


def test_what_was_seen_of_a_grant_ends_with_the_grant(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    give(ada, payer, lasts=2 * HOUR)
    seen(ada, payer)

    assert submit(ada, approver, starts_at=now() + 3 * HOUR).state == RequestState.PENDING


@pytest.mark.parametrize(("starts_in", "is_refused"), [(1 * HOUR, True), (2 * HOUR, False)], ids=["overlaps", "meets"])
def test_a_future_grant_counts_where_it_overlaps(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement, starts_in: timedelta, is_refused: bool
) -> None:
    forbid([payer], [approver], owner=sam)
    with time_machine.travel(LATER, tick=False):
        give(ada, payer, starts_in=starts_in)

        if is_refused:
            with pytest.raises(Refused):
                submit(ada, approver)
        else:
            submit(ada, approver)


def test_two_requests_that_exclude_each_other_are_not_both_approved(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    first, second = submit(ada, payer), submit(ada, approver)

    yes(first, linus)
    with pytest.raises(Refused) as refusal:
        yes(second, linus)

    assert codes(refusal) == ["breaks_duties"]
    second.refresh_from_db()
    assert second.state == RequestState.PENDING
    deciding.deny(second, approver=linus, reason="You pay already.", actor=acting(linus))
    assert held_by(ada) == {"Payer"}


def test_a_rule_made_while_a_request_waits_holds_at_the_decision(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    give(ada, payer)
    request = submit(ada, approver)

    forbid([payer], [approver], owner=sam)

    with pytest.raises(Refused, match="Pay and approve"):
        yes(request, linus)


def test_a_warning_is_a_fact_of_the_receipt_and_of_the_answer(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam, effect=SodEffect.WARN)
    give(ada, payer)

    request = submit(ada, approver)
    yes(request, linus)

    (told,) = request.verdict["facts"]["duties"]
    assert (told["rule_name"], told["others"], told["blocks"]) == ("Pay and approve", ["Payer in Snowflake"], False)
    (shown,) = request.approvals.get().facts["duties"]
    assert (shown["version_id"], shown["others"]) == (told["version_id"], told["others"])
    assert any(part["code"] == "duties" for part in request.verdict["risk"]["parts"])
    assert held_by(ada) == {"Payer", "Approver"}


def test_a_warning_waits_for_a_person_where_policy_would_have_said_yes(
    ada: Person, linus: Person, sam: Person, snowflake: Application, payer: Entitlement
) -> None:
    terms = {"auto_approve": 'userType eq "Employee"', "auto_approve_up_to": timedelta(days=1)}
    approver = add_role(snowflake, "Approver", terms=terms)
    give(ada, payer)

    forbid([payer], [approver], owner=sam, effect=SodEffect.WARN)

    assert submit(ada, approver).state == RequestState.PENDING
    assert submit(linus, approver).state == RequestState.APPROVED


def test_an_exception_lets_a_request_through_only_for_its_time(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    give(ada, payer)
    exempt(rule, ada, by=sam, lasts=3 * HOUR)

    with pytest.raises(Refused, match="choose a time that ends before"):
        submit(ada, approver, duration=4 * HOUR)
    request = submit(ada, approver, duration=2 * HOUR)

    assert request.verdict["facts"]["duties"][0]["is_excepted"]
    yes(request, linus)
    assert held_by(ada) == {"Payer", "Approver"}


def test_an_exception_that_was_ended_no_longer_covers(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    give(ada, payer)
    exception = exempt(rule, ada, by=sam)
    request = submit(ada, approver)

    sod.end_sod_exception(exception, ended_by=sam, actor=acting(sam))

    with pytest.raises(Refused):
        yes(request, linus)


def test_an_extension_that_breaks_a_rule_is_refused(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    give(ada, payer)
    grant = give(ada, approver, lasts=2 * HOUR)
    forbid([payer], [approver], owner=sam)

    with pytest.raises(Refused, match="Pay and approve"):
        requests.submit(ada, approver, ask(), extends=grant, actor=acting(ada))


def test_a_request_that_no_rule_speaks_of_is_not_touched(
    ada: Person, sam: Person, analyst: Entitlement, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    give(ada, payer)

    assert submit(ada, analyst).verdict["facts"]["duties"] == []


def test_what_breaks_a_rule_at_its_start_is_called_off_and_covered_no_instant(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        request = submit(ada, approver, starts_at=now() + HOUR)
        yes(request, linus)
        give(ada, payer)
        forbid([payer], [approver], owner=sam)

        clock.shift(HOUR + timedelta(seconds=2))
        sweep.sweep()

        assert held_by(ada) == {"Payer"}
    grant = Grant.objects.get(request=request)
    assert (grant.end_cause, grant.ends_at) == (EndCause.CONFLICT, grant.starts_at)
    assert grant.give_operation is None
    kept = Withheld.objects.get()
    assert (kept.grant, kept.other_ids) == (grant, [payer.pk])
    assert kept.ended_at is not None
    assert recorded()[-2:] == ["grant.ended", "grant.withheld"]


def test_of_two_that_exclude_each_other_and_begin_at_once_the_earlier_one_begins(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        give(ada, payer, starts_in=HOUR)
        give(ada, approver, starts_in=HOUR)
        forbid([payer], [approver], owner=sam)

        clock.shift(HOUR)
        sweep.sweep()

        assert held_by(ada) == {"Payer"}


def by_role(name: str, condition: str, *roles: Entitlement) -> None:
    rules.save_birthright_rule(name, condition, roles, actor=TESTING)


def test_what_a_role_gives_against_a_rule_is_withheld_and_visible(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement, analyst: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    give(ada, payer)
    by_role("Engineers", 'department eq "Engineering"', approver, analyst)

    birthright.apply([ada.pk], at=now(), actor=TESTING)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    assert held_by(ada) == {"Payer", "Analyst"}
    kept = Withheld.objects.get()
    assert (kept.entitlement, kept.sod_rule_ids, kept.other_ids) == (approver, [rule.pk], [payer.pk])
    assert recorded().count("grant.withheld") == 1


@pytest.mark.parametrize("way", ["returned", "exception", "retired", "warns"])
def test_what_was_withheld_is_given_when_nothing_forbids_it_any_more(
    way: str, ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)
    grant = give(ada, payer)
    by_role("Engineers", 'department eq "Engineering"', approver)
    birthright.apply([ada.pk], at=now(), actor=TESTING)
    assert held_by(ada) == {"Payer"}

    match way:
        case "returned":
            grants.revoke(grant, actor=TESTING)
        case "exception":
            exempt(rule, ada, by=sam)
        case "retired":
            sod.retire_sod_rule(rule, actor=TESTING)
        case "warns":
            terms = sod.SodTerms("Pay", "Why.", [payer], sam, second=[approver], effect=SodEffect.WARN)
            sod.save_sod_rule(terms, slug=rule.slug, actor=TESTING)
    sweep.reconsider_withheld()

    assert "Approver" in held_by(ada)
    assert Withheld.objects.get().ended_at is not None
    assert recorded().count("grant.released") == 1
    assert sweep.reconsider_withheld() == 0


def test_what_no_rule_gives_any_more_is_not_withheld_any_more(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    give(ada, payer)
    by_role("Engineers", 'department eq "Engineering"', approver)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    move(ada, department="Sales")

    assert Withheld.objects.get().ended_at is not None
    assert held_by(ada) == {"Payer"}


def test_a_leaver_has_nothing_withheld_after_the_next_look(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    give(ada, payer)
    by_role("Engineers", 'department eq "Engineering"', approver)
    birthright.apply([ada.pk], at=now(), actor=TESTING)
    with transaction.atomic():
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    sweep.reconsider_withheld()

    assert not Withheld.objects.filter(ended_at=None).exists()
    assert held_by(ada) == set()


def test_a_mover_gets_what_excludes_what_the_same_move_takes(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    by_role("Payers", 'department eq "Engineering"', payer)
    by_role("Approvers", 'department eq "Finance"', approver)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    move(ada, department="Finance")

    assert held_by(ada) == {"Approver"}
    assert not Withheld.objects.exists()


def test_of_two_roles_that_exclude_each_other_the_older_rule_gives(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    by_role("Payers", 'department eq "Engineering"', payer)
    by_role("Approvers", 'userType eq "Employee"', approver)

    birthright.apply([ada.pk], at=now(), actor=TESTING)

    assert held_by(ada) == {"Payer"}
    assert Withheld.objects.get().entitlement == approver


def test_what_runs_already_is_not_taken_because_a_rule_is_new(
    ada: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    by_role("Both", 'department eq "Engineering"', payer, approver)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    forbid([payer], [approver], owner=sam)
    birthright.apply([ada.pk], at=now(), actor=TESTING)

    assert held_by(ada) == {"Payer", "Approver"}


@pytest.mark.parametrize("people", [1, 5])
def test_withholding_from_many_costs_the_same_number_of_statements(
    people: int,
    sam: Person,
    payer: Entitlement,
    approver: Entitlement,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    forbid([payer], [approver], owner=sam)
    crowd = [hire(f"Clerk{number} Nr", department="Finance") for number in range(people)]
    for person in crowd:
        give(person, payer)
    by_role("Approvers", 'department eq "Finance"', approver)

    with django_assert_num_queries(9):
        birthright.apply([person.pk for person in crowd], at=now(), actor=TESTING)

    assert Withheld.objects.count() == people


@pytest.mark.django_db(transaction=True)
def test_two_yeses_at_once_to_what_excludes_each_other_give_one(
    ada: Person, linus: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    forbid([payer], [approver], owner=sam)
    asked = [submit(ada, payer), submit(ada, approver)]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda request: _in_thread(request, linus), asked))

    assert sorted(answers) == ["approved", "refused"]
    assert len(held_by(ada)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_exceptions_at_once_for_one_person_are_one(
    ada: Person, grace: Person, sam: Person, payer: Entitlement, approver: Entitlement
) -> None:
    rule = forbid([payer], [approver], owner=sam)

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda by: _excepted_in_thread(rule, ada, by), [grace, sam]))

    assert sorted(made) == [False, True]
    assert SodException.objects.count() == 1


def _in_thread(request: AccessRequest, approver: Person) -> str:
    try:
        return str(yes(request, approver).state)
    except Refused:
        return "refused"
    finally:
        connection.close()


def _excepted_in_thread(rule: SodRule, person: Person, by: Person) -> bool:
    try:
        exempt(rule, person, by=by)
    except Conflict:
        return False
    finally:
        connection.close()
    return True
