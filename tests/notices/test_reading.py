"""Who is told what, from what happened to the notice: the next actor, once, and nobody about themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import absences, break_glass, deciding, escalating, grants, requests, turns
from governance.access.approvers import voters
from governance.access.models import AccessRequest, Grant, GrantCause
from governance.catalog import policy_proposals
from governance.catalog.actions import set_owners
from governance.catalog.models import Application, Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import Approvers, Stage
from governance.core.actor import Actor
from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Entry
from governance.ledger.recording import Record, Subject, record_many
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import actions as lifecycle
from governance.notices import inbox, preferences, reading
from governance.notices.expiring import warn_due
from governance.notices.kinds import KINDS, REVIEWING, path_of
from governance.notices.models import Bookmark, Notice
from governance.provisioning import settling
from governance.provisioning.connectors.base import AccountSeen, Permanent, Seen
from tests import cast
from tests.cast import TESTING, acting, ask
from tests.notices.conftest import HOUR, NOON, SIGNER, told, worked_on

Tell = Callable[[], int]
SHOWN = Seen(is_held=True, account=AccountSeen("7", "ada"))


def submit(person: Person, role: Entitlement, **known: object) -> AccessRequest:
    return requests.submit(person, role, ask(**known), actor=acting(person))  # type: ignore[arg-type]


def give(person: Person, role: Entitlement, cause: str, span: timedelta, *, actor: Actor = TESTING) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, cause, now(), now() + span)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=actor)[0]


def leave(person: Person) -> None:
    with transaction.atomic():
        lifecycle.leave(locked_person(person.scim_id), actor=TESTING)


@pytest.mark.django_db
def test_only_who_may_decide_now_is_asked(
    tell: Tell, ada: Person, grace: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)

    tell()

    assert told(linus)[-1:] == ["approval.wanted"]
    assert "approval.wanted" not in told(sam) + told(grace) + told(ada)
    notice = Notice.objects.get(person=linus, kind="approval.wanted")
    assert path_of(notice.kind, notice.facts) == f"/approvals/?item=R-{request.number}"


@pytest.mark.django_db
def test_nobody_is_told_of_their_own_request_teleport_49457(
    tell: Tell, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    submit(linus, analyst)

    tell()

    assert "approval.wanted" not in told(linus)
    assert "approval.wanted" in told(sam)


@pytest.mark.django_db
def test_disabled_people_are_not_notified_team_187(
    tell: Tell, ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    leave(linus)
    submit(ada, analyst)

    tell()

    assert "approval.wanted" not in told(linus)
    assert "approval.wanted" in told(sam)


@pytest.mark.django_db
def test_who_leaves_before_the_ledger_is_read_is_told_nothing(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    tell()
    deciding.deny(submit(ada, analyst), approver=linus, reason="Use the report.", actor=acting(linus))
    leave(ada)

    tell()

    assert told(ada) == []


@pytest.mark.django_db
def test_the_others_learn_who_decided_team_263(
    tell: Tell, ada: Person, linus: Person, mallory: Person, snowflake: Application, analyst: Entitlement
) -> None:
    set_owners(snowflake, [linus, mallory], actor=TESTING)
    request = submit(ada, analyst)
    tell()
    deciding.approve(request, approver=mallory, actor=acting(mallory))

    tell()

    assert told(linus)[-2:] == ["approval.wanted", "approval.taken"]
    assert told(mallory)[-1] == "approval.wanted"
    assert told(ada)[-1] == "request.approved"
    taken = Notice.objects.get(person=linus, kind="approval.taken")
    assert taken.facts["actor"] == "Mallory Grey"
    asked = Notice.objects.filter(kind="approval.wanted")
    assert not asked.filter(settled_at__isnull=True).exists()
    assert not asked.filter(read_at__isnull=True).exists()


@pytest.mark.django_db
def test_what_was_decided_before_it_was_read_asks_nobody(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))

    tell()

    assert "approval.wanted" not in told(linus)


@pytest.mark.django_db
def test_the_next_stage_is_asked_when_the_one_before_said_yes(
    tell: Tell, ada: Person, grace: Person, linus: Person, snowflake: Application
) -> None:
    role = cast.add_role(snowflake, "Sysadmin", stages=("manager", "owner"))
    request = submit(ada, role)
    tell()
    assert "approval.wanted" not in told(linus)
    deciding.approve(request, approver=grace, actor=acting(grace))

    tell()

    assert told(linus)[-1] == "approval.wanted"
    assert told(ada)[-1] == "request.stage_approved"
    assert told(grace)[-1] == "approval.wanted"


@pytest.mark.django_db
def test_a_refusal_tells_its_reason_inside_only(tell: Tell, ada: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.deny(submit(ada, analyst), approver=linus, reason="Use the report.", actor=acting(linus))

    tell()

    assert told(ada)[-1] == "request.denied"
    assert Notice.objects.get(person=ada, kind="request.denied").facts["reason"] == "Use the report."


@pytest.mark.django_db
def test_ready_is_said_only_after_read_back(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.approve(submit(ada, analyst), approver=linus, actor=acting(linus))
    order = worked_on(Grant.objects.get(person=ada))
    tell()
    assert "request.ready" not in told(ada)
    settling.verified(order, SHOWN, worker="tests")

    tell()

    assert told(ada)[-1] == "request.ready"


@pytest.mark.django_db
def test_a_failed_removal_reaches_the_owner(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, GrantCause.MANUAL, HOUR)
    grants.revoke(grant, actor=TESTING)
    settling.not_sent(worked_on(grant, kind="take"), Permanent("Gone.", "Look."), worker="tests")

    tell()

    assert told(linus)[-1] == "removal.failed"
    assert told(ada)[-1] == "access.revoked"


@pytest.mark.django_db
def test_break_glass_is_loud_for_owner_and_security(
    tell: Tell, ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    preferences.change(sam, paces={"security": "never"}, daily_hour=8, actor=acting(sam))
    give(ada, analyst, GrantCause.BREAK_GLASS, HOUR, actor=acting(ada))

    tell()

    assert told(linus)[-1] == "break_glass.used"
    assert told(sam)[-1] == "break_glass.used"
    assert Notice.objects.get(person=sam, kind="break_glass.used").mail_due_at is not None


@pytest.mark.django_db
def test_new_owners_are_told_and_those_before_them_are_not(
    tell: Tell, noon: time_machine.Traveller, linus: Person, mallory: Person, snowflake: Application
) -> None:
    tell()
    noon.shift(HOUR)
    set_owners(snowflake, [linus, mallory], actor=TESTING)

    tell()

    assert told(mallory)[-1] == "ownership.received"
    assert told(linus).count("ownership.received") == 1


def _reminder(request: AccessRequest, event: str = "request.reminded") -> None:
    with transaction.atomic():
        record_many([Record(event, acting(request.requester), requests.subjects.of_request(request))])


@pytest.mark.django_db
def test_reminders_come_at_most_once_an_hour(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)
    tell()
    for minutes in (30, 31, 30, 10):
        noon.shift(timedelta(minutes=minutes))
        _reminder(request)
        tell()

    assert told(linus).count("approval.reminded") == 1


@pytest.mark.django_db
def test_two_reminders_read_together_are_one(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)
    tell()
    noon.shift(2 * HOUR)
    _reminder(request)
    _reminder(request)

    tell()

    assert told(linus).count("approval.reminded") == 1


@pytest.mark.django_db
def test_escalation_reaches_the_new_approvers_only(
    tell: Tell, ada: Person, linus: Person, mallory: Person, snowflake: Application, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)
    tell()
    set_owners(snowflake, [linus, mallory], actor=TESTING)
    _reminder(request, "request.escalated")

    tell()

    assert told(mallory)[-1] == "approval.escalated"
    assert "approval.escalated" not in told(linus)


@pytest.mark.django_db
def test_an_extension_is_offered_before_the_end_jit_groups_141(
    tell: Tell, noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, GrantCause.REQUEST, 72 * HOUR)
    tell()
    noon.shift(47 * HOUR)
    assert warn_due() == 0
    noon.shift(HOUR)

    assert [warn_due(), warn_due()] == [1, 0]

    notice = Notice.objects.get(person=ada, kind="access.ending")
    assert path_of(notice.kind, notice.facts) == f"/me/access/{grant.pk}/extend/"
    noon.shift(23 * HOUR)
    assert [warn_due(), warn_due()] == [1, 0]


@pytest.mark.django_db
def test_an_extension_settles_the_warning_and_the_new_end_has_its_own(
    tell: Tell, noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    grant = give(ada, analyst, GrantCause.REQUEST, 4 * HOUR)
    noon.shift(3 * HOUR)
    assert warn_due() == 1
    with transaction.atomic():
        grants.extend(grant, ends_at=grant.ends_at + 4 * HOUR, actor=TESTING)

    tell()

    assert not Notice.objects.filter(kind="access.ending", settled_at__isnull=True).exists()
    noon.shift(4 * HOUR)
    assert warn_due() == 1


@pytest.mark.django_db
def test_what_another_grant_continues_is_not_warned_of(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, GrantCause.REQUEST, 4 * HOUR)
    give(ada, analyst, GrantCause.REQUEST, 400 * HOUR)
    noon.shift(3 * HOUR)

    assert warn_due() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours", "left", "count"),
    [(72, 24, 1), (72, 25, 0), (30, 24, 0), (30, 1, 1), (2, 1, 1), (1, 0.5, 0), (1, 0.25, 1), (72, 0, 0)],
)
def test_a_warning_comes_in_the_second_half_of_the_access(
    hours: float, left: float, count: int, noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst, GrantCause.MANUAL, timedelta(hours=hours))
    noon.shift(timedelta(hours=hours - left))

    assert warn_due() == count


@pytest.mark.django_db
def test_a_policy_says_itself_when_it_warns(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, snowflake: Application
) -> None:
    role = cast.add_role(snowflake, "Payer", terms={"warns_before": (3 * HOUR,)})
    deciding.approve(submit(ada, role, duration=4 * HOUR), approver=linus, actor=acting(linus))
    noon.shift(timedelta(minutes=59))
    assert warn_due() == 0
    noon.shift(timedelta(minutes=1))

    assert [warn_due(), warn_due()] == [1, 0]

    noon.shift(2 * HOUR)
    assert warn_due() == 0


@pytest.mark.django_db
def test_short_access_is_warned_of_although_the_policy_thinks_in_days(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.approve(submit(ada, analyst, duration=HOUR), approver=linus, actor=acting(linus))
    noon.shift(timedelta(minutes=44))
    assert warn_due() == 0
    noon.shift(timedelta(minutes=1))

    assert [warn_due(), warn_due()] == [1, 0]


@pytest.mark.django_db
def test_who_answered_where_several_have_to_is_not_asked_any_more(
    tell: Tell, ada: Person, linus: Person, mallory: Person, snowflake: Application
) -> None:
    set_owners(snowflake, [linus, mallory], actor=TESTING)
    role = cast.add_role(snowflake, "Payer", stages=(Stage(Approvers("owner"), quorum=2),))
    request = submit(ada, role)
    tell()
    deciding.approve(request, approver=mallory, actor=acting(mallory))

    tell()

    waiting = Notice.objects.filter(kind="approval.wanted", settled_at__isnull=True)
    assert [one.person for one in waiting] == [linus]
    assert told(linus)[-1] == "approval.wanted"
    assert "approval.taken" not in told(mallory)


@pytest.mark.django_db
def test_a_bookmark_that_was_moved_back_tells_nobody_twice(
    tell: Tell, ada: Person, grace: Person, linus: Person, snowflake: Application
) -> None:
    request = submit(ada, cast.add_role(snowflake, "Sysadmin", stages=("manager", "owner")))
    tell()
    deciding.approve(request, approver=grace, actor=acting(grace))
    tell()
    before = list(Notice.objects.order_by("id").values_list("person", "kind", "settled_at"))
    Bookmark.objects.update(next_index=0)

    tell()

    assert list(Notice.objects.order_by("id").values_list("person", "kind", "settled_at")) == before


@pytest.mark.django_db
def test_a_lost_bookmark_is_put_before_the_oldest_news(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    submit(ada, analyst)
    Bookmark.objects.all().delete()

    tell()

    assert told(linus)[-1] == "approval.wanted"
    assert reading.unread_entries() == 0


@pytest.mark.django_db
def test_old_news_is_no_news(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    submit(ada, analyst)
    seal_everything(signer=SIGNER)
    noon.shift(timedelta(days=8))

    reading.read_on()

    assert told(linus) == []
    assert reading.unread_entries() == 0


@pytest.mark.django_db
def test_a_reader_killed_before_the_commit_loses_nothing(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ada, analyst)
    seal_everything(signer=SIGNER)
    real = reading.write

    def dies(*args: object, **known: object) -> int:
        real(*args, **known)  # type: ignore[arg-type]
        raise SystemExit("killed")

    monkeypatch.setattr(reading, "write", dies)
    with pytest.raises(SystemExit), transaction.atomic():
        reading.read_on()
    monkeypatch.setattr(reading, "write", real)
    assert not Notice.objects.exists()

    reading.read_on()

    assert told(linus).count("approval.wanted") == 1


@pytest.mark.django_db
def test_reading_costs_the_same_however_much_happened(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    costs = []
    for size in (2, 2, 12):  # The first time, nobody was told before.
        for _ in range(size):
            requests.withdraw(submit(ada, analyst), person=ada, actor=acting(ada))
        seal_everything(signer=SIGNER)
        with CaptureQueriesContext(connection) as asked_for:
            reading.read_on()
        costs.append(len(asked_for))

    assert costs[1] <= costs[0], [q["sql"][:90] for q in asked_for]


@pytest.mark.django_db(transaction=True)
def test_two_readers_at_once_tell_everybody_once(ada: Person, linus: Person, analyst: Entitlement) -> None:
    for name in ("Reader", "Writer", "Payer"):
        submit(ada, cast.add_role(analyst.application, name))
    seal_everything(signer=SIGNER)
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        try:
            reading.read_on()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=run) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    reading.read_on()

    assert told(linus).count("approval.wanted") == 3
    assert Bookmark.objects.get().next_index == Entry.objects.count()


@pytest.mark.django_db
def test_people_read_only_what_is_theirs(tell: Tell, ada: Person, linus: Person, analyst: Entitlement) -> None:
    submit(ada, analyst)
    tell()
    notice = Notice.objects.get(person=linus, kind="approval.wanted")

    inbox.mark_read(linus, notice.pk)

    assert not inbox.unread(linus).filter(pk=notice.pk).exists()
    with pytest.raises(Exception, match="no such notice"):
        inbox.mark_read(ada, notice.pk)


def test_every_kind_has_its_topic_and_words() -> None:
    assert {kind.topic for kind in KINDS.values()} <= set(preferences.TOPICS)
    assert NOON.tzinfo is not None
    assert connection.vendor == "postgresql"


@pytest.mark.django_db
def test_what_was_held_reaches_security_at_once_whatever_they_chose(tell: Tell, sam: Person) -> None:
    preferences.change(sam, paces={"security": "never"}, daily_hour=8, actor=acting(sam))
    with transaction.atomic():
        record_many([Record("hold.opened", TESTING, [Subject("hold", "h"), Subject("source", "scim:okta")])])

    tell()

    notice = Notice.objects.get(person=sam, kind="hold.opened")
    assert notice.facts["source"] == "scim:okta"
    assert notice.mail_due_at is not None


@pytest.mark.django_db
def test_an_heir_of_a_leaver_is_told(tell: Tell, grace: Person, ada: Person, sam: Person) -> None:
    boss = cast.hire("Barbara Liskov")
    cast.move(grace, manager_hint=boss.user_name)
    tell()
    leave(grace)

    tell()

    assert told(boss) == ["handover.received"]
    assert told(grace) == []


@pytest.mark.django_db
def test_a_proposed_policy_reaches_the_second_person_and_its_answer_the_first(
    tell: Tell, sam: Person, linus: Person
) -> None:
    second = cast.make_security_admin(cast.hire("Uma Okafor"))
    terms = PolicyTerms(stages=("owner",))
    waiting = policy_proposals.open_proposal(
        "Snowflake Analyst", terms, why="Owners know best who needs this role.", proposed_by=sam, actor=acting(sam)
    )
    tell()
    assert told(second)[-1] == "policy.proposed"
    assert "policy.proposed" not in told(sam)
    policy_proposals.approve_proposal(waiting, decided_by=second, answer="", actor=acting(second))

    tell()

    assert told(sam)[-1] == "policy.answered"
    assert not Notice.objects.filter(kind="policy.proposed", settled_at__isnull=True).exists()


@pytest.mark.django_db
def test_who_was_handed_a_request_is_asked_and_who_gave_it_away_is_not(
    tell: Tell, ada: Person, linus: Person, mallory: Person, snowflake: Application, analyst: Entitlement
) -> None:
    role = cast.add_role(snowflake, "Payer", stages=("security",))
    for person in (linus, mallory):
        cast.make_security_admin(person)
    request = submit(ada, role)
    tell()
    asked = set(Notice.objects.filter(kind="approval.wanted", settled_at__isnull=True).values_list("person", flat=True))
    turns.hand_over(request, approver=linus, to=mallory, reason="You know this better.", actor=acting(linus))

    tell()

    left = Notice.objects.filter(kind="approval.wanted", settled_at__isnull=True).values_list("person", flat=True)
    assert asked == {linus.pk, mallory.pk}
    assert set(left) == {who.person.pk for who in voters(AccessRequest.objects.get())}


@pytest.mark.django_db
def test_a_question_back_reaches_who_asked_and_the_reply_those_who_decide(
    tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = submit(ada, analyst)
    tell()
    turns.ask_back(request, approver=linus, question="Which table do you need?", actor=acting(linus))
    tell()
    assert told(ada)[-1] == "request.question"
    turns.reply(request, person=ada, text="The one with the loads.", actor=acting(ada))

    tell()

    assert told(linus)[-1] == "approval.replied"


@pytest.mark.django_db
def test_a_deputy_is_told_instead_of_who_is_away(
    tell: Tell, ada: Person, linus: Person, grace: Person, analyst: Entitlement
) -> None:
    tell()
    absences.plan_absence(
        linus, deputy=grace, starts_at=now(), ends_at=now() + 48 * HOUR, reason="On leave.", actor=acting(linus)
    )
    submit(ada, analyst)

    tell()

    assert told(grace)[-2:] == ["absence.deputy", "approval.wanted"]
    assert "approval.wanted" not in told(linus)


@pytest.mark.django_db
def test_silence_asks_the_fallback(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, grace: Person, snowflake: Application
) -> None:
    stage = Stage(Approvers("owner"), escalates_after=2 * HOUR, fallback=Approvers("manager"))
    request = submit(ada, cast.add_role(snowflake, "Payer", stages=(stage,)))
    tell()
    noon.shift(3 * HOUR)
    with transaction.atomic():
        assert escalating.escalate_due(10, at=now(), actor=TESTING) == 1

    tell()

    assert told(grace)[-1] == "approval.escalated"
    request.refresh_from_db()
    holding = Notice.objects.filter(about=f"request:{request.number}", settled_at__isnull=True)
    assert {one.person_id for one in holding} == {who.person.pk for who in voters(request)}


@pytest.mark.django_db
def test_readiness_says_when_nobody_reads_the_ledger(
    noon: time_machine.Traveller, ada: Person, analyst: Entitlement
) -> None:
    assert reading.reading_lag_seconds() == 0
    submit(ada, analyst)
    seal_everything(signer=SIGNER)
    noon.shift(HOUR)
    assert reading.reading_lag_seconds() == 3600

    reading.read_on()

    assert reading.reading_lag_seconds() == 0


@pytest.mark.django_db
def test_break_glass_asks_for_a_review_until_it_is_written(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, sam: Person, snowflake: Application
) -> None:
    role = cast.add_role(snowflake, "Root", terms={"break_glass_up_to": 2 * HOUR, "may_break_glass": "active eq true"})
    opened = break_glass.break_glass(
        ada, role, duration=HOUR, reason="The payment job is stuck and nobody answers.", actor=acting(ada)
    )
    tell()
    assert {"break_glass.used", "break_glass.review_wanted"} <= set(told(sam))
    assert "break_glass.used" in told(linus)
    assert [kind for kind in told(ada) if kind.startswith("break_glass")] == []
    noon.shift(timedelta(days=4))
    assert break_glass.note_overdue(10) == 1
    tell()
    assert told(sam)[-1] == "break_glass.overdue"
    break_glass.review(
        opened, reviewer=sam, is_justified=True, done="Restarted the job and read nothing.", actor=acting(sam)
    )

    tell()

    assert told(ada)[-1] == "break_glass.reviewed"
    assert not Notice.objects.filter(kind__in=REVIEWING, settled_at__isnull=True).exists()


@pytest.mark.django_db
def test_a_rule_that_was_put_aside_reaches_security_once_until_it_is_tried_again(tell: Tell, sam: Person) -> None:
    rule, known = [Subject("rule", "f" * 80)], {"version": 2, "done": 500, "total": 600, "error": "LookupError"}
    with transaction.atomic():
        record_many([Record("rule.parked", TESTING, rule, known)])
    tell()
    reading_again = told(sam)
    tell()

    assert reading_again == told(sam)
    notice = Notice.objects.get(person=sam, kind="rule.parked")
    assert path_of(notice.kind, notice.facts) == f"/rules/{'f' * 80}/"
    assert notice.settled_at is None

    with transaction.atomic():
        record_many([Record("rule.tried_again", acting(sam), rule, {"versions": [2]})])
    tell()
    notice.refresh_from_db()
    assert notice.settled_at is not None
