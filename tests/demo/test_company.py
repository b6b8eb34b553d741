"""What the demo company holds: everything a page shows, and nothing that could not have happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat

from governance.access import birthright, conflicts, duties, queries, sweep
from governance.access.conflicts import Total
from governance.access.deciding import eligible_approvers
from governance.access.models import AccessRequest, Approval, Grant, GrantRevision, RequestState
from governance.access.preview import preview
from governance.access.replay import replay
from governance.catalog import sod_queries
from governance.catalog.models import (
    AccessPolicy,
    Application,
    BirthrightRule,
    Entitlement,
    PolicyProposal,
    SodRuleVersion,
)
from governance.catalog.policy_proposals import last_version
from governance.catalog.policy_terms import terms_from_json, terms_of
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.demo import staff
from governance.demo.loading import Loaded, load
from governance.identity.models import (
    Connection,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    Group,
    Membership,
    Person,
    PersonRevision,
    RoleAssignment,
    Status,
)
from governance.identity.profiles import profile_from_document
from governance.ledger.models import Disclosure, Pending
from governance.lifecycle.models import Hold
from governance.policy.facts import Ask
from governance.provisioning.models import Account, AccountKind, Holding, Operation, SyncRun

#: A Wednesday afternoon.
AT = datetime(2026, 11, 25, 14, 12, tzinfo=UTC)

pytestmark = [pytest.mark.usefixtures("db"), pytest.mark.timeout(180), pytest.mark.xdist_group("company")]


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[Loaded]:
    """Load the company once for this file, check every deferred constraint, and take it away at the end.

    It stands in for the fixture of this name that begins anew for each test. Tests that write roll back themselves.
    """
    with django_db_blocker.unblock(), time_machine.travel(AT, tick=False), transaction.atomic():
        loaded = load(AT)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ANALYZE")
        yield loaded
        transaction.set_rollback(True)


RUNNING = Q(starts_at__lte=AT, ends_at__gt=AT)
HERE = Q(gone_at__isnull=True)
WITHIN_AN_HOUR = Q(ends_at__gt=AT, ends_at__lte=AT + timedelta(hours=1))


#: What those carry whom the holder of a conflict brought.
HOLDER = Concat(Value("scim:"), "holder__name")


def _covering() -> Exists:
    return Exists(
        Grant.objects.filter(RUNNING, person=OuterRef("account__person"), entitlement=OuterRef("entitlement"))
    )


def _held() -> Exists:
    return Exists(Holding.objects.filter(HERE, account__person=OuterRef("person"), entitlement=OuterRef("entitlement")))


#: Everything a page wants to show at least so often.
KINDS: dict[str, tuple[int, Callable[[], QuerySet]]] = {  # type: ignore[type-arg]
    "people": (220, lambda: Person.objects.filter(status=Status.ACTIVE)),
    "contractors": (20, lambda: Person.objects.filter(status=Status.ACTIVE, person_type="Contractor")),
    "leavers": (20, lambda: Person.objects.filter(status=Status.LEFT)),
    "leavers of the last quarter": (6, lambda: Person.objects.filter(left_at__gt=AT - timedelta(days=92))),
    "late notices": (1, lambda: PersonRevision.objects.filter(recorded_at__gt=F("effective_at") + timedelta(days=1))),
    "movers and promotions": (30, lambda: PersonRevision.objects.filter(change="updated")),
    "people who came back": (1, lambda: PersonRevision.objects.filter(change="rejoined")),
    "joiners of the last month": (3, lambda: Person.objects.filter(joined_at__gt=AT - timedelta(days=31))),
    "groups": (12, lambda: Group.objects.filter(is_listed=True)),
    "memberships": (400, Membership.objects.all),
    "roles in Gatehouse": (10, RoleAssignment.objects.all),
    "applications": (38, Application.objects.all),
    "applications that reach patient data": (4, lambda: Application.objects.filter(data_classes__contains=["phi"])),
    "roles to ask for": (70, lambda: Entitlement.objects.filter(is_requestable=True)),
    "roles only by rule": (5, lambda: Entitlement.objects.filter(is_requestable=False)),
    "policies with two versions": (2, lambda: AccessPolicy.objects.annotate(n=Count("versions")).filter(n=2)),
    "birthright rules": (11, BirthrightRule.objects.all),
    "running by role": (1500, lambda: Grant.objects.filter(RUNNING, cause="birthright")),
    "running by request, without end": (100, lambda: Grant.objects.filter(RUNNING, cause="request", ends_at=OPEN_END)),
    "running for a time": (25, lambda: Grant.objects.filter(RUNNING, cause="request", ends_at__lt=OPEN_END)),
    "ending within an hour": (6, lambda: Grant.objects.filter(WITHIN_AN_HOUR)),
    "running break-glass": (1, lambda: Grant.objects.filter(RUNNING, cause="break_glass")),
    "past break-glass": (1, lambda: Grant.objects.filter(ends_at__lt=AT, cause="break_glass")),
    "imported": (30, lambda: Grant.objects.filter(RUNNING, cause="imported")),
    "given by hand": (3, lambda: Grant.objects.filter(RUNNING, cause="manual")),
    "upcoming": (3, lambda: Grant.objects.filter(starts_at__gt=AT)),
    "extended": (15, lambda: GrantRevision.objects.filter(change="extended")),
    "approved for shorter": (5, lambda: Approval.objects.filter(approved=True, duration__isnull=False)),
    "approved by policy": (30, lambda: Approval.objects.filter(approver__isnull=True)),
    "two stages answered by two people": (50, lambda: Approval.objects.filter(stage=1, approver__isnull=False)),
    "extensions asked for": (15, lambda: AccessRequest.objects.filter(extends__isnull=False)),
    "read back": (3000, lambda: Operation.objects.filter(state="verified")),
    "needed several attempts": (20, lambda: Operation.objects.filter(state="verified", attempts__gt=1)),
    "done by hand": (20, lambda: Operation.objects.filter(state="delivered")),
    "failed to give": (1, lambda: Operation.objects.filter(state="failed", kind="give").exclude(next_step="")),
    "failed to take": (3, lambda: Operation.objects.filter(state="failed", kind="take").exclude(last_error="")),
    "waiting for a person": (1, lambda: Operation.objects.filter(state="waiting").exclude(application__slug="relay")),
    "waiting for the worker": (15, lambda: Operation.objects.filter(state="waiting", application__slug="relay")),
    "orphaned service accounts": (6, lambda: Account.objects.filter(HERE, person=None, kind=AccountKind.SERVICE)),
    "orphaned shared accounts": (3, lambda: Account.objects.filter(HERE, person=None, kind=AccountKind.SHARED)),
    "orphans that look like people": (8, lambda: Account.objects.filter(HERE, person=None, kind=AccountKind.HUMAN)),
    "open accounts of people who left": (1, lambda: Account.objects.filter(is_active=True, person__status="left")),
    "dormant accounts": (50, lambda: Account.objects.filter(is_active=True, last_used_at__lt=AT - timedelta(days=90))),
    "seen and not granted": (
        20,
        lambda: Holding.objects.filter(HERE, ~_covering(), account__person__status=Status.ACTIVE),
    ),
    "granted and not seen": (
        5,
        lambda: Grant.objects.filter(RUNNING, ~_held(), give_operation__state__in=["verified", "failed"]),
    ),
    "complete readings": (1000, lambda: SyncRun.objects.filter(is_complete=True)),
    "incomplete readings": (1, lambda: SyncRun.objects.filter(is_complete=False, received__gt=0)),
    "refused readings": (3, lambda: SyncRun.objects.filter(is_complete=False, received=0).exclude(error="")),
    "private texts": (500, Disclosure.objects.all),
    "connections": (2, lambda: Connection.objects.filter(revoked_at=None)),
    "people a connection brought": (40, lambda: Person.objects.filter(source__startswith="scim:", is_listed=True)),
    "people no connection brought yet": (100, lambda: Person.objects.filter(source="demo")),
    "hours with requests": (48, ConnectionHour.objects.all),
    "exchanges": (30, lambda: ConnectionExchange.objects.filter(status__lt=400)),
    "rejected exchanges": (2, lambda: ConnectionExchange.objects.filter(status__gte=400).exclude(section="")),
    "open conflicts": (1, lambda: ConnectionConflict.objects.filter(resolution="", person__source=HOLDER)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_enough_of(kind: str) -> None:
    least, rows = KINDS[kind]

    assert rows().count() >= least


@pytest.mark.parametrize("state", RequestState.values)
def test_there_are_requests_in_the_state(state: str) -> None:
    assert AccessRequest.objects.filter(state=state).exists()


@pytest.mark.parametrize("cause", ["expired", "returned", "revoked", "left", "rule"])
def test_there_are_grants_that_ended_because(cause: str) -> None:
    assert Grant.objects.filter(end_cause=cause, ends_at__lte=AT).exists()


def test_it_is_a_company_of_a_few_hundred_with_some_thousand_entries(db: Loaded) -> None:
    assert 240 <= db.people <= 300
    assert 5_000 <= db.entries <= 20_000
    assert Pending.objects.count() == db.entries


def test_what_the_rules_give_today_is_what_people_have() -> None:
    everybody = list(Person.objects.values_list("pk", flat=True))
    grants, ended = Grant.objects.count(), Grant.objects.filter(ends_at__lte=AT).count()

    with transaction.atomic():
        birthright.apply(everybody, at=AT, actor=Actor.system("test"))
        after = (Grant.objects.count(), Grant.objects.filter(ends_at__lte=AT).count())
        transaction.set_rollback(True)

    assert after == (grants, ended)


def test_nothing_is_due_when_the_demo_starts() -> None:
    assert sweep.sweep_lag_seconds() == 0
    with transaction.atomic():
        done = sweep.sweep()
        transaction.set_rollback(True)
    assert done == 0


def test_grants_say_what_their_last_revision_says() -> None:
    last = GrantRevision.objects.filter(number=F("grant__revision"))

    assert last.count() == Grant.objects.count()
    assert not last.exclude(starts_at=F("grant__starts_at"), ends_at=F("grant__ends_at")).exists()
    assert Grant.objects.aggregate(n=Count("revisions"))["n"] == GrantRevision.objects.count()


def test_people_say_what_their_last_revision_and_their_document_say() -> None:
    for person in Person.objects.prefetch_related("revisions"):
        last = max(person.revisions.all(), key=lambda revision: revision.number)
        profile = profile_from_document(person.document)
        assert last.number == person.version
        for name in ("status", "user_name", "display_name", "email", "title", "department", "person_type"):
            assert getattr(last, name) == getattr(person, name), name
        for name in ("user_name", "display_name", "external_id", "email", "title", "department", "person_type"):
            assert getattr(profile, name) == getattr(person, name), name
        assert profile.is_active == person.is_active
        assert last.manager_id == person.manager_id


def test_nobody_decided_about_their_own_access() -> None:
    own = Q(approver=F("request__person")) | Q(approver=F("request__requester"))

    assert not Approval.objects.filter(own).exists()


def test_nobody_answered_two_stages_of_one_request() -> None:
    answers = Approval.objects.filter(approver__isnull=False).values("request", "approver")

    assert not answers.annotate(n=Count("pk")).filter(n__gt=1).exists()


def test_every_answer_came_after_the_question_and_before_now() -> None:
    assert not Approval.objects.filter(decided_at__lt=F("request__created_at")).exists()
    assert not Approval.objects.filter(decided_at__gt=AT).exists()
    assert not Grant.objects.filter(request__isnull=False, created_at__lt=F("request__created_at")).exists()


def test_every_verdict_allowed_the_request() -> None:
    verdicts = AccessRequest.objects.values_list("verdict", flat=True)

    assert all(verdict["verdict"]["reasons"] == [] for verdict in verdicts)


def test_no_access_by_request_lasts_longer_than_its_policy_allows() -> None:
    with_end = AccessRequest.objects.filter(duration__isnull=False)

    assert not with_end.filter(duration__gt=F("policy_version__max_duration")).exists()
    assert not AccessRequest.objects.filter(duration=None, policy_version__allows_open_end=False).exists()


def test_every_request_that_waits_can_be_decided() -> None:
    waiting = AccessRequest.objects.filter(state=RequestState.PENDING).select_related(*queries.WITH_REQUEST)

    assert all(eligible_approvers(request) for request in waiting)
    assert not waiting.filter(lapses_at__lte=AT).exists()


def test_the_approver_has_a_morning_of_work() -> None:
    ana = Person.objects.get(email="ana.ruiz@halden.example")

    waiting = queries.waiting_for(ana)

    assert 8 <= len(waiting) <= 14
    assert len({request.entitlement.application_id for request in waiting}) >= 4
    assert all(ana.pk not in (request.person_id, request.requester_id) for request in waiting)


def test_the_security_administrator_is_asked_about_critical_access() -> None:
    ravi = Person.objects.get(email="ravi.menon@halden.example")

    assert queries.waiting_for(ravi)


def test_the_employee_has_something_of_everything() -> None:
    maya = Person.objects.get(email="maya.lindqvist@halden.example")

    causes = Counter(grant.cause for grant in queries.access_of(maya, at=AT))
    assert causes["birthright"] >= 8
    assert causes["request"] >= 2
    assert queries.upcoming_access_of(maya, at=AT)
    assert AccessRequest.objects.filter(person=maya, state=RequestState.PENDING).exists()


@pytest.mark.parametrize("days_ago", [0, 30, 120, 300, 395])
def test_the_past_can_be_asked(days_ago: int) -> None:
    at = AT - timedelta(days=days_ago)

    found = list(queries.who_has_access(at=at))

    assert len(found) > 1200
    assert all(grant.starts_at <= at < grant.ends_at for grant in found)
    joined = PersonRevision.objects.filter(effective_at__lte=at).values_list("person", flat=True)
    assert {grant.person_id for grant in found} <= set(joined)


def test_before_the_rollout_nobody_had_anything() -> None:
    assert not queries.who_has_access(at=AT - timedelta(days=401)).exists()


def test_what_was_believed_before_an_early_end_can_be_asked() -> None:
    returned = Grant.objects.filter(end_cause="returned").first()
    assert returned is not None

    before = queries.known_interval(returned, known_at=returned.ends_at - timedelta(seconds=1))

    assert before is not None
    assert before[1] > returned.ends_at


def test_somebody_has_the_same_role_for_two_reasons() -> None:
    twice = Grant.objects.filter(RUNNING).values("person", "entitlement").annotate(n=Count("pk")).filter(n__gt=1)

    assert twice.exists()


def test_what_one_reason_still_supports_was_not_taken() -> None:
    still = Grant.objects.filter(
        person=OuterRef("person"),
        entitlement=OuterRef("entitlement"),
        starts_at__lte=OuterRef("ends_at"),
        ends_at__gt=OuterRef("ends_at"),
    )

    assert not Grant.objects.filter(Exists(still), take_operation__isnull=False).exists()


def test_who_left_has_nothing_and_nothing_to_come() -> None:
    assert not Grant.objects.filter(person__status=Status.LEFT, ends_at__gt=AT).exists()
    assert not Membership.objects.filter(person__status=Status.LEFT).exists()
    waits = AccessRequest.objects.filter(state=RequestState.PENDING)
    assert not waits.filter(Q(person__status=Status.LEFT) | Q(requester__status=Status.LEFT)).exists()


def test_orders_were_sent_after_they_were_made_and_read_back_after_they_were_sent() -> None:
    wrong = Q(delivered_at__lt=F("ordered_at")) | Q(verified_at__lt=F("delivered_at")) | Q(ordered_at__gt=AT)

    assert not Operation.objects.filter(wrong).exists()
    ordered = list(Operation.objects.order_by("id").values_list("ordered_at", flat=True))
    assert ordered == sorted(ordered)


def test_a_leaver_waits_for_a_removal_that_failed_and_one_came_late() -> None:
    lost = Grant.objects.filter(end_cause="left")

    assert lost.filter(take_operation__state="failed").exists()
    assert lost.filter(take_operation__verified_at__gt=F("ends_at") + timedelta(days=2)).exists()


def test_what_is_seen_is_seen_on_accounts_that_are_there() -> None:
    assert not Holding.objects.filter(HERE, account__gone_at__isnull=False).exists()
    left = Account.objects.filter(HERE, person__status=Status.LEFT)
    assert 1 <= left.count() <= 5


def test_nothing_private_stands_in_the_ledger() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(body::text, ' ') FROM ledger_pending")
        (text,) = cursor.fetchone()

    assert staff.DOMAIN not in text
    for person in Person.objects.all():
        assert person.display_name not in text
        assert person.user_name not in text
    for reason in AccessRequest.objects.values_list("reason", flat=True).distinct():
        assert reason not in text


def test_entries_stand_in_the_order_of_time() -> None:
    times = [body["at"] for body in Pending.objects.order_by("id").values_list("body", flat=True)]

    assert times == sorted(times)
    assert times[-1].startswith("2026-11-25T14:12")


def test_only_those_who_are_printed_can_sign_in() -> None:
    usable = [person.email for person in Person.objects.order_by("email") if person.has_usable_password()]

    assert usable == sorted(one.email for one in staff.SIGN_INS)
    for one in staff.SIGN_INS:
        assert Person.objects.get(email=one.email).check_password(staff.PASSWORD)


@pytest.mark.parametrize("one", staff.SIGN_INS, ids=lambda one: one.role)
def test_each_sign_in_has_its_role(one: staff.SignIn) -> None:
    roles = RoleAssignment.objects.filter(person__email=one.email).values_list("role", flat=True)

    assert one.role == "employee" or one.role in roles


def test_two_people_will_leave_and_a_file_that_left_a_department_out_is_held() -> None:
    assert Person.objects.filter(leaves_at__gt=AT, status="active").count() == 2
    hold = Hold.objects.get()
    assert hold.items.count() > hold.limit
    assert not hold.items.exclude(person__status="active").exists()


def test_somebody_breaks_a_rule_about_duties_somebody_is_excepted_and_nobody_asked_against_one() -> None:
    rules = sod_queries.sod_rules_in_force(AT)
    totals = conflicts.totals([duties.as_policy(rule) for rule in rules], at=AT)

    assert {rule.slug: totals[rule.rule_id] for rule in rules} == {
        "pay-and-refund": Total(open=1),
        "approve-and-set-up": Total(excepted=1),
        "few-keys": Total(),
    }
    effective_at = min(SodRuleVersion.objects.values_list("effective_at", flat=True))
    for request in AccessRequest.objects.filter(created_at__gt=effective_at).select_related("person", "entitlement"):
        asked = Ask(request.duration, "", "", starts_at=request.starts_at)
        broken = duties.of_ask(request.person, request.entitlement, asked, at=request.created_at)
        assert not any(one.is_refused for one in broken), request


def test_a_change_of_a_policy_waits_that_another_administrator_could_approve() -> None:
    waiting = PolicyProposal.objects.get(state="pending")
    assert waiting.base is not None

    seen = preview(terms_from_json(waiting.terms), terms_of(waiting.base), waiting.slug)
    again = replay(terms_from_json(waiting.terms), waiting.slug, at=AT)

    assert waiting.base == last_version(waiting.slug)
    assert not seen.is_refused
    assert seen.waiting_count > 0
    assert (again.different > 0, again.unknown_count) == (True, 0)
