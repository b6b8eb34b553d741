"""Who answers when somebody is away, hands a question over, keeps silent, or asks back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import absences, deciding, queries, turns
from governance.access.approvers import voters
from governance.access.models import Absence, AccessRequest, Approval, Turn, TurnKind
from governance.access.sweep import next_due_at, sweep
from governance.catalog.models import Application, ApplicationOwner, Entitlement
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.cast import acting, add_role, hire
from tests.web import stories

pytestmark = pytest.mark.django_db

#: After the cast joined.
NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def go_away(person: Person, deputy: Person, days: int = 7) -> Absence:
    at = now()
    return absences.plan_absence(person, deputy=deputy, starts_at=at, ends_at=at + days * DAY, actor=acting(person))


def asked(request: AccessRequest) -> list[Person]:
    request.refresh_from_db()
    found = deciding.eligible_approvers(request)
    for person in Person.objects.all():
        assert (request in queries.waiting_for(person)) == (person in found), person.display_name
    return found


def codes(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [reason.code for reason in refusal.value.reasons]


def recorded() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


class TestAbsences:
    """Out of office."""

    def test_what_waits_already_goes_to_the_deputy_who_answers_in_their_place(
        self, ada: Person, linus: Person, grace: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)

        go_away(linus, grace)

        assert asked(request) == [grace, linus]
        assert deciding.approvers_to_tell(request) == [grace]
        stories.approve(request, grace)
        approval = Approval.objects.get(request=request)
        assert (approval.approver, approval.on_behalf_of) == (grace, linus)

    def test_it_begins_and_ends_by_itself(
        self, ada: Person, linus: Person, grace: Person, analyst: Entitlement
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, analyst)
            absences.plan_absence(
                linus, deputy=grace, starts_at=NOON + DAY, ends_at=NOON + 2 * DAY, actor=acting(linus)
            )
            assert asked(request) == [linus]
            clock.shift(DAY)
            assert asked(request) == [grace, linus]
            clock.shift(DAY)
            assert asked(request) == [linus]

    def test_one_may_come_back_earlier_and_nobody_else_says_so(
        self, ada: Person, linus: Person, grace: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)
        absence = go_away(linus, grace)

        with pytest.raises(NotFound):
            absences.end_absence(absence, person=grace, actor=acting(grace))
        absences.end_absence(absence, person=linus, actor=acting(linus))

        assert asked(request) == [linus]
        with pytest.raises(Conflict):
            absences.end_absence(absence, person=linus, actor=acting(linus))
        assert recorded()[-2:] == ["absence.planned", "absence.ended"]

    def test_deputies_of_deputies_answer_and_a_loop_ends(
        self, ada: Person, linus: Person, grace: Person, mallory: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)
        go_away(linus, grace)
        go_away(grace, mallory)
        go_away(mallory, linus)

        assert asked(request) == [mallory, linus, grace]
        assert next((one.person, one.on_behalf_of) for one in voters(request)) == (mallory, linus)

    def test_a_question_never_goes_to_who_asks_nor_through_them(
        self, ada: Person, linus: Person, mallory: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)
        go_away(linus, ada)
        go_away(ada, mallory)  # who would be Ada's choice

        assert asked(request) == [linus]
        with pytest.raises(Refused) as refusal:
            stories.approve(request, ada)
        assert set(codes(refusal)) == {"own_request", "not_asked"}

    def test_a_deputy_who_left_is_passed_over(
        self, ada: Person, linus: Person, mallory: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)
        go_away(linus, mallory)
        lifecycle.leave(mallory, actor=cast.TESTING)

        assert asked(request) == [linus]

    def test_one_person_is_one_answer_of_a_quorum(
        self, ada: Person, linus: Person, grace: Person, sam: Person, snowflake: Application
    ) -> None:
        ApplicationOwner.objects.create(application=snowflake, person=grace, since=now())
        role = add_role(snowflake, "Payer", stages=(Stage(Approvers("owner"), quorum=2),))
        request = stories.submit(ada, role)
        go_away(linus, grace)

        stories.approve(request, grace)  # in her own right, although she stands in for Linus as well

        assert Approval.objects.get(request=request).on_behalf_of is None
        assert asked(request) == [linus]

    def test_who_was_answered_for_is_not_asked_again(
        self, ada: Person, linus: Person, grace: Person, sam: Person, mallory: Person, snowflake: Application
    ) -> None:
        ApplicationOwner.objects.create(application=snowflake, person=grace, since=now())
        role = add_role(snowflake, "Payer", stages=(Stage(Approvers("owner"), quorum=2),))
        request = stories.submit(ada, role)
        go_away(linus, mallory)

        stories.approve(request, mallory)

        assert Approval.objects.get(request=request).on_behalf_of == linus
        assert asked(request) == [grace]
        with pytest.raises(Refused):
            stories.approve(request, linus)

    @pytest.mark.parametrize(
        ("deputy", "starts_in", "lasts", "code"),
        [
            ("linus", 0, 1, "deputy_is_self"),
            ("grace", 0, 0, "ends_before_start"),
            ("grace", 0, 400, "too_long"),
            ("grace", 400, 1, "starts_too_late"),
        ],
    )
    def test_an_absence_out_of_order_is_refused(
        self, deputy: str, starts_in: int, lasts: int, code: str, linus: Person, grace: Person
    ) -> None:
        begins = now() + starts_in * DAY

        with pytest.raises(Refused) as refusal:
            absences.plan_absence(
                linus,
                deputy={"linus": linus, "grace": grace}[deputy],
                starts_at=begins,
                ends_at=begins + lasts * DAY,
                actor=acting(linus),
            )

        assert codes(refusal) == [code]

    def test_two_absences_at_once_are_refused(self, linus: Person, grace: Person, sam: Person) -> None:
        go_away(linus, grace)

        with pytest.raises(Refused) as refusal:
            go_away(linus, sam)

        assert codes(refusal) == ["overlaps"]


class TestHandingOver:
    """One request for somebody else."""

    def test_only_the_other_is_asked_and_answers_in_ones_place(
        self, ada: Person, linus: Person, sam: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)

        turns.hand_over(request, approver=linus, to=sam, reason="You know this data.", actor=acting(linus))

        assert asked(request) == [sam]
        stories.approve(request, sam)
        approval = Approval.objects.get(request=request)
        assert (approval.approver, approval.on_behalf_of) == (sam, linus)
        assert "request.handed_over" in recorded()

    def test_it_can_be_handed_back(self, ada: Person, linus: Person, sam: Person, analyst: Entitlement) -> None:
        request = stories.submit(ada, analyst)
        turns.hand_over(request, approver=linus, to=sam, reason="You know this data.", actor=acting(linus))

        turns.hand_over(request, approver=sam, to=linus, reason="No, I do not.", actor=acting(sam))

        assert asked(request) == [linus]

    def test_it_comes_back_by_itself_when_the_other_leaves(
        self, ada: Person, linus: Person, sam: Person, analyst: Entitlement
    ) -> None:
        other = cast.make_security_admin(hire("Nora Former"))
        request = stories.submit(ada, analyst)
        turns.hand_over(request, approver=linus, to=other, reason="You know this data.", actor=acting(linus))
        lifecycle.leave(other, actor=cast.TESTING)

        assert asked(request) == [linus]

    @pytest.mark.parametrize(
        ("to", "code"), [("ada", "own_request"), ("linus", "to_yourself"), ("mallory", "to_not_eligible")]
    )
    def test_it_goes_to_nobody_whom_the_policy_could_not_ask(
        self, to: str, code: str, request: pytest.FixtureRequest, ada: Person, linus: Person, analyst: Entitlement
    ) -> None:
        waiting = stories.submit(ada, analyst)

        with pytest.raises(Refused) as refusal:
            turns.hand_over(
                waiting, approver=linus, to=request.getfixturevalue(to), reason="Please.", actor=acting(linus)
            )

        assert codes(refusal) == [code]

    def test_who_is_not_asked_hands_nothing_over(
        self, ada: Person, mallory: Person, sam: Person, linus: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)

        with pytest.raises(Refused) as refusal:
            turns.hand_over(request, approver=mallory, to=sam, reason="I would rather not.", actor=acting(mallory))

        assert codes(refusal) == ["not_asked"]

    def test_turns_cannot_be_changed(self, ada: Person, linus: Person, sam: Person, analyst: Entitlement) -> None:
        request = stories.submit(ada, analyst)
        turn = turns.hand_over(request, approver=linus, to=sam, reason="You know this.", actor=acting(linus))

        for change in (lambda: Turn.objects.filter(pk=turn.pk).update(to=linus), turn.delete):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()


ESCALATING = (Stage(Approvers("owner"), escalates_after=DAY, fallback=Approvers("manager")),)


class TestSilence:
    """Escalation. (aws-samples/iam-identity-center-team 38, 516)"""

    def test_team_38_and_516_silence_asks_the_fallback_at_the_instant_and_who_kept_silent_may_still_answer(
        self, ada: Person, grace: Person, linus: Person, snowflake: Application
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=ESCALATING))
            assert next_due_at() == NOON + DAY
            clock.shift(DAY - timedelta(seconds=1))
            assert sweep() == 0
            assert asked(request) == [linus]

            clock.shift(timedelta(seconds=1))

            assert sweep() == 1
            assert asked(request) == [linus, grace]
            assert sweep() == 0  # nothing twice
            assert next_due_at() is None
            turn = Turn.objects.get(request=request)
            assert (turn.kind, turn.by, turn.facts["asked_after"]) == (TurnKind.ESCALATED, None, [linus.pk, grace.pk])
            assert recorded()[-1] == "request.escalated"
            stories.approve(request, grace)

    def test_a_stage_may_say_that_who_kept_silent_is_not_asked_any_more(
        self, ada: Person, grace: Person, linus: Person, snowflake: Application
    ) -> None:
        stage = Stage(Approvers("owner"), escalates_after=DAY, fallback=Approvers("manager"), stays=False)
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=(stage,)))
            clock.shift(DAY)
            sweep()

            assert asked(request) == [grace]

    def test_without_a_fallback_security_is_asked_too(
        self, ada: Person, linus: Person, sam: Person, snowflake: Application
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            stage = Stage(Approvers("owner"), escalates_after=DAY)
            request = stories.submit(ada, add_role(snowflake, stages=(stage,)))
            clock.shift(DAY)
            sweep()

            assert asked(request) == [linus, sam]

    def test_each_stage_has_its_own_silence(
        self, ada: Person, grace: Person, linus: Person, sam: Person, snowflake: Application
    ) -> None:
        stages = (*ESCALATING, Stage(Approvers("security"), escalates_after=2 * DAY))
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=stages))
            clock.shift(DAY)
            sweep()
            stories.approve(request, grace)

            assert next_due_at() == NOON + 3 * DAY
            assert asked(request) == [sam]

    def test_an_answer_leaves_nothing_to_escalate(self, ada: Person, linus: Person, snowflake: Application) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=ESCALATING))
            stories.decline(request, linus)
            assert AccessRequest.objects.get().escalates_at is None
            clock.shift(2 * DAY)

            sweep()

            assert not Turn.objects.exists()

    def test_many_cost_as_many_statements_as_one(
        self, ada: Person, grace: Person, linus: Person, snowflake: Application
    ) -> None:
        costs = []
        with time_machine.travel(NOON, tick=False) as clock:
            for size in (1, 6):
                for number in range(size):
                    stories.submit(ada, add_role(snowflake, f"Role {size} {number}", stages=ESCALATING))
                clock.shift(DAY)
                with CaptureQueriesContext(connection) as asked_for:
                    assert sweep() == size
                costs.append(len(asked_for))

        assert costs[1] <= costs[0]


class TestAskingBack:
    """A question to who asked."""

    def test_silence_is_not_counted_while_who_asked_has_to_reply(
        self, ada: Person, grace: Person, linus: Person, snowflake: Application
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=ESCALATING))
            clock.shift(20 * HOUR)
            turns.ask_back(request, approver=linus, question="Which load failed?", actor=acting(linus))
            clock.shift(48 * HOUR)
            sweep()
            assert asked(request) == [linus]

            turns.reply(request, person=ada, text="The one of orders.", actor=acting(ada))

            assert next_due_at() == now() + 4 * HOUR
            clock.shift(4 * HOUR)
            sweep()
            assert asked(request) == [linus, grace]
            kept = Turn.objects.get(kind=TurnKind.ESCALATED).facts
            assert (kept["allowed_seconds"], kept["paused_seconds"]) == (86400, 48 * 3600)
            said = [(one.kind, one.by) for one in turns.conversation(request)]
            assert said == [("question", linus), ("reply", ada), ("escalated", None)]

    def test_a_second_question_pauses_no_more_than_the_first(
        self, ada: Person, linus: Person, snowflake: Application
    ) -> None:
        with time_machine.travel(NOON, tick=False) as clock:
            request = stories.submit(ada, add_role(snowflake, stages=ESCALATING))
            clock.shift(HOUR)
            for question in ("Which load failed?", "And since when?"):
                turns.ask_back(request, approver=linus, question=question, actor=acting(linus))
            turns.reply(request, person=ada, text="The one of orders.", actor=acting(ada))

            assert next_due_at() == NOON + DAY

    def test_an_answer_without_a_reply_decides_all_the_same(
        self, ada: Person, linus: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)
        turns.ask_back(request, approver=linus, question="Which load failed?", actor=acting(linus))

        stories.approve(request, linus)

        with pytest.raises(Conflict):
            turns.reply(request, person=ada, text="The one of orders.", actor=acting(ada))

    def test_only_who_is_asked_asks_back_and_only_who_asked_replies(
        self, ada: Person, linus: Person, mallory: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)

        with pytest.raises(Refused) as refusal:
            turns.ask_back(request, approver=mallory, question="", actor=acting(mallory))
        assert codes(refusal) == ["not_asked", "needs_words"]
        with pytest.raises(Refused) as refusal:
            turns.reply(request, person=linus, text="Because.", actor=acting(linus))
        assert codes(refusal) == ["not_yours"]

    def test_what_was_said_is_not_spelled_out_in_the_ledger(
        self, ada: Person, linus: Person, analyst: Entitlement
    ) -> None:
        request = stories.submit(ada, analyst)

        turns.ask_back(request, approver=linus, question="Which load failed?", actor=acting(linus))

        assert "Which load" not in str(list(Pending.objects.values_list("body", flat=True)))
