"""Asking for access and deciding about it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from governance.access import deciding, grants, queries, requests
from governance.access.models import AccessRequest, Approval, Grant, RequestState
from governance.catalog.models import Application, Entitlement
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
from governance.core.errors import Conflict, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation
from tests.cast import TESTING, acting, add_role, ask, hire, move

pytestmark = pytest.mark.django_db

#: After the cast joined.
LATER = datetime(2036, 3, 3, 12, tzinfo=UTC)


def recorded() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


def submit(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def codes(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [reason.code for reason in refusal.value.reasons]


def test_a_request_waits_for_the_owner_and_changes_nothing_else(
    ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)

    assert request.state == RequestState.PENDING
    assert deciding.eligible_approvers(request) == [linus]
    assert list(queries.waiting_for(linus)) == [request]
    assert not Grant.objects.exists()
    assert recorded()[-1] == "request.submitted"


def test_the_reason_is_not_spelled_out_in_the_ledger(ada: Person, analyst: Entitlement) -> None:
    request = submit(ada, analyst)

    assert request.reason not in str(list(Pending.objects.values_list("body", flat=True)))


def test_the_last_yes_starts_the_grant_and_orders_it(ada: Person, linus: Person, analyst: Entitlement) -> None:
    with time_machine.travel(LATER, tick=False):
        request = submit(ada, analyst)
        deciding.approve(request, approver=linus, actor=acting(linus))

        grant = Grant.objects.get(request=request)

    assert (grant.ends_at - grant.starts_at) == timedelta(hours=2)
    assert grant.give_operation is not None
    assert grant.give_operation.state == "waiting"
    assert grant.revisions.count() == 1
    assert recorded()[-2:] == ["request.approved", "grant.started"]


def test_the_approver_may_shorten(ada: Person, linus: Person, analyst: Entitlement) -> None:
    request = submit(ada, analyst)

    deciding.approve(request, approver=linus, duration=timedelta(minutes=30), actor=acting(linus))

    grant = Grant.objects.get(request=request)
    assert grant.ends_at - grant.starts_at == timedelta(minutes=30)


def test_nobody_approves_their_own_access_even_as_owner(linus: Person, sam: Person, analyst: Entitlement) -> None:
    request = submit(linus, analyst)

    assert deciding.eligible_approvers(request) == [sam]
    with pytest.raises(Refused) as refusal:
        deciding.approve(request, approver=linus, actor=acting(linus))
    assert codes(refusal) == ["own_request", "not_asked"]
    assert AccessRequest.objects.get().state == RequestState.PENDING


def test_a_request_nobody_could_decide_is_refused_when_it_is_made(linus: Person, analyst: Entitlement) -> None:
    with pytest.raises(Refused) as refusal:
        submit(linus, analyst)

    assert codes(refusal) == ["no_approver"]
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize("outsider", ["mallory", "grace"])
def test_somebody_who_was_not_asked_cannot_decide(
    outsider: str, ada: Person, analyst: Entitlement, request: pytest.FixtureRequest
) -> None:
    waiting = submit(ada, analyst)
    person = request.getfixturevalue(outsider)

    for decide in (
        lambda: deciding.approve(waiting, approver=person, actor=acting(person)),
        lambda: deciding.deny(waiting, approver=person, reason="I do not like it.", actor=acting(person)),
    ):
        with pytest.raises(Refused) as refusal:
            decide()
        assert codes(refusal) == ["not_asked"]


def test_an_approver_who_left_cannot_decide(ada: Person, linus: Person, sam: Person, analyst: Entitlement) -> None:
    waiting = submit(ada, analyst)
    lifecycle.leave(linus, actor=TESTING)

    with pytest.raises(Refused) as refusal:
        deciding.approve(waiting, approver=linus, actor=acting(linus))

    assert codes(refusal) == ["approver_left"]
    assert deciding.eligible_approvers(waiting) == [sam]


def test_a_decision_is_taken_once_and_the_second_is_told_who_was_faster(
    ada: Person, linus: Person, analyst: Entitlement
) -> None:
    waiting = submit(ada, analyst)
    deciding.deny(waiting, approver=linus, reason="Use the report in Looker.", actor=acting(linus))

    with pytest.raises(Conflict, match="Linus Berg declined this at"):
        deciding.approve(waiting, approver=linus, actor=acting(linus))


def test_stages_follow_each_other_and_need_different_people(
    ada: Person, grace: Person, snowflake: Application, linus: Person, sam: Person
) -> None:
    role = add_role(snowflake, "Admin", stages=("manager", "owner", "security"))
    waiting = submit(ada, role)

    waiting = deciding.approve(waiting, approver=grace, actor=acting(grace))
    assert deciding.eligible_approvers(waiting) == [linus]
    waiting = deciding.approve(waiting, approver=linus, actor=acting(linus))
    assert not Grant.objects.exists()
    waiting = deciding.approve(waiting, approver=sam, actor=acting(sam))

    assert waiting.state == RequestState.APPROVED
    assert Grant.objects.count() == 1


def test_policy_approves_by_itself_and_that_is_an_approval(ada: Person, snowflake: Application) -> None:
    terms = {"auto_approve": 'department eq "Engineering"', "auto_approve_up_to": timedelta(hours=2)}
    role = add_role(snowflake, "Reader", terms=terms)

    request = submit(ada, role)

    approval = Approval.objects.get(request=request)
    assert (request.state, approval.approver, approval.approved) == (RequestState.APPROVED, None, True)
    assert Grant.objects.get(request=request).give_operation is not None


def test_only_who_the_policy_names_may_ask(ada: Person, mallory: Person, snowflake: Application) -> None:
    role = add_role(snowflake, "Writer", terms={"may_request": 'not (userType eq "Contractor")'})

    assert submit(ada, role).state == RequestState.PENDING
    with pytest.raises(Refused) as refusal:
        submit(mallory, role)
    assert codes(refusal) == ["not_eligible"]


def test_conditions_are_checked_again_when_somebody_decides(ada: Person, linus: Person, snowflake: Application) -> None:
    role = add_role(snowflake, "Writer", terms={"may_request": 'department eq "Engineering"'})
    waiting = submit(ada, role)
    move(ada, department="Sales")

    with pytest.raises(Refused) as refusal:
        deciding.approve(waiting, approver=linus, actor=acting(linus))

    assert codes(refusal) == ["not_eligible"]


def test_you_already_have_this(ada: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))

    with pytest.raises(Refused) as refusal:
        submit(ada, analyst)

    assert codes(refusal) == ["already_held"]


def test_an_extension_moves_the_end_of_the_same_grant(ada: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))
    grant = Grant.objects.get()

    longer = requests.submit(ada, analyst, ask(timedelta(hours=1)), extends=grant, actor=acting(ada))
    deciding.approve(longer, approver=linus, actor=acting(linus))

    after = Grant.objects.get()
    assert after.ends_at - grant.ends_at == timedelta(hours=1)
    assert [revision.change for revision in after.revisions.order_by("number")] == ["started", "extended"]
    assert Operation.objects.count() == 1


def test_an_extension_approved_after_the_end_starts_anew(ada: Person, linus: Person, analyst: Entitlement) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))
        longer = requests.submit(ada, analyst, ask(timedelta(hours=1)), extends=Grant.objects.get(), actor=acting(ada))
        clock.shift(timedelta(hours=3))
        deciding.approve(longer, approver=linus, actor=acting(linus))

        assert [grant.ends_at > now() for grant in Grant.objects.order_by("id")] == [False, True]


def test_nobody_extends_what_is_not_theirs(ada: Person, mallory: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))

    with pytest.raises(Refused) as refusal:
        requests.submit(mallory, analyst, ask(), extends=Grant.objects.get(), actor=acting(mallory))

    assert "not_this_access" in codes(refusal)


def test_who_asked_withdraws_and_nobody_else(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    waiting = submit(ada, analyst)

    with pytest.raises(Refused):
        requests.withdraw(waiting, person=mallory, actor=acting(mallory))
    assert requests.withdraw(waiting, person=ada, actor=acting(ada)).state == RequestState.WITHDRAWN
    with pytest.raises(Conflict):
        requests.withdraw(waiting, person=ada, actor=acting(ada))


def test_a_manager_asks_for_a_report_and_cannot_decide_it(
    ada: Person, grace: Person, snowflake: Application, sam: Person
) -> None:
    role = add_role(snowflake, "Admin", stages=("manager",))

    waiting = requests.submit(grace, role, ask(), person=ada, actor=acting(grace))

    assert deciding.eligible_approvers(waiting) == [sam]


def test_a_refused_decision_leaves_nothing_half_done(ada: Person, mallory: Person, analyst: Entitlement) -> None:
    waiting = submit(ada, analyst)
    before = Pending.objects.count()

    with pytest.raises(Refused):
        deciding.approve(waiting, approver=mallory, actor=acting(mallory))

    assert (Approval.objects.count(), Grant.objects.count(), Pending.objects.count()) == (0, 0, before)


@pytest.mark.parametrize(
    "sql", ["UPDATE access_approval SET approved = false", "DELETE FROM access_approval", "TRUNCATE access_approval"]
)
def test_an_approval_can_never_be_changed(sql: str, ada: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))

    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {sql}")


def test_lists_for_approvers_cost_the_same_for_one_and_for_many(
    ada: Person, linus: Person, snowflake: Application, django_assert_max_num_queries: object
) -> None:
    for number in range(6):
        submit(ada, add_role(snowflake, f"Role {number}"))

    with django_assert_max_num_queries(4):  # type: ignore[operator]
        assert len(list(queries.waiting_for(linus))) == 6


def test_how_long_an_answer_takes_counts_from_its_own_stage(
    grace: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, "Writer", stages=("manager", "owner"))
    with time_machine.travel(LATER, tick=False) as clock:
        for number, minutes in enumerate((5, 20, 60)):
            waiting = submit(hire(f"Person{number} Test", manager=grace), role)
            clock.shift(timedelta(days=2))
            deciding.approve(waiting, approver=grace, actor=acting(grace))
            clock.shift(timedelta(minutes=minutes))
            deciding.approve(waiting, approver=linus, actor=acting(linus))

        found = queries.answer_times(role.pk, at=now())

    assert {asked: one.median for asked, one in found.items()} == {
        "manager": timedelta(days=2),
        "owner": timedelta(minutes=20),
    }


def test_who_was_faster_is_said_in_the_zone_of_who_reads_it(ada: Person, linus: Person, analyst: Entitlement) -> None:
    with time_machine.travel(LATER, tick=False):
        waiting = submit(ada, analyst)
        deciding.deny(waiting, approver=linus, reason="Use Looker.", actor=acting(linus))

        with timezone.override("Europe/Berlin"), pytest.raises(Conflict, match="at 13:00 on 03 March 2036 CET"):
            deciding.approve(waiting, approver=linus, actor=acting(linus))


def test_the_time_an_answer_usually_takes_is_the_median_of_real_ones(linus: Person, analyst: Entitlement) -> None:
    with time_machine.travel(LATER, tick=False) as clock:
        for number, minutes in enumerate((5, 20, 60)):
            person = hire(f"Person{number} Test")
            waiting = submit(person, analyst)
            clock.shift(timedelta(minutes=minutes))
            deciding.approve(waiting, approver=linus, actor=acting(linus))

        assert queries.answer_times(analyst.pk, at=now())["owner"].median == timedelta(minutes=20)
        assert queries.answer_times(0, at=now()) == {}


def test_give_back_is_for_one_s_own_and_takes_it_away_at_once(
    ada: Person, mallory: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))
    grant = Grant.objects.get()

    with pytest.raises(Refused):
        grants.give_back(grant, person=mallory, actor=acting(mallory))
    after = grants.give_back(grant, person=ada, actor=acting(ada))

    assert (after.end_cause, after.take_operation is not None) == ("returned", True)
    with pytest.raises(Conflict):
        grants.give_back(grant, person=ada, actor=acting(ada))


def test_a_stage_waits_until_as_many_said_yes_as_it_wants(
    ada: Person, linus: Person, grace: Person, snowflake: Application
) -> None:
    two = Stage(Approvers("people", people=(str(linus.ref), str(grace.ref))), quorum=2)
    waiting = submit(ada, add_role(snowflake, "Admin", stages=(two,)))
    assert {one.pk for one in deciding.eligible_approvers(waiting)} == {linus.pk, grace.pk}

    waiting = deciding.approve(waiting, approver=linus, actor=acting(linus))
    assert (waiting.state, waiting.stage) == (RequestState.PENDING, 0)
    assert deciding.eligible_approvers(waiting) == [grace]
    waiting = deciding.approve(waiting, approver=grace, actor=acting(grace))

    assert waiting.state == RequestState.APPROVED


def test_what_the_policy_declines_is_answered_at_once_and_stays_in_every_list(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    """aws-samples TEAM 61: what policy decided by itself was invisible to auditors."""
    role = add_role(snowflake, "Sealed", terms={"auto_deny": 'department eq "Engineering"'})

    request = submit(ada, role)

    (answer,) = Approval.objects.filter(request=request)
    assert (request.state, answer.approved, answer.approver, answer.reason) == (
        RequestState.DENIED, False, None, "Declined by policy",
    )  # fmt: skip
    assert request.verdict["verdict"]["is_denied"]
    assert recorded()[-2:] == ["request.submitted", "request.denied"]
    assert not Grant.objects.exists()
    assert list(queries.waiting_for(linus)) == []


def test_security_decides_too_from_the_risk_the_policy_names(
    ada: Person, linus: Person, sam: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, "Sharp", terms={"needs_security_from": 1})

    request = submit(ada, role)
    deciding.approve(request, approver=linus, actor=acting(linus))
    request.refresh_from_db()

    assert (request.state, deciding.eligible_approvers(request)) == (RequestState.PENDING, [sam])
    deciding.approve(request, approver=sam, actor=acting(sam))
    assert [one.asked for one in request.approvals.order_by("stage")] == ["owner", "security"]
    assert Grant.objects.filter(request=request).exists()


def test_an_extension_asks_only_the_first_where_the_policy_says_so(
    ada: Person, grace: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, "Long", stages=("manager", "owner"), terms={"extending": "one"})
    first = submit(ada, role)
    deciding.approve(first, approver=grace, actor=acting(grace))
    deciding.approve(first, approver=linus, actor=acting(linus))
    grant = Grant.objects.get(request=first)

    more = requests.submit(ada, role, ask(), extends=grant, actor=acting(ada))
    deciding.approve(more, approver=grace, actor=acting(grace))

    more.refresh_from_db()
    before, grant = grant.ends_at, Grant.objects.get(pk=grant.pk)
    assert (more.state, grant.ends_at - before) == (RequestState.APPROVED, timedelta(hours=2))
