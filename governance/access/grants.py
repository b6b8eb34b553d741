"""The writers of grants: how one starts, lasts longer, shorter, and is given back or taken away.

A grant is one reason with an interval. Nothing here asks an application anything: starts and ends order operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from governance.access import endings, events, subjects
from governance.access.endings import columns, revise_many
from governance.access.models import EndCause, Grant, GrantCause
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, is_open_ended, now
from governance.core.errors import Conflict, Invalid, Reason, Refused
from governance.core.statements import rows
from governance.core.tables import insert_rows
from governance.identity.models import Person
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, record, record_many
from governance.provisioning.actions import order_selected
from governance.provisioning.models import OperationKind


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant to start. `ends_at` is OPEN_END when there is no end."""

    person_id: int
    entitlement_id: int
    application_id: int
    cause: str
    starts_at: datetime
    ends_at: datetime = OPEN_END
    request_id: int | None = None
    rule_version_id: int | None = None


#: What a grant is inserted with; all other columns are empty at first.
_INSERTED = (
    "person_id",
    "entitlement_id",
    "application_id",
    "cause",
    "starts_at",
    "ends_at",
    "request_id",
    "rule_version_id",
    "end_cause",
    "revision",
    "created_at",
    "correlation_id",
)


def start_many(new: Sequence[NewGrant], *, at: datetime, actor: Actor) -> list[Grant]:
    """Write grants with their first revisions, order what starts now, record all. A fixed number of statements.

    The people must be locked by this transaction, so that the union of their grants cannot change meanwhile.
    """
    if not new:
        return []
    grants = [
        Grant(
            person_id=one.person_id,
            entitlement_id=one.entitlement_id,
            application_id=one.application_id,
            cause=one.cause,
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            request_id=one.request_id,
            rule_version_id=one.rule_version_id,
            created_at=at,
            correlation_id=actor.correlation_id,
        )
        for one in new
    ]
    for grant, key in zip(grants, insert_rows(Grant, [columns(grant, _INSERTED) for grant in grants]), strict=True):
        grant.pk = key
    revise_many(grants, "started", at=at, actor=actor)
    order_starts([grant for grant in grants if grant.starts_at <= at], at=at, actor=actor)
    refs = refs_of({grant.person_id for grant in grants})
    record_many(
        [
            Record(
                events.GRANT_STARTED,
                actor=actor,
                subjects=subjects.of_grant(grant, refs[grant.person_id]),
                data={
                    "cause": grant.cause,
                    "starts_at": grant.starts_at.isoformat(),
                    "ends_at": None if is_open_ended(grant.ends_at) else grant.ends_at.isoformat(),
                    "request": grant.request_id,
                    "rule_version": grant.rule_version_id,
                },
            )
            for grant in grants
        ]
    )
    return grants


def order_starts(grants: Sequence[Grant], *, at: datetime, actor: Actor) -> None:
    """Order what grants that have begun give, and note on them that it was ordered. Two statements."""
    if not grants:
        return
    known = {"ids": [grant.pk for grant in grants], "at": at}
    ordered = order_selected(OperationKind.GIVE.value, _BEGINNING, known, at=at, actor=actor)
    for grant in grants:
        grant.start_ordered_at = at
        grant.give_operation_id = ordered[f"grant:{grant.pk}:give:{grant.revision}"]
    rows(_NOTE_STARTS, {**known, "operations": [grant.give_operation_id for grant in grants]})


_BEGINNING = """
SELECT 'grant:' || begun.id AS origin, 'grant:' || begun.id || ':give:' || begun.revision AS key, begun.person_id,
    begun.entitlement_id, begun.application_id, false AS closes_account
FROM access_grant begun WHERE begun.id = ANY(%(ids)s::bigint[]) ORDER BY begun.starts_at, begun.id
"""
_NOTE_STARTS = """
UPDATE access_grant AS begun SET start_ordered_at = %(at)s, give_operation_id = given.operation_id
FROM unnest(%(ids)s::bigint[], %(operations)s::bigint[]) AS given (id, operation_id) WHERE begun.id = given.id
"""


@transaction.atomic
def extend(grant: Grant, *, ends_at: datetime, actor: Actor) -> Grant:
    """Move the end of a running grant later.

    Raises Conflict when it has ended and Invalid when the new end is not later.
    """
    at = now()
    grant = locked(grant)
    if grant.ends_at <= at:
        raise Conflict("This access has ended already. Ask for it again.")
    if ends_at <= grant.ends_at:
        raise Invalid({"ends_at": "The new end must be later than the present one."})
    return _move_end(grant, ends_at=ends_at, change="extended", event=events.GRANT_EXTENDED, at=at, actor=actor)


@transaction.atomic
def shorten(grant: Grant, *, ends_at: datetime, actor: Actor) -> Grant:
    """Move the end of a running grant to an earlier instant ahead.

    Raises Conflict when it has ended and Invalid when the new end is not between now and the present end.
    """
    at = now()
    grant = locked(grant)
    if grant.ends_at <= at:
        raise Conflict("This access has ended already.")
    if not at < ends_at < grant.ends_at:
        raise Invalid({"ends_at": "The new end must lie between now and the present end."})
    return _move_end(grant, ends_at=ends_at, change="shortened", event=events.GRANT_SHORTENED, at=at, actor=actor)


@transaction.atomic
def give_back(grant: Grant, *, person: Person, actor: Actor) -> Grant:
    """End one's own grant before its time.

    Raises Refused for somebody else's or by role, and Conflict when it has ended.
    """
    reasons = []
    if grant.person_id != person.pk:
        reasons.append(Reason("not_yours", "Only the person who has it can give it back."))
    if grant.cause == GrantCause.BIRTHRIGHT:
        reasons.append(Reason("by_role", "This comes with your role and cannot be given back."))
    if reasons:
        raise Refused(reasons)
    return _end_now(grant, cause=EndCause.RETURNED, actor=actor)


@transaction.atomic
def revoke(grant: Grant, *, actor: Actor) -> Grant:
    """Take a grant away now.

    Raises Refused when a rule would give it again at once, and Conflict when it has ended.
    """
    if grant.cause == GrantCause.BIRTHRIGHT:
        raise Refused([Reason("by_role", "A birthright rule gives this. Change the rule, or it would come back.")])
    return _end_now(grant, cause=EndCause.REVOKED, actor=actor)


def locked(grant: Grant) -> Grant:
    """Return the grant as it is now, its person and it locked, in the order every action locks them."""
    Person.objects.select_for_update(no_key=True).get(pk=grant.person_id)
    return Grant.objects.select_for_update(no_key=True).get(pk=grant.pk)


def _end_now(grant: Grant, *, cause: EndCause, actor: Actor) -> Grant:
    at = now()
    grant = locked(grant)
    if grant.ends_at <= at:
        raise Conflict("This access has ended already.")
    endings.end_many([grant], cause=cause, at=at, actor=actor)
    return grant


def _move_end(grant: Grant, *, ends_at: datetime, change: str, event: str, at: datetime, actor: Actor) -> Grant:
    before = grant.ends_at
    grant.ends_at = ends_at
    grant.revision += 1
    grant.save(update_fields=["ends_at", "revision"])
    revise_many([grant], change, at=at, actor=actor)
    refs = refs_of([grant.person_id])
    record(
        event,
        actor=actor,
        subjects=subjects.of_grant(grant, refs[grant.person_id]),
        data={"from": before.isoformat(), "to": None if is_open_ended(ends_at) else ends_at.isoformat()},
    )
    return grant
