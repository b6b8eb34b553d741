"""Who answers for what a leaver answered for. By rule where there is one; the rest is listed for somebody to decide.

An application goes to the leaver's manager, else it stays with its other owners, else security decides about it. What
only somebody can choose (who owns a rule about duties) has no heir and is listed as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from governance.catalog.actions import set_owners
from governance.catalog.models import Application, SodException, SodRuleVersion
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.core.transactions import whole
from governance.identity.models import Person, RoleAssignment, RoleName, Status
from governance.identity.queries import acting_manager
from governance.identity.roles import remove_role
from governance.ledger.recording import Record, Subject, record, record_many
from governance.lifecycle import events
from governance.lifecycle.models import Handover, HandoverKind, HeirRule


def hand_over(person: Person, *, at: datetime, actor: Actor) -> int:
    """Hand over what a person who leaves answered for, list what has no heir, and return how many things that were.

    Joins the caller's transaction.
    """
    made = [one for part in _PARTS for one in part(person, actor)]
    for one in made:
        one.person, one.made_at, one.correlation_id = person, at, actor.correlation_id
    Handover.objects.bulk_create(made)
    record_many(
        Record(
            events.HANDOVER_MADE,
            actor,
            [
                Subject("person", str(person.ref)),
                Subject(one.kind, one.subject_ref),
                *([Subject("person", str(one.heir.ref))] if one.heir is not None else []),
            ],
            {"rule": one.rule},
        )
        for one in made
    )
    return len(made)


def what_would_go(person: Person) -> list[Handover]:
    """Return what `hand_over` would make of it now, unsaved; nothing is written."""
    return [one for part in _PLANNED for one in part(person)]


@whole
def settle(handover_id: int, *, by: Person, actor: Actor) -> Handover:
    """Note that somebody decided who answers for it now.

    Raises NotFound, and Conflict when somebody did before.
    """
    found = (
        Handover.objects.select_for_update(of=("self",))
        .select_related("settled_by", "person")
        .filter(pk=handover_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such handover.")
    if found.settled_at is not None:
        who = found.settled_by.display_name if found.settled_by else "Somebody"
        raise Conflict(f"{who} settled this at {found.settled_at:%H:%M on %d %B %Y} UTC.")
    found.settled_at, found.settled_by = now(), by
    found.save(update_fields=["settled_at", "settled_by"])
    subjects = [Subject("person", str(found.person.ref)), Subject(found.kind, found.subject_ref)]
    record(events.HANDOVER_SETTLED, actor=actor, subjects=subjects)
    return found


def _applications(person: Person) -> Iterable[tuple[Application, list[Person], Handover]]:
    """Return the applications of a person with who owns them afterwards and how that is noted."""
    manager = acting_manager(person)
    owned = Application.objects.filter(ownerships__person=person).order_by("name", "pk")
    for application in owned.prefetch_related("ownerships__person"):
        others = [
            one.person
            for one in sorted(application.ownerships.all(), key=lambda one: (one.since, one.pk))
            if one.person_id != person.pk and one.person.is_active
        ]
        made = Handover(
            kind=HandoverKind.APPLICATION, subject_ref=application.slug, subject_name=application.name, rule="security"
        )
        if manager is not None:
            made.heir, made.rule = manager, HeirRule.MANAGER
            owners = others if manager in others else [*others, manager]
        else:
            owners = others
            if others:
                made.heir, made.rule = others[0], HeirRule.OTHERS
        yield application, owners, made


def _of_applications(person: Person) -> list[Handover]:
    return [made for _, _, made in _applications(person)]


def _move_applications(person: Person, actor: Actor) -> list[Handover]:
    moved = []
    for application, owners, made in list(_applications(person)):
        set_owners(application, owners, actor=actor)
        moved.append(made)
    return moved


def _of_reports(person: Person) -> list[Handover]:
    manager = acting_manager(person)
    return [
        Handover(
            kind=HandoverKind.REPORT,
            subject_ref=str(ref),
            subject_name=str(ref),
            heir=manager,
            rule=HeirRule.MANAGER if manager is not None else HeirRule.SECURITY,
        )
        for ref in Person.objects.filter(manager=person, status=Status.ACTIVE)
        .order_by("pk")
        .values_list("ref", flat=True)
    ]


def _of_roles(person: Person) -> list[Handover]:
    held = RoleAssignment.objects.filter(person=person).order_by("role").values_list("role", flat=True)
    made = []
    for role in held:
        others = RoleAssignment.objects.filter(role=role, person__status=Status.ACTIVE).exclude(person=person)
        heir = others.select_related("person").order_by("pk").first()
        made.append(
            Handover(
                kind=HandoverKind.ROLE,
                subject_ref=role,
                subject_name=str(RoleName(role).label),
                heir=heir.person if heir else None,
                rule=HeirRule.OTHERS if heir else HeirRule.NOBODY,
            )
        )
    return made


def _take_roles(person: Person, actor: Actor) -> list[Handover]:
    made = _of_roles(person)
    for one in made:
        remove_role(person, one.subject_ref, actor=actor)
    return made


def _of_duties(person: Person) -> list[Handover]:
    latest = SodRuleVersion.objects.order_by("rule_id", "-number").distinct("rule_id")
    owned = SodRuleVersion.objects.filter(pk__in=latest.values("pk"), owner=person, rule__retired_at__isnull=True)
    answered = SodException.objects.filter(owner=person, ended_at__isnull=True, ends_at__gt=now())
    return [
        *(
            Handover(
                kind=HandoverKind.DUTY_RULE,
                subject_ref=version.rule.slug,
                subject_name=version.name,
                rule=HeirRule.NOBODY,
            )
            for version in owned.select_related("rule").order_by("rule__slug")
        ),
        *(
            Handover(
                kind=HandoverKind.DUTY_EXCEPTION,
                subject_ref=str(one.pk),
                subject_name=one.rule.name,
                rule=HeirRule.NOBODY,
            )
            for one in answered.select_related("rule").order_by("pk")
        ),
    ]


_PLANNED: tuple[Callable[[Person], list[Handover]], ...] = (_of_applications, _of_reports, _of_roles, _of_duties)
_PARTS: tuple[Callable[[Person, Actor], list[Handover]], ...] = (
    _move_applications,
    lambda person, _: _of_reports(person),
    _take_roles,
    lambda person, _: _of_duties(person),
)
