"""Asking: several roles at once, for others, ahead of time, for longer; reminders, changes, and what ends a request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import deciding, end_questions, grants, requests
from governance.access.models import AccessRequest, EndCause, EndQuestion, Grant, RequestSet, RequestState
from governance.access.requests import Wanted
from governance.access.sweep import sweep, sweep_batch
from governance.catalog import policies
from governance.catalog.models import Application, AtEnd, Entitlement, Extending
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation, OperationKind
from tests.cast import TESTING, acting, add_application, add_role, ask, hire, move
from tests.duties import forbid

pytestmark = pytest.mark.django_db

NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def writer(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Writer")


def submit(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def together(person: Person, *roles: Entitlement, **known: object) -> RequestSet:
    return requests.submit_together(person, [Wanted(role, ask(**known)) for role in roles], actor=acting(person))  # type: ignore[arg-type]


def approved(person: Person, role: Entitlement, by: Person, **known: object) -> Grant:
    deciding.approve(submit(person, role, **known), approver=by, actor=acting(by))
    return Grant.objects.latest("pk")


def recorded(event: str) -> list[dict[str, object]]:
    return [one.body for one in Pending.objects.order_by("id") if one.body["event"] == event]


# Several at once (TEAM 320, 33: forty accounts mean forty requests)


def test_team_320_and_33_forty_roles_are_one_request_with_one_reason(ada: Person, snowflake: Application) -> None:
    roles = [add_role(snowflake, f"Role {number}") for number in range(40)]

    found = together(ada, *roles)

    made = list(found.requests.order_by("pk"))
    assert [one.entitlement for one in made] == roles
    assert {one.reason for one in made} == {found.reason}
    assert {one.state for one in made} == {RequestState.PENDING}
    assert len({found.number, *(one.number for one in made)}) == 41


def test_together_is_all_or_nothing_with_every_refusal_by_role(
    ada: Person, analyst: Entitlement, snowflake: Application
) -> None:
    closed = add_role(snowflake, "Closed", is_requestable=False)
    short = add_role(snowflake, "Short", terms={"max_duration": HOUR, "default_duration": HOUR})

    with pytest.raises(Refused) as refusal:
        together(ada, analyst, closed, short)

    assert [(one.code, one.field) for one in refusal.value.reasons] == [
        ("not_requestable", "snowflake/closed entitlement"),
        ("too_long", "snowflake/short duration"),
    ]
    assert str(refusal.value).startswith("Closed in Snowflake: ")
    assert not AccessRequest.objects.exists()
    assert not RequestSet.objects.exists()
    assert not recorded("request.submitted")


def test_what_is_automatic_is_not_given_when_another_of_the_set_is_refused(ada: Person, snowflake: Application) -> None:
    at_once = add_role(snowflake, "Reader", terms={"auto_approve": "active eq true", "auto_approve_up_to": DAY})
    closed = add_role(snowflake, "Closed", is_requestable=False)

    with pytest.raises(Refused):
        together(ada, at_once, closed)

    assert not Grant.objects.exists()
    assert not Operation.objects.exists()


def test_each_role_of_a_set_is_decided_by_its_own(
    ada: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    first, second = together(ada, analyst, writer).requests.order_by("pk")

    deciding.approve(first, approver=linus, actor=acting(linus))
    deciding.deny(second, approver=linus, reason="Use the report.", actor=acting(linus))

    assert Grant.objects.get().entitlement == analyst


def test_two_roles_of_a_set_that_break_a_rule_together_are_refused(
    ada: Person, sam: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    forbid([analyst], [writer], owner=sam)

    with pytest.raises(Refused) as refusal:
        together(ada, analyst, writer)

    assert {one.code for one in refusal.value.reasons} == {"breaks_duties"}
    assert "Writer in Snowflake (asked for as well)" in str(refusal.value)


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (lambda a, w: [], "at least one"),
        (lambda a, w: [a, a], "twice"),
        (lambda a, w: [a, w] * 26, "At most 50"),
    ],
    ids=["none", "twice", "too many"],
)
def test_a_set_that_is_none_is_refused(ada: Person, analyst: Entitlement, writer: Entitlement, pick, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Invalid, match=said):
        together(ada, *pick(analyst, writer))


def test_a_set_can_never_be_changed(ada: Person, analyst: Entitlement) -> None:
    together(ada, analyst)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE access_requestset SET reason = 'other'")


# For somebody else


@pytest.mark.parametrize(
    ("who", "may"),
    [("grace", True), ("linus", True), ("sam", True), ("mallory", False), ("audrey", False)],
)
def test_who_may_ask_for_somebody_else(
    who: str, may: bool, ada: Person, analyst: Entitlement, request: pytest.FixtureRequest, sam: Person
) -> None:
    asker: Person = request.getfixturevalue(who)

    def send() -> AccessRequest:
        return requests.submit(asker, analyst, ask(), person=ada, actor=acting(asker))

    if may:
        assert send().person == ada
        assert recorded("request.submitted")[0]["data"]["on_behalf"] is True  # type: ignore[index]
    else:
        with pytest.raises(Refused, match="Only Ada Lovelace, their manager, an owner of Snowflake or security"):
            send()


def test_whoever_asks_for_another_does_not_decide(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    made = requests.submit(linus, analyst, ask(), person=ada, actor=acting(linus))

    assert deciding.eligible_approvers(made) == [sam]
    with pytest.raises(Refused):
        deciding.approve(made, approver=linus, actor=acting(linus))


# Booked ahead (jit-groups 145: a grant booked for Friday works though eligibility ended on Tuesday)


def _booked(clock: time_machine.Traveller, ada: Person, linus: Person, role: Entitlement) -> Grant:
    grant = approved(ada, role, linus, starts_at=NOON + 3 * DAY)
    assert grant.give_operation is None
    return grant


def test_jit_groups_145_what_is_booked_does_not_begin_when_the_policy_no_longer_lets_them(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, terms={"may_request": 'department eq "Engineering"'})
    grant = _booked(noon, ada, linus, role)
    noon.shift(DAY)
    move(ada, department="Marketing")

    noon.move_to(NOON + 3 * DAY)
    sweep()

    grant.refresh_from_db()
    assert (grant.end_cause, grant.ends_at) == (EndCause.INELIGIBLE, grant.starts_at)
    assert [one["code"] for one in grant.called_off.reasons] == ["not_eligible"]
    assert recorded("grant.called_off")[0]["data"] == {"reasons": ["not_eligible"], "request": grant.request_id}
    assert not Operation.objects.exists()


def test_what_is_booked_does_not_begin_when_the_policy_would_decline_it_by_then(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, terms={"auto_deny": 'department eq "Marketing"'})
    grant, other = _booked(noon, ada, linus, role), add_role(snowflake, "Writer")
    stays = _booked(noon, ada, linus, other)
    noon.shift(DAY)
    move(ada, department="Marketing")

    noon.move_to(NOON + 3 * DAY)
    sweep()

    grant.refresh_from_db()
    stays.refresh_from_db()
    assert [one["code"] for one in grant.called_off.reasons] == ["declined_by_policy"]
    assert grant.called_off.reasons[0]["sentence"].startswith("The policy now declines Analyst in Snowflake for Ada")
    assert (stays.end_cause, Operation.objects.count()) == ("", 1)


def test_what_is_booked_begins_when_all_still_holds(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, terms={"may_request": 'department eq "Engineering"'})
    grant = _booked(noon, ada, linus, role)

    noon.move_to(NOON + 3 * DAY)
    sweep()

    grant.refresh_from_db()
    assert grant.give_operation is not None
    assert grant.end_cause == ""


@pytest.mark.parametrize("gone", ["role", "application"])
def test_what_is_booked_does_not_begin_when_it_is_gone(
    gone: str, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    grant = _booked(noon, ada, linus, analyst)
    _retire(analyst, gone)

    noon.move_to(NOON + 3 * DAY)
    sweep()

    grant.refresh_from_db()
    assert grant.end_cause == EndCause.INELIGIBLE
    assert grant.called_off.reasons[0]["code"] == "retired"


def test_a_tightened_policy_counts_at_the_start(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, terms={"may_request": ""})
    grant = _booked(noon, ada, linus, role)
    noon.shift(DAY)
    terms = policies.PolicyTerms(("owner",), may_request='department eq "Data"')
    policies.save_policy("Snowflake Analyst", terms, slug=role.policy.slug, actor=TESTING)

    noon.move_to(NOON + 3 * DAY)
    sweep()

    grant.refresh_from_db()
    assert grant.end_cause == EndCause.INELIGIBLE


def test_many_starts_cost_as_many_statements_as_one(
    noon: time_machine.Traveller, linus: Person, analyst: Entitlement
) -> None:
    costs = []
    for number in (1, 12):
        for one in range(number):
            approved(hire(f"Person{number}x{one} Test"), analyst, linus, starts_at=now() + HOUR)
        noon.shift(HOUR)
        with CaptureQueriesContext(connection) as counted:
            assert sweep_batch(100) == number
        costs.append(len(counted))

    assert costs[0] == costs[1]


# More time (jit-groups 141: cut off in mid-work, so people ask for too long)


@pytest.mark.parametrize(
    ("extending", "state", "stage"),
    [(Extending.AUTOMATIC, "approved", 2), (Extending.ONE, "approved", 1), (Extending.FULL, "pending", 1)],
)
def test_jit_groups_141_more_time_is_decided_as_the_policy_says(
    extending: str,
    state: str,
    stage: int,
    noon: time_machine.Traveller,
    ada: Person,
    grace: Person,
    linus: Person,
    snowflake: Application,
) -> None:
    terms = {"extending": extending, "max_duration": DAY}
    role = add_role(snowflake, stages=("manager", "owner"), terms=terms)
    made = submit(ada, role)
    deciding.approve(made, approver=grace, actor=acting(grace))
    deciding.approve(made, approver=linus, actor=acting(linus))
    grant = Grant.objects.get()

    more = requests.submit(ada, role, ask(HOUR), extends=grant, actor=acting(ada))
    if more.state == RequestState.PENDING:
        more = deciding.approve(more, approver=grace, actor=acting(grace))

    grant.refresh_from_db()
    assert (more.state, more.stage) == (state, stage)
    assert (grant.ends_at == NOON + 3 * HOUR) == (state == "approved")


def test_more_time_by_itself_stays_within_the_longest(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    terms = {"extending": Extending.AUTOMATIC, "max_duration": 4 * HOUR}
    role = add_role(snowflake, stages=("owner",), terms=terms)
    grant = approved(ada, role, linus)

    first = requests.submit(ada, role, ask(2 * HOUR), extends=grant, actor=acting(ada))
    noon.shift(3 * HOUR)
    with pytest.raises(Refused) as refusal:
        requests.submit(ada, role, ask(HOUR), extends=grant, actor=acting(ada))

    assert first.state == RequestState.APPROVED
    assert [reason.code for reason in refusal.value.reasons] == ["longest_reached"]


def test_who_reached_the_longest_asks_again_for_the_time_after(
    noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    terms = {"extending": Extending.AUTOMATIC, "max_duration": 2 * HOUR, "default_duration": HOUR}
    role = add_role(snowflake, stages=("owner",), terms=terms)
    grant = approved(ada, role, linus)

    with pytest.raises(Refused):
        requests.submit(ada, role, ask(HOUR), extends=grant, actor=acting(ada))
    again = requests.submit(ada, role, ask(HOUR, starts_at=grant.ends_at), actor=acting(ada))

    assert again.state == RequestState.PENDING


# Remind, change


def test_those_who_decide_are_reminded_at_most_once_an_hour(
    noon: time_machine.Traveller, ada: Person, mallory: Person, analyst: Entitlement
) -> None:
    made = submit(ada, analyst)

    with pytest.raises(Conflict, match="13:00 on 03 March 2036 UTC"):
        requests.remind(made, person=ada, actor=acting(ada))
    noon.shift(HOUR)
    with pytest.raises(Refused):
        requests.remind(made, person=mallory, actor=acting(mallory))
    requests.remind(made, person=ada, actor=acting(ada))
    with pytest.raises(Conflict):
        requests.remind(made, person=ada, actor=acting(ada))

    assert len(recorded("request.reminded")) == 1


def test_nobody_is_reminded_of_what_is_decided(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    made = submit(ada, analyst)
    deciding.deny(made, approver=linus, reason="Use the report.", actor=acting(linus))
    noon.shift(HOUR)

    with pytest.raises(Conflict):
        requests.remind(made, person=ada, actor=acting(ada))


def test_a_change_takes_the_place_of_the_request(ada: Person, analyst: Entitlement) -> None:
    made = submit(ada, analyst)

    changed = requests.change(made, analyst, ask(HOUR), requester=ada, actor=acting(ada))

    made.refresh_from_db()
    assert (made.state, changed.state, changed.duration) == (RequestState.WITHDRAWN, RequestState.PENDING, HOUR)


def test_a_change_that_is_refused_leaves_the_request_as_it_was(ada: Person, analyst: Entitlement) -> None:
    made = submit(ada, analyst)

    with pytest.raises(Refused):
        requests.change(made, analyst, ask(365 * DAY), requester=ada, actor=acting(ada))

    made.refresh_from_db()
    assert made.state == RequestState.PENDING
    assert AccessRequest.objects.count() == 1


# Requests die with their target (discord/access 469, 599) and never vanish (teleport 68308, 16301, 48279)


def _retire(role: Entitlement, what: str) -> None:
    if what == "role":
        Entitlement.objects.filter(pk=role.pk).update(retired_at=NOON)
    else:
        Application.objects.filter(pk=role.application_id).update(retired_at=NOON)


@pytest.mark.parametrize("gone", ["role", "application"])
def test_discord_access_469_and_599_a_request_dies_with_its_target(
    gone: str, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    made = submit(ada, analyst)
    _retire(analyst, gone)

    sweep()

    made.refresh_from_db()
    assert (made.state, made.closed_because) == (RequestState.CLOSED, "retired")
    assert recorded("request.closed")[0]["data"] == {"because": "retired"}
    Entitlement.objects.update(retired_at=None)
    Application.objects.update(retired_at=None)
    with pytest.raises(Conflict):
        deciding.approve(made, approver=linus, actor=acting(linus))


def test_teleport_68308_16301_and_48279_what_lapsed_stays_on_record(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    made = submit(ada, analyst)

    noon.move_to(made.lapses_at)
    sweep()

    made.refresh_from_db()
    assert made.state == RequestState.LAPSED


# Asked at the end


@pytest.fixture
def asking(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Asking", terms={"at_end": AtEnd.ASK, "kept_for": DAY})


def test_when_time_is_up_the_owner_is_asked_and_it_runs_on(
    noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement
) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)

    sweep()

    grant.refresh_from_db()
    question = EndQuestion.objects.get()
    assert grant.ends_at == question.kept_until == NOON + 2 * HOUR + DAY
    assert grant.revisions.latest("number").change == "kept"
    assert end_questions.who_is_asked(grant) == [linus]
    assert not Operation.objects.filter(kind=OperationKind.TAKE).exists()
    assert len(recorded("grant.end_asked")) == 1


def test_unanswered_it_is_removed_after_the_grace_and_never_later(
    noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement
) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)
    sweep()
    noon.shift(DAY)

    sweep()
    sweep()

    grant.refresh_from_db()
    assert grant.ends_at == NOON + 2 * HOUR + DAY
    assert (grant.end_cause, grant.take_operation is not None) == (EndCause.EXPIRED, True)
    assert EndQuestion.objects.count() == 1


def test_a_sweeper_that_comes_after_the_grace_asks_nobody(
    noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement
) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR + DAY)

    sweep()

    grant.refresh_from_db()
    assert grant.ends_at == NOON + 2 * HOUR
    assert not EndQuestion.objects.exists()
    assert grant.take_operation is not None


def test_the_owner_lets_it_last_from_the_end_that_was_due(
    noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement
) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)
    sweep()
    noon.shift(HOUR)

    end_questions.keep(grant, lasts=4 * HOUR, reason="The audit runs on.", answerer=linus, actor=acting(linus))

    grant.refresh_from_db()
    assert grant.ends_at == NOON + 6 * HOUR
    noon.move_to(NOON + 6 * HOUR)
    sweep()
    grant.refresh_from_db()
    assert grant.ends_at == NOON + 6 * HOUR + DAY  # a new end, so the owner is asked anew


def test_the_owner_ends_it(noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)
    sweep()
    noon.shift(HOUR)

    end_questions.end(grant, reason="", answerer=linus, actor=acting(linus))

    grant.refresh_from_db()
    assert (grant.ends_at, grant.take_operation is not None) == (NOON + 3 * HOUR, True)
    with pytest.raises(Conflict):
        end_questions.keep(grant, lasts=HOUR, reason="", answerer=linus, actor=acting(linus))


@pytest.mark.parametrize("who", ["ada", "mallory", "sam"])
def test_only_an_owner_answers_and_never_for_themselves(
    who: str,
    noon: time_machine.Traveller,
    ada: Person,
    linus: Person,
    asking: Entitlement,
    request: pytest.FixtureRequest,
) -> None:
    answerer: Person = request.getfixturevalue(who)
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)
    sweep()

    with pytest.raises(Refused):
        end_questions.keep(grant, lasts=HOUR, reason="", answerer=answerer, actor=acting(answerer))


def test_an_answer_cannot_go_beyond_the_longest(
    noon: time_machine.Traveller, ada: Person, linus: Person, asking: Entitlement
) -> None:
    grant = approved(ada, asking, linus)
    noon.shift(2 * HOUR)
    sweep()

    with pytest.raises(Invalid, match="longest is 30 days"):
        end_questions.keep(grant, lasts=31 * DAY, reason="", answerer=linus, actor=acting(linus))


# Giving back (teleport 22493) and overlaps (teleport 68115, 28548; glide 619)


def test_teleport_22493_access_is_given_back_early(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    grant = approved(ada, analyst, linus)
    noon.shift(HOUR)

    grants.give_back(grant, person=ada, actor=acting(ada))

    grant.refresh_from_db()
    assert (grant.ends_at, grant.end_cause) == (NOON + HOUR, EndCause.RETURNED)
    assert submit(ada, analyst).state == RequestState.PENDING  # at once again


def test_teleport_68115_28548_and_glide_619_what_one_has_is_not_asked_for_twice(
    noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    approved(ada, analyst, linus)

    with pytest.raises(Refused, match="already has Analyst in Snowflake"):
        submit(ada, analyst)
    later = submit(ada, analyst, starts_at=NOON + 2 * HOUR)
    with pytest.raises(Refused, match="already waits"):
        submit(ada, analyst, starts_at=NOON + 5 * HOUR)

    assert later.state == RequestState.PENDING


def test_an_application_of_one_s_own_is_asked_for_like_any(linus: Person, sam: Person) -> None:
    mine = add_role(add_application("Linear", owner=linus))

    made = submit(linus, mine)

    assert deciding.eligible_approvers(made) == [sam]
