"""Leaving, whoever says so: everything ends, every removal is ordered, what somebody answered for is handed over."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.access import deciding, endings, grants, queries, requests
from governance.access.models import Absence, EndCause, Grant, GrantCause, RequestState
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.core.actor import Actor, Door
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, DomainError, Invalid, Refused
from governance.identity.models import Person, RoleAssignment, ServiceToken, Status
from governance.identity.profiles import profile_from_document
from governance.identity.queries import locked_person
from governance.identity.roles import assign_role, issue_token, live_token
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import drill, handing_over, people_file, planning, tasks, tracking
from governance.lifecycle.models import Handover, HandoverKind, HeirRule, LeavePlan
from governance.provisioning.models import Operation, OperationKind
from scim_bridge.connections import open_connection
from tests.cast import TESTING, acting, add_application, add_role, ask, hire, make_security_admin
from tests.duties import exempt, forbid

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)


def leave(person: Person, actor: Actor = TESTING) -> Person:
    with transaction.atomic():
        return lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=actor)


def plan(person: Person, leaves_at: datetime, actor: Actor = TESTING) -> None:
    with transaction.atomic():
        planning.plan(Person.objects.select_for_update().get(pk=person.pk), leaves_at, actor=actor)


def give(person: Person, role: Entitlement, starts_at: datetime | None = None) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at or now())
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def events() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


# Doors


def by_scim(method: str) -> Callable[[Person, Person], None]:
    def act(person: Person, admin: Person) -> None:
        token = open_connection("test", dialect="default", actor=TESTING)
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
        answer = Client().generic(
            method,
            f"/scim/v2/Users/{person.scim_id}",
            b"" if method == "DELETE" else json.dumps(body).encode(),
            content_type="application/scim+json",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in (200, 204), answer.content

    return act


def by_page(person: Person, admin: Person) -> None:
    client = Client()
    client.force_login(admin)
    assert client.post(f"/people/{person.ref}/leave/").status_code == 302


def by_api(person: Person, admin: Person) -> None:
    _, token = issue_token("api", "script", acts_for=admin, scopes=["read", "write"], actor=TESTING)
    headers = {"Authorization": f"Bearer {token}"}
    answer = Client().post(f"/api/v1/people/{person.ref}/leave/", content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content


def by_file(person: Person, admin: Person) -> None:
    text = f"user_name,status\n{person.user_name},left\n"
    people_file.apply(text.encode(), name="people.csv", is_full=False, actor=acting(admin))


def by_the_clock(person: Person, admin: Person) -> None:
    with time_machine.travel(now() - timedelta(hours=1)):
        plan(person, now() + timedelta(minutes=30))
    assert tasks.sweep() == 1


DOORS: dict[str, Callable[[Person, Person], None]] = {
    "a directory deactivates": by_scim("PATCH"),
    "a directory deletes": by_scim("DELETE"),
    "a page": by_page,
    "a script": by_api,
    "a file": by_file,
    "a planned date": by_the_clock,
}


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_authentik_25081_every_door_ends_everything(
    door: Callable[[Person, Person], None], ada: Person, sam: Person, linus: Person, analyst: Entitlement
) -> None:
    """A deactivation that left sessions or tokens alive through one door of several was authentik's bug."""
    client = Client()
    client.force_login(ada)
    _, token = issue_token("api", "ada's script", acts_for=ada, actor=TESTING)
    assign_role(ada, "auditor", actor=TESTING)
    rules.save_birthright_rule("Everybody", 'not (userName eq "")', [analyst], actor=TESTING)
    running = give(ada, analyst)
    later = give(ada, add_role(analyst.application, "Loader"), now() + timedelta(days=2))
    waiting = requests.submit(ada, add_role(analyst.application, "Payer"), ask(), actor=acting(ada))
    assert client.get("/me/access/").status_code == 200

    door(ada, sam)

    ada.refresh_from_db()
    assert ada.status == Status.LEFT
    assert client.get("/me/access/").status_code == 302
    assert live_token(token, "api", at=now()) is None
    assert not ServiceToken.objects.filter(acts_for=ada, revoked_at__isnull=True).exists()
    assert not has_anything(ada)
    assert Grant.objects.get(pk=later.pk).ends_at == Grant.objects.get(pk=later.pk).starts_at
    taken = Operation.objects.filter(person=ada, kind=OperationKind.TAKE)
    assert [order.entitlement_id for order in taken] == [analyst.pk]
    assert taken.get().closes_account
    waiting.refresh_from_db()
    assert (waiting.state, waiting.closed_because) == (RequestState.CLOSED, "left")
    assert not RoleAssignment.objects.filter(person=ada).exists()
    assert Grant.objects.get(pk=running.pk).end_cause == EndCause.LEFT


@pytest.mark.django_db
def test_tokens_and_roles_stay_ended_when_the_person_comes_back(ada: Person) -> None:
    _, token = issue_token("api", "ada's script", acts_for=ada, actor=TESTING)
    assign_role(ada, "auditor", actor=TESTING)
    leave(ada)

    with transaction.atomic():
        person = locked_person(ada.scim_id)
        profile = profile_from_document({**person.document, "active": True})
        lifecycle.update(person, profile, actor=TESTING)

    assert Person.objects.get(pk=ada.pk).is_active
    assert live_token(token, "api", at=now()) is None
    assert not RoleAssignment.objects.filter(person=ada).exists()


@pytest.mark.django_db
def test_a_leaver_without_anything_costs_two_statements_and_the_ledger(ada: Person) -> None:
    with transaction.atomic():
        person = locked_person(ada.scim_id)
        with CaptureQueriesContext(connection) as asked:
            lifecycle.leave(person, actor=Actor.service("okta", door=Door.SCIM))

    # What there is, counted as well; row and revision; the ledger. And the savepoint of the test.
    assert len(asked) == 3 + 2


# Handing over


@pytest.mark.django_db
def test_an_application_goes_to_the_manager_of_its_owner(grace: Person, sam: Person) -> None:
    owner = hire("Linus Berg", manager=grace)
    snowflake = add_application("Snowflake", owner=owner)

    leave(owner)

    assert [one.person for one in snowflake.ownerships.all()] == [grace]
    made = Handover.objects.get()
    assert (made.kind, made.subject_ref, made.heir, made.rule) == ("application", "snowflake", grace, "manager")
    assert events().count("handover.made") == 1


@pytest.mark.django_db
def test_it_goes_past_managers_who_left(grace: Person) -> None:
    boss = hire("Rear Admiral", user_name="boss@halden.example")
    middle = hire("Middle Manager", manager=boss, user_name="middle@halden.example")
    owner = hire("Linus Berg", manager=middle)
    snowflake = add_application("Snowflake", owner=owner)
    leave(middle)

    leave(owner)

    assert [one.person for one in snowflake.ownerships.all()] == [boss]


@pytest.mark.django_db
def test_without_a_manager_the_other_owners_keep_it(ada: Person) -> None:
    linus = hire("Linus Berg")
    snowflake = add_application("Snowflake", owner=linus)
    snowflake.ownerships.create(person=ada, since=now())

    leave(linus)

    assert [one.person for one in snowflake.ownerships.all()] == [ada]
    assert Handover.objects.get().rule == HeirRule.OTHERS


@pytest.mark.django_db
def test_team_187_587_356_without_an_heir_security_decides_and_it_is_listed(
    ada: Person, sam: Person, linus: Person, analyst: Entitlement
) -> None:
    """Disabled people could approve, and requests without an approver were stuck."""
    waiting = requests.submit(ada, analyst, ask(), actor=acting(ada))

    leave(linus)

    assert deciding.eligible_approvers(waiting) == [sam]
    with pytest.raises(Refused):
        deciding.approve(waiting, approver=Person.objects.get(pk=linus.pk), actor=acting(linus))
    made = Handover.objects.get(kind=HandoverKind.APPLICATION)
    assert (made.rule, made.heir) == (HeirRule.SECURITY, None)
    assert tracking.is_undecided(made)

    handing_over.settle(made.pk, by=sam, actor=acting(sam))
    with pytest.raises(Conflict, match="Sam Okoro settled this"):
        handing_over.settle(made.pk, by=sam, actor=acting(sam))


@pytest.mark.django_db
def test_the_managers_manager_acts_until_the_directory_says_so(grace: Person, sam: Person) -> None:
    middle = hire("Middle Manager", manager=grace, user_name="middle@halden.example")
    ada = hire("Ada Lovelace", manager=middle)
    role = add_role(add_application("Snowflake"), stages=("manager",))
    leave(middle)

    waiting = requests.submit(ada, role, ask(), actor=acting(ada))

    assert deciding.eligible_approvers(waiting) == [grace]
    assert list(queries.waiting_for(grace)) == [waiting]
    made = Handover.objects.get()
    assert (made.kind, made.subject_ref, made.heir) == (HandoverKind.REPORT, str(ada.ref), grace)


@pytest.mark.django_db
def test_what_only_somebody_can_decide_is_listed_as_without_an_heir(ada: Person, analyst: Entitlement) -> None:
    sam = make_security_admin(hire("Sam Okoro"))
    owner = hire("Linus Two", user_name="two@halden.example")
    rule = forbid([analyst], [add_role(analyst.application, "Payer")], owner=owner, name="Payer and payee")
    exempt(rule, ada, by=sam)

    leave(owner)
    leave(sam)

    assert set(Handover.objects.values_list("kind", "subject_name", "rule")) >= {
        ("duty_rule", "Payer and payee", "nobody"),
        ("role", "Security administrator", "nobody"),
    }


@pytest.mark.django_db
def test_whom_a_leaver_stands_in_for_is_listed(ada: Person, linus: Person) -> None:
    at = now()
    Absence.objects.create(
        person=ada, deputy=linus, starts_at=at, ends_at=at + timedelta(days=5), reason="Holiday", created_at=at
    )

    leave(linus)

    made = Handover.objects.get()
    assert (made.kind, made.subject_ref, made.rule) == (HandoverKind.DEPUTY, str(ada.ref), HeirRule.NOBODY)
    assert [one.subject_name for one in tracking.handovers_of(linus)] == ["Ada Lovelace"]


@pytest.mark.django_db
def test_a_drill_says_exactly_what_leaving_does_and_writes_nothing(
    grace: Person, sam: Person, analyst: Entitlement
) -> None:
    owner = hire("Linus Two", manager=grace, user_name="two@halden.example")
    add_application("GitLab", owner=owner)
    hire("Rookie One", manager=owner)
    give(owner, analyst)
    give(owner, add_role(add_application("Jira"), "Reader"), now() + timedelta(days=2))
    issue_token("api", "script", acts_for=owner, actor=TESTING)
    entries = Pending.objects.count()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        said = drill.drill(owner)
        transaction.set_rollback(True)
    assert Pending.objects.count() == entries
    leave(owner)

    assert said.orders == Operation.objects.filter(person=owner, kind=OperationKind.TAKE).count() == 1
    assert [one.application.name for one in said.applications] == ["Jira", "Snowflake"]
    assert said.tokens == 1
    told = {(one.kind, one.subject_ref, one.heir_id, one.rule) for one in said.handovers}
    done = set(Handover.objects.values_list("kind", "subject_ref", "heir_id", "rule"))
    assert told == done


# Planned leave dates


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(START, tick=False) as moved:
        yield moved


@pytest.mark.django_db
def test_a_planned_leave_happens_at_its_instant_without_anybody(
    clock: time_machine.Coordinates, ada: Person, analyst: Entitlement
) -> None:
    give(ada, analyst)
    plan(ada, START + timedelta(days=3))

    clock.move_to(START + timedelta(days=3) - timedelta(milliseconds=1))
    assert tasks.sweep() == 0
    clock.move_to(START + timedelta(days=3))
    assert tasks.sweep() == 1
    assert tasks.sweep() == 0

    ada.refresh_from_db()
    assert (ada.status, ada.left_at, ada.leaves_at) == (Status.LEFT, START + timedelta(days=3), None)
    assert events().count("person.left") == 1


@pytest.mark.django_db
def test_it_can_be_moved_and_called_off_and_the_ledger_has_it_all(clock: time_machine.Coordinates, ada: Person) -> None:
    plan(ada, START + timedelta(days=3))
    plan(ada, START + timedelta(days=9))
    plan(ada, START + timedelta(days=9))
    with transaction.atomic():
        planning.call_off(Person.objects.select_for_update().get(pk=ada.pk), actor=TESTING)

    clock.move_to(START + timedelta(days=30))
    assert tasks.sweep() == 0
    assert [event for event in events() if event.startswith("leaving.")] == [
        "leaving.planned",
        "leaving.planned",
        "leaving.called_off",
    ]
    assert LeavePlan.objects.filter(person=ada).count() == 3


@pytest.mark.django_db
def test_a_date_that_is_past_or_of_somebody_who_left_is_refused(ada: Person, grace: Person) -> None:
    with pytest.raises(Invalid, match="past"):
        plan(ada, now() - timedelta(minutes=1))
    leave(grace)
    with pytest.raises(Conflict, match="left already"):
        plan(grace, now() + timedelta(days=1))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("hours", "refused"), [(8, True), (4, True), (3, False)], ids=["after", "just after", "before"]
)
def test_nobody_gets_access_beyond_their_leave_date(
    clock: time_machine.Coordinates, ada: Person, analyst: Entitlement, hours: int, refused: bool
) -> None:
    plan(ada, START + timedelta(hours=3, minutes=30))
    ada.refresh_from_db()

    if not refused:
        assert requests.submit(ada, analyst, ask(timedelta(hours=hours)), actor=acting(ada)).pk
        return
    with pytest.raises(Refused) as refusal:
        requests.submit(ada, analyst, ask(timedelta(hours=hours)), actor=acting(ada))
    assert [reason.code for reason in refusal.value.reasons] == ["beyond_leaving"]


@pytest.mark.django_db
def test_a_plan_outlives_what_the_directory_says_meanwhile_and_ends_with_leaving(ada: Person) -> None:
    plan(ada, now() + timedelta(days=3))
    with transaction.atomic():
        person = locked_person(ada.scim_id)
        lifecycle.update(person, profile_from_document({**person.document, "title": "Countess"}), actor=TESTING)
    assert Person.objects.get(pk=ada.pk).leaves_at is not None

    leave(ada)

    assert Person.objects.get(pk=ada.pk).leaves_at is None


# Two at once, and kills


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all of it in as many threads, begun together; return what each returned or raised."""
    ready = threading.Barrier(len(acts))

    def act(one: Callable[[], object]) -> object:
        try:
            ready.wait(timeout=30)
            return one()
        except DomainError as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def has_anything(person: Person) -> bool:
    return Grant.objects.filter(person=person, ends_at__gt=now()).filter(ends_at__gt=F("starts_at")).exists()


@pytest.mark.django_db(transaction=True)
def test_leave_against_approve_leaves_nothing_whoever_is_first() -> None:
    linus, ada = hire("Linus Berg"), hire("Ada Lovelace")
    role = add_role(add_application("Snowflake", owner=linus))
    waiting = requests.submit(ada, role, ask(), actor=acting(ada))

    at_once(
        lambda: leave(ada),
        lambda: deciding.approve(waiting, approver=linus, actor=acting(linus)),
    )

    waiting.refresh_from_db()
    assert waiting.state in (RequestState.CLOSED, RequestState.APPROVED)
    assert not has_anything(ada)
    given = Operation.objects.filter(person=ada, kind=OperationKind.GIVE).count()
    assert Operation.objects.filter(person=ada, kind=OperationKind.TAKE).count() == given


@pytest.mark.django_db(transaction=True)
def test_leave_against_join_ends_with_the_access_of_whoever_was_last() -> None:
    role = add_role(add_application("Snowflake"))
    rules.save_birthright_rule("Everybody", 'not (userName eq "")', [role], actor=TESTING)
    ada = hire("Ada Lovelace")

    def delete() -> None:
        with transaction.atomic():
            lifecycle.leave(Person.objects.select_for_update().get(pk=ada.pk), unlist=True, actor=TESTING)

    at_once(delete, lambda: lifecycle.join(profile_from_document(ada.document), source="scim:test", actor=TESTING))

    ada.refresh_from_db()
    assert Person.objects.count() == 1
    assert has_anything(ada) == ada.is_active


@pytest.mark.django_db(transaction=True)
def test_two_leaves_at_once_are_one() -> None:
    ada = hire("Ada Lovelace")
    role = add_role(add_application("Snowflake"))
    give(ada, role)

    at_once(lambda: leave(ada), lambda: leave(ada), tasks.sweep)

    assert events().count("person.left") == 1
    assert Operation.objects.filter(person=ada, kind=OperationKind.TAKE).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_let_everybody_leave_once() -> None:
    people = [hire(f"Person{number} X", user_name=f"p{number}@halden.example") for number in range(8)]
    with time_machine.travel(now() - timedelta(days=1)):
        for person in people:
            plan(person, now() + timedelta(hours=1))

    done = at_once(planning.leave_when_due, planning.leave_when_due)

    assert sum(int(str(one)) for one in done) == 8
    assert events().count("person.left") == 8


@pytest.mark.django_db
def test_a_kill_in_the_middle_leaves_all_or_nothing(
    ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(ada, analyst)
    with time_machine.travel(now() - timedelta(days=1)):
        plan(ada, now() + timedelta(hours=1))

    def die(*_: object, **__: object) -> int:
        raise SystemExit("killed")

    with monkeypatch.context() as killed:
        killed.setattr(endings, "end_all_of_leaver", die)
        with pytest.raises(SystemExit):
            tasks.sweep()
    assert Person.objects.get(pk=ada.pk).is_active
    assert Grant.objects.filter(person=ada, ends_at=OPEN_END).exists()

    assert tasks.sweep() == 1
    assert not has_anything(ada)
