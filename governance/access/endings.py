"""How grants end: the interval is closed, and what no other grant supports is ordered away. Set-based.

`due` is the end of the grant. A removal is late by what passed between it and the read-back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from governance.access import events, subjects
from governance.access.models import EndCause, Grant, GrantRevision
from governance.core.actor import Actor
from governance.identity.models import Person
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, record_many
from governance.provisioning.actions import Order, order_many
from governance.provisioning.models import OperationKind


def end_all_of_leaver(person: Person, *, at: datetime, actor: Actor) -> int:
    """End every grant of a locked person who leaves, also those that would begin later; return how many."""
    grants = list(Grant.objects.select_for_update(no_key=True).filter(person=person, ends_at__gt=at).order_by("id"))
    end_many(grants, cause=EndCause.LEFT, at=at, actor=actor)
    return len(grants)


def end_many(grants: Sequence[Grant], *, cause: EndCause, at: datetime, actor: Actor) -> None:
    """Close the interval of locked grants at `at`, order the removals, record. A fixed number of statements."""
    if not grants:
        return
    for grant in grants:
        grant.ends_at = max(at, grant.starts_at)
        grant.end_cause = cause
        grant.revision += 1
    Grant.objects.bulk_update(grants, ["ends_at", "end_cause", "revision"])
    GrantRevision.objects.bulk_create(
        GrantRevision(
            grant=grant,
            number=grant.revision,
            starts_at=grant.starts_at,
            ends_at=grant.ends_at,
            recorded_at=at,
            change=cause,
            actor_kind=actor.kind,
            actor_ref=actor.ref,
            correlation_id=actor.correlation_id,
        )
        for grant in grants
    )
    order_ends(grants, at=at, actor=actor)


def order_ends(grants: Sequence[Grant], *, at: datetime, actor: Actor) -> None:
    """Order the removal of what ended grants gave, where no other grant supports it now, and record the ends.

    The people must be locked by this transaction. A grant that never began orders nothing.
    """
    if not grants:
        return
    people = {grant.person_id for grant in grants}
    live = set(
        Grant.objects.filter(person_id__in=people, starts_at__lte=at, ends_at__gt=at).values_list(
            "person_id", "entitlement_id", "application_id"
        )
    )
    supported = {(person, entitlement) for person, entitlement, _ in live}
    in_use = {(person, application) for person, _, application in live}
    falling = [
        grant
        for grant in grants
        if grant.start_ordered_at is not None and (grant.person_id, grant.entitlement_id) not in supported
    ]
    operations = order_many(
        [
            Order(
                kind=OperationKind.TAKE,
                person_id=grant.person_id,
                entitlement_id=grant.entitlement_id,
                application_id=grant.application_id,
                origin=f"grant:{grant.pk}",
                key=f"grant:{grant.pk}:take:{grant.revision}",
                at=at,
                actor=actor,
                closes_account=(grant.person_id, grant.application_id) not in in_use,
            )
            for grant in falling
        ]
    )
    by_key = {operation.idempotency_key: operation.pk for operation in operations}
    for grant in grants:
        grant.end_ordered_at = at
        grant.end_cause = grant.end_cause or EndCause.EXPIRED
        grant.take_operation_id = by_key.get(f"grant:{grant.pk}:take:{grant.revision}")
    Grant.objects.bulk_update(grants, ["end_ordered_at", "end_cause", "take_operation"])
    _record_ends(grants, people=people, actor=actor)


def _record_ends(grants: Sequence[Grant], *, people: set[int], actor: Actor) -> None:
    refs = refs_of(people)
    record_many(
        [
            Record(
                events.GRANT_ENDED,
                actor=actor,
                subjects=subjects.of_grant(grant, refs[grant.person_id]),
                data={
                    "cause": grant.end_cause,
                    "due_at": grant.ends_at.isoformat(),
                    "removal": grant.take_operation_id,
                },
            )
            for grant in grants
        ]
    )
