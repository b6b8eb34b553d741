"""Who may answer, asked in SQL for one reader over everything, and in Python for one request: the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.access import deciding, queries
from governance.access.models import Absence, AccessRequest, Approval, RequestState, Turn, TurnKind
from governance.catalog.models import AccessPolicyVersion, Application, ApplicationOwner, Entitlement
from governance.core.clock import now
from governance.identity.models import Group, Membership, Person, RoleAssignment, Status
from tests.cast import hire
from tests.web import stories

pytestmark = pytest.mark.django_db

World = dict[str, Any]
PEOPLE = 6
_kinds = st.sampled_from(["manager", "managers_manager", "owner", "security", "group", "people"])


@st.composite
def _approvers(draw: st.DrawFn) -> dict[str, object]:
    kind = draw(_kinds)
    return {"kind": kind, "people": sorted(draw(st.sets(st.integers(0, PEOPLE - 1), min_size=1, max_size=3)))}


WORLDS = st.fixed_dictionaries(
    {
        "managers": st.lists(st.none() | st.integers(0, PEOPLE - 1), min_size=PEOPLE, max_size=PEOPLE),
        "left": st.sets(st.integers(0, PEOPLE - 1), max_size=2),
        "owners": st.sets(st.integers(0, PEOPLE - 1), max_size=3),
        "admins": st.sets(st.integers(0, PEOPLE - 1), max_size=2),
        "members": st.sets(st.integers(0, PEOPLE - 1), max_size=3),
        "absences": st.dictionaries(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1), max_size=4),
        "requests": st.lists(
            st.fixed_dictionaries(
                {
                    "asked": _approvers(),
                    "fallback": st.none() | _approvers(),
                    "stays": st.booleans(),
                    "later": st.sampled_from(["", "", "first_only", "added"]),
                    "person": st.integers(0, PEOPLE - 1),
                    "requester": st.integers(0, PEOPLE - 1),
                    "is_escalated": st.booleans(),
                    "answers": st.dictionaries(
                        st.integers(0, PEOPLE - 1), st.none() | st.integers(0, PEOPLE - 1), max_size=2
                    ),
                    "handed": st.lists(st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1)), max_size=3),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    }
)


def test_sql_and_python_agree_on_who_answers_in_every_world(snowflake: Application, analyst: Entitlement) -> None:
    people = [hire(f"Person{number} Test") for number in range(PEOPLE)]
    template = stories.submit(people[0], analyst)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(world=WORLDS)
    def agrees(world: World) -> None:
        with transaction.atomic():
            _build(world, people, snowflake, template)
            waiting = list(AccessRequest.objects.filter(state=RequestState.PENDING))
            for person in Person.objects.filter(pk__in=[one.pk for one in people], status=Status.ACTIVE):
                in_python = {one.pk for one in waiting if person in deciding.eligible_approvers(one)}
                in_sql = set(queries.waiting_for(person).values_list("pk", flat=True))
                assert in_sql == in_python, person.display_name
            transaction.set_rollback(True)

    agrees()


def _build(world: World, people: list[Person], snowflake: Application, template: AccessRequest) -> None:
    at = now()
    _staff(world, people, snowflake, at)
    group = _group([people[one] for one in world["members"]], at)
    AccessRequest.objects.filter(pk=template.pk).update(state=RequestState.WITHDRAWN, closed_at=at)
    for number, one in enumerate(world["requests"]):
        stage = {**_stored(one["asked"], people, group), "stays": one["stays"]}
        if one["fallback"]:
            stage["fallback"] = _stored(one["fallback"], people, group)
        request = _asked(one, people, template, stage, number)
        _answer(one, people, request, at)


def _staff(world: World, people: list[Person], snowflake: Application, at: datetime) -> None:
    for number, manager in enumerate(world["managers"]):
        if manager not in (None, number):
            Person.objects.filter(pk=people[number].pk).update(manager=people[manager])
    Person.objects.filter(pk__in=[people[one].pk for one in world["left"]]).update(status=Status.LEFT, left_at=at)
    ApplicationOwner.objects.all().delete()
    for one in sorted(world["owners"]):
        ApplicationOwner.objects.create(application=snowflake, person=people[one], since=at)
    for one in world["admins"]:
        RoleAssignment.objects.create(person=people[one], role="security_admin", assigned_at=at, assigned_by_ref="-")
    for away, deputy in world["absences"].items():
        if away != deputy:
            Absence.objects.create(
                person=people[away],
                deputy=people[deputy],
                starts_at=at - timedelta(hours=1),
                ends_at=at + timedelta(days=1),
                created_at=at,
            )


def _group(members: list[Person], at: datetime) -> Group:
    group = Group.objects.create(
        display_name="Deciders", display_name_key="deciders", source="test", created_at=at, modified_at=at
    )
    Membership.objects.bulk_create(Membership(group=group, person=one, since=at) for one in members)
    return group


def _stored(said: World, people: list[Person], group: Group) -> World:
    refs = [str(people[one].ref) for one in said["people"]]
    return {"kind": said["kind"], "group": str(group.ref), "people": refs}


def _asked(one: World, people: list[Person], template: AccessRequest, stage: World, number: int) -> AccessRequest:
    version = AccessPolicyVersion.objects.get(pk=template.policy_version_id)
    stages = [stage, stage] if one["later"] == "first_only" else [stage]
    version.pk, version.number, version.stages = None, 100 + number, stages
    version.save()
    request = AccessRequest.objects.get(pk=template.pk)
    request.pk, request.number, request.policy_version = None, 90_000 + number, version
    request.state, request.closed_at, request.answered_ids = RequestState.PENDING, None, []
    request.person, request.requester = people[one["person"]], people[one["requester"]]
    request.escalated_at = now() if one["is_escalated"] else None
    request.stage = 1 if one["later"] else 0
    said = {"first_only": one["later"] == "first_only", "adds_security": bool(one["later"])}
    request.verdict = {**request.verdict, "verdict": said}
    request.save()
    return request


def _answer(one: World, people: list[Person], request: AccessRequest, at: datetime) -> None:
    for approver, behalf in one["answers"].items():
        Approval.objects.create(
            request=request,
            stage=request.stage,
            asked="owner",
            approver=people[approver],
            on_behalf_of=None if behalf is None else people[behalf],
            approved=True,
            facts={},
            policy_version=request.policy_version,
            decided_at=at,
        )
    for holder_of, to in one["handed"]:
        Turn.objects.create(
            request=request,
            stage=request.stage,
            kind=TurnKind.HANDED_OVER,
            by=people[0],
            holder_of=people[holder_of],
            to=people[to],
            at=at,
        )
