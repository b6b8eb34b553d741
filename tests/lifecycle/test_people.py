"""Joiners, movers and leavers."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access import deciding, requests
from governance.access import queries as access
from governance.access.models import EndCause, Grant, GrantCause, RequestState
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, PersonRevision, Status
from governance.identity.profiles import LIMITS, Profile
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from governance.provisioning.models import Operation
from tests.cast import TESTING, acting, add_role, ask, hire, move

pytestmark = pytest.mark.django_db


def events() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id")]


def test_a_joiner_is_active_with_a_first_revision_and_an_entry() -> None:
    ada = hire("Ada Lovelace")

    assert (ada.status, ada.is_active, ada.version) == (Status.ACTIVE, True, 1)
    assert [revision.change for revision in ada.revisions.all()] == ["joined"]
    assert events() == ["person.joined"]


def test_a_user_name_is_taken_in_any_letter_case() -> None:
    hire("Ada Lovelace")

    with pytest.raises(Conflict, match="already taken"):
        hire("Ada Byron", user_name="ADA@Halden.example", external_id="other")

    assert Person.objects.count() == 1


@pytest.mark.parametrize("field", sorted(LIMITS))
def test_a_value_too_long_is_refused_by_the_name_of_its_field(field: str) -> None:
    with pytest.raises(Invalid) as problem:
        hire("Ada Lovelace", **{field: "x" * (LIMITS[field] + 1)})

    assert list(problem.value.fields) == [field]
    assert not Person.objects.exists()


def test_a_person_needs_a_user_name_and_no_nul() -> None:
    with pytest.raises(Invalid) as problem:
        hire("Ada Lovelace", user_name="  ", title="a\x00b")

    assert set(problem.value.fields) == {"user_name", "title"}


def test_a_manager_is_found_by_any_of_their_ids_also_when_they_come_later() -> None:
    early = hire("Ada Lovelace", manager_hint="idp-grace")
    grace = hire("Grace Hopper")
    later = hire("Alan Kay", manager_hint=str(grace.scim_id))

    early.refresh_from_db()
    assert early.manager == grace
    assert later.manager == grace


def test_nobody_becomes_their_own_manager() -> None:
    ada = hire("Ada Lovelace")

    assert move(ada, manager_hint="idp-ada").manager is None


def test_a_mover_leaves_a_revision_only_when_something_changed(ada: Person) -> None:
    move(ada, department="Finance")
    move(ada, department="Finance")

    assert [revision.department for revision in ada.revisions.order_by("number")] == ["Engineering", "Finance"]
    assert events().count("person.updated") == 1


def test_rules_give_to_joiners_follow_movers_and_take_from_leavers(analyst: Entitlement) -> None:
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [analyst], actor=TESTING)
    ada = hire("Ada Lovelace")
    assert [grant.cause for grant in access.access_of(ada, at=now())] == [GrantCause.BIRTHRIGHT]

    move(ada, department="Finance")
    assert access.access_of(ada, at=now()) == []
    assert Grant.objects.get(person=ada).end_cause == EndCause.RULE

    move(Person.objects.get(pk=ada.pk), department="Engineering")
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    assert access.access_of(ada, at=now()) == []
    assert [grant.end_cause for grant in Grant.objects.filter(person=ada).order_by("id")] == ["rule", "left"]


def test_a_new_version_of_a_rule_keeps_the_access_it_still_gives(ada: Person, analyst: Entitlement) -> None:
    rules.save_birthright_rule("Engineers", 'department eq "Engineering"', [analyst], actor=TESTING)
    move(ada, title="Staff engineer")
    rules.save_birthright_rule(
        "Engineers", 'department eq "Engineering" or department eq "Data"', [analyst], slug="engineers", actor=TESTING
    )
    move(Person.objects.get(pk=ada.pk), title="Principal engineer")

    assert Grant.objects.filter(person=ada).count() == 1


def test_a_group_drives_birthright_at_once(ada: Person, analyst: Entitlement) -> None:
    rules.save_birthright_rule("On call", 'groups.display eq "On call"', [analyst], actor=TESTING)

    group = lifecycle.create_group("On call", member_ids=[ada.pk], source="scim:test", actor=TESTING)
    assert len(access.access_of(ada, at=now())) == 1

    lifecycle.change_members(group, remove=[ada.pk], actor=TESTING)
    assert access.access_of(ada, at=now()) == []


def test_a_leaver_loses_everything_at_once(ada: Person, linus: Person, analyst: Entitlement) -> None:
    deciding.approve(requests.submit(ada, analyst, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))
    other = add_role(analyst.application, "Admin")
    waiting = requests.submit(ada, other, ask(), actor=acting(ada))

    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    ada.refresh_from_db()
    waiting.refresh_from_db()
    assert (ada.status, ada.is_listed, ada.document["active"]) == (Status.LEFT, True, False)
    assert ada.sessions_end_at is not None
    assert access.access_of(ada, at=now()) == []
    assert (waiting.state, waiting.closed_because) == (RequestState.CLOSED, "left")
    assert Operation.objects.filter(person=ada, kind="take").count() == 1
    assert events()[-1] == "person.left"


def test_leaving_fails_as_a_whole_or_not_at_all(
    ada: Person, linus: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding.approve(requests.submit(ada, analyst, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("governance.lifecycle.leaving.record", fail)
    with pytest.raises(RuntimeError):
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    ada.refresh_from_db()
    assert ada.status == Status.ACTIVE
    assert len(access.access_of(ada, at=now())) == 1
    assert not Operation.objects.filter(kind="take").exists()


def test_leaving_twice_is_fine_and_unlists_only_when_asked(ada: Person) -> None:
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    assert events().count("person.left") == 1

    lifecycle.leave(locked_person(ada.scim_id), unlist=True, actor=TESTING)

    ada.refresh_from_db()
    assert not ada.is_listed
    assert events()[-1] == "person.unlisted"


def test_somebody_who_was_deleted_comes_back_as_the_same_person_with_a_new_scim_id(ada: Person) -> None:
    lifecycle.leave(locked_person(ada.scim_id), unlist=True, actor=TESTING)

    again = hire("Ada Lovelace", manager=ada.manager, title=ada.title)

    assert (again.pk, again.ref) == (ada.pk, ada.ref)
    assert again.scim_id != ada.scim_id
    assert again.is_active
    changes = PersonRevision.objects.filter(person=ada).order_by("number").values_list("change", flat=True)
    assert list(changes) == ["joined", "left", "rejoined"]


def test_somebody_deactivated_is_activated_again_without_their_old_requested_access(
    ada: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.approve(requests.submit(ada, analyst, ask(), actor=acting(ada)), approver=linus, actor=acting(linus))
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    move(Person.objects.get(pk=ada.pk), is_active=True)

    ada.refresh_from_db()
    assert ada.is_active
    assert access.access_of(ada, at=now()) == []


def test_a_profile_that_is_not_active_joins_and_leaves() -> None:
    profile = Profile(user_name="old@halden.example", is_active=False)

    person = lifecycle.join(profile, source="scim:test", actor=TESTING)

    assert (person.status, person.is_listed) == (Status.LEFT, True)
    assert events() == ["person.joined", "person.left"]


def test_revisions_of_people_cannot_be_changed(ada: Person) -> None:
    with pytest.raises(Exception, match="insert-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE identity_personrevision SET title = 'CEO'")


def test_members_change_by_the_same_statements_in_any_size() -> None:
    small = lifecycle.create_group("Small", source="scim:test", actor=TESTING)
    people = [hire(f"Person{number} Test") for number in range(30)]
    large = lifecycle.create_group("Large", member_ids=[one.pk for one in people], source="scim:test", actor=TESTING)
    newcomer = hire("New Comer")

    costs = []
    for group in (small, large):
        with CaptureQueriesContext(connection) as captured:
            lifecycle.change_members(group, add=[newcomer.pk], actor=TESTING)
        costs.append(len(captured))

    assert costs[0] == costs[1]


def test_entering_a_group_twice_moves_nothing(ada: Person) -> None:
    group = lifecycle.create_group("On call", member_ids=[ada.pk], source="scim:test", actor=TESTING)

    entered, left = lifecycle.change_members(group, add=[ada.pk], remove=[], actor=TESTING)

    assert (entered, left, group.version) == ([], [], 1)


def test_a_group_is_replaced_and_deleted(ada: Person, linus: Person) -> None:
    group = lifecycle.create_group("On call", member_ids=[ada.pk], source="scim:test", actor=TESTING)

    lifecycle.replace_group(group, "On duty", member_ids=[linus.pk], actor=TESTING)
    assert [membership.person_id for membership in group.memberships.all()] == [linus.pk]
    lifecycle.replace_group(group, "On duty", member_ids=None, actor=TESTING)
    assert group.memberships.count() == 1
    lifecycle.delete_group(group, actor=TESTING)

    assert (group.memberships.count(), group.is_listed) == (0, False)
    with pytest.raises(Conflict):
        lifecycle.delete_group(group, actor=TESTING)
