"""Who answers for what a leaver answered for. By rule where there is one; the rest is listed for somebody to decide.

An application goes to the leaver's manager, else it stays with its other owners, else security decides about it. What
only somebody can choose (who owns a rule about duties) has no heir and is listed as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from governance.catalog.actions import hand_over_ownerships
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.core.statements import rows
from governance.core.transactions import whole
from governance.identity.models import Person, RoleName
from governance.identity.roles import remove_role
from governance.ledger.recording import Record, Subject, record, record_many
from governance.lifecycle import events
from governance.lifecycle.models import Handover, HandoverKind, HeirRule


@dataclass(frozen=True, slots=True)
class Answered:
    """What somebody answers for, and who would take over: unsaved handovers with the names of things and people."""

    handovers: tuple[Handover, ...]
    #: Slug and name of each policy that names the person at a stage.
    policies: tuple[tuple[str, str], ...]
    #: Requests that would be closed, and tokens that would end.
    requests: int
    tokens: int
    manager: Person | None


def hand_over(person: Person, *, at: datetime, actor: Actor) -> int:
    """Hand over what a person who leaves answered for, list what has no heir, and return how many things that were.

    Joins the caller's transaction.
    """
    answered = answered_for(person)
    made = answered.handovers
    for one in made:
        one.person, one.made_at, one.correlation_id = person, at, actor.correlation_id
        if one.kind in (HandoverKind.REPORT, HandoverKind.DEPUTY):
            one.subject_name = one.subject_ref
        if one.kind == HandoverKind.ROLE:
            remove_role(person, one.subject_ref, actor=actor)
    if any(one.kind == HandoverKind.APPLICATION for one in made):
        hand_over_ownerships(person, answered.manager, at=at, actor=actor)
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


def answered_for(person: Person) -> Answered:
    """Return what a person answers for now and who would take over. Reads only; two statements."""
    found = rows(_ANSWERED, {"person": person.pk, "ref": f"%{person.ref}%", "manager": person.manager_id, "at": now()})
    by_kind: dict[str, list[tuple[str, str, int | None]]] = {}
    for kind, ref, name, heir_id in found:
        by_kind.setdefault(kind, []).append((ref, name, heir_id))
    people = Person.objects.in_bulk({heir_id for _, _, _, heir_id in found if heir_id is not None})
    manager_id = next((heir_id for _, _, heir_id in by_kind.get("manager", [])), None)
    manager = people.get(manager_id) if manager_id is not None else None
    handovers = [
        *(_application(one, manager, people) for one in by_kind.get("application", [])),
        *(_report(one, manager) for one in by_kind.get("report", [])),
        *(_role(one, people) for one in by_kind.get("role", [])),
        *(_without_heir(kind, one) for kind in _UNDECIDED for one in by_kind.get(kind, [])),
    ]
    return Answered(
        handovers=tuple(handovers),
        policies=tuple((ref, name) for ref, name, _ in by_kind.get("policy", [])),
        requests=len(by_kind.get("request", [])),
        tokens=len(by_kind.get("token", [])),
        manager=manager,
    )


def policies_naming(person: Person) -> tuple[tuple[str, str], ...]:
    """Return slug and name of each policy whose version in force names a person at a stage.

    Somebody has to write the next one without them. Who decides is asked when it is decided, so nothing waits for a
    leaver meanwhile.
    """
    found = rows(f"SELECT ref, name FROM ({_POLICIES}) AS named", {"ref": f"%{person.ref}%", "at": now()})  # noqa: S608
    return tuple((ref, name) for ref, name in found)


@whole
def settle(handover_id: int, *, by: Person, actor: Actor) -> Handover:
    """Note that somebody decided who answers for it now.

    Raises NotFound, and Conflict when somebody did before.
    """
    chosen = Handover.objects.select_for_update(of=("self",)).select_related("settled_by", "person")
    found = chosen.filter(pk=handover_id).first()
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


def _application(one: tuple[str, str, int | None], manager: Person | None, people: dict[int, Person]) -> Handover:
    ref, name, other_id = one
    heir, rule = None, HeirRule.SECURITY
    if manager is not None:
        heir, rule = manager, HeirRule.MANAGER
    elif other_id is not None:
        heir, rule = people[other_id], HeirRule.OTHERS
    return Handover(kind=HandoverKind.APPLICATION, subject_ref=ref, subject_name=name, heir=heir, rule=rule)


def _report(one: tuple[str, str, int | None], manager: Person | None) -> Handover:
    rule = HeirRule.MANAGER if manager is not None else HeirRule.SECURITY
    return Handover(kind=HandoverKind.REPORT, subject_ref=one[0], subject_name=one[1], heir=manager, rule=rule)


def _role(one: tuple[str, str, int | None], people: dict[int, Person]) -> Handover:
    role, _, other_id = one
    heir = people[other_id] if other_id is not None else None
    return Handover(
        kind=HandoverKind.ROLE,
        subject_ref=role,
        subject_name=str(RoleName(role).label),
        heir=heir,
        rule=HeirRule.OTHERS if heir is not None else HeirRule.NOBODY,
    )


def _without_heir(kind: str, one: tuple[str, str, int | None]) -> Handover:
    return Handover(kind=kind, subject_ref=one[0], subject_name=one[1], rule=HeirRule.NOBODY)


#: What has no heir by rule.
_UNDECIDED = (HandoverKind.DUTY_RULE.value, HandoverKind.DUTY_EXCEPTION.value, HandoverKind.DEPUTY.value)
#: The version in force of each policy, by what it stores of its stages: policies are few.
_POLICIES = """
SELECT 'policy' AS kind, policy.slug AS ref, policy.name AS name, NULL::bigint AS heir
FROM catalog_accesspolicy policy CROSS JOIN LATERAL (
    SELECT version.stages::text AS stages FROM catalog_accesspolicyversion version
    WHERE version.policy_id = policy.id AND version.effective_at <= %(at)s::timestamptz
    ORDER BY version.number DESC LIMIT 1
) said WHERE said.stages LIKE %(ref)s
"""
#: With the manager or the nearest above who is active; UNION, so that managers in a circle come to an end.
_ANSWERED = f"""
WITH RECURSIVE above (id, manager_id, status, height) AS (
    SELECT id, manager_id, status, 1 FROM identity_person WHERE id = %(manager)s::bigint
    UNION
    SELECT next.id, next.manager_id, next.status, above.height + 1
    FROM above JOIN identity_person next ON next.id = above.manager_id
    WHERE above.status <> 'active' AND above.height < 20
), answered AS (
    (SELECT 'manager' AS kind, '' AS ref, '' AS name, id AS heir FROM above
        WHERE status = 'active' AND id <> %(person)s ORDER BY height LIMIT 1)
    UNION ALL
    SELECT 'application', application.slug, application.name, (
        SELECT heir.id FROM catalog_applicationowner other JOIN identity_person heir ON heir.id = other.person_id
        WHERE other.application_id = application.id AND other.person_id <> %(person)s AND heir.status = 'active'
        ORDER BY other.since, other.id LIMIT 1)
    FROM catalog_applicationowner owned JOIN catalog_application application ON application.id = owned.application_id
    WHERE owned.person_id = %(person)s
    UNION ALL
    SELECT 'report', ref::text, display_name, NULL FROM identity_person
    WHERE manager_id = %(person)s AND status = 'active'
    UNION ALL
    SELECT 'role', held.role, held.role, (
        SELECT heir.id FROM identity_roleassignment other JOIN identity_person heir ON heir.id = other.person_id
        WHERE other.role = held.role AND other.person_id <> %(person)s AND heir.status = 'active'
        ORDER BY other.id LIMIT 1)
    FROM identity_roleassignment held WHERE held.person_id = %(person)s
    UNION ALL
    SELECT 'duty_rule', rule.slug, version.name, NULL
    FROM catalog_sodruleversion version JOIN catalog_sodrule rule ON rule.id = version.rule_id
    WHERE version.owner_id = %(person)s AND rule.retired_at IS NULL AND NOT EXISTS (
        SELECT FROM catalog_sodruleversion later WHERE later.rule_id = rule.id AND later.number > version.number)
    UNION ALL
    SELECT 'duty_exception', exempt.id::text, rule.name, NULL
    FROM catalog_sodexception exempt JOIN catalog_sodrule rule ON rule.id = exempt.rule_id
    WHERE exempt.owner_id = %(person)s AND exempt.ended_at IS NULL AND exempt.ends_at > %(at)s::timestamptz
    UNION ALL
    SELECT 'deputy', who.ref::text, who.display_name, NULL
    FROM access_absence away JOIN identity_person who ON who.id = away.person_id
    WHERE away.deputy_id = %(person)s AND away.ends_at > %(at)s::timestamptz AND who.status = 'active'
    UNION ALL
    SELECT 'request', number::text, '', NULL FROM access_accessrequest
    WHERE state = 'pending' AND (person_id = %(person)s OR requester_id = %(person)s)
    UNION ALL
    SELECT 'token', id::text, '', NULL FROM identity_servicetoken
    WHERE acts_for_id = %(person)s AND revoked_at IS NULL
    UNION ALL
    {_POLICIES}
)
SELECT kind, ref, name, heir FROM answered ORDER BY kind, name, ref
"""  # noqa: S608 - parts of the code; values are parameters
