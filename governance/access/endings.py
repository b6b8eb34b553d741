"""How grants end: the interval is closed, and what no other grant supports is ordered away. Set-based.

`due` is the end of the grant. A removal is late by what passed between it and the read-back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from governance.access import events, subjects
from governance.access.models import EndCause, Grant, GrantRevision
from governance.core.actor import Actor
from governance.core.statements import row, rows
from governance.core.tables import insert_rows, update_rows
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


def left_behind(person: Person, *, at: datetime) -> tuple[bool, bool]:
    """Tell whether a locked person has requests that wait, and grants that run or will. One statement.

    A directory that is loaded anew brings many who left long ago and have neither.
    """
    found = row(_LEFT_BEHIND, {"person": person.pk, "at": at})
    return (bool(found[0]), bool(found[1])) if found else (False, False)


_LEFT_BEHIND = """
SELECT EXISTS (SELECT 1 FROM access_accessrequest
        WHERE state = 'pending' AND (person_id = %(person)s OR requester_id = %(person)s)),
    EXISTS (SELECT 1 FROM access_grant WHERE person_id = %(person)s AND ends_at > %(at)s)
"""


def end_many(grants: Sequence[Grant], *, cause: EndCause, at: datetime, actor: Actor) -> None:
    """Close the interval of locked grants at `at`, order the removals, record. A fixed number of statements."""
    _close(grants, {grant.pk: max(at, grant.starts_at) for grant in grants}, cause=cause, at=at, actor=actor)


def call_off(grants: Sequence[Grant], *, cause: EndCause, at: datetime, actor: Actor) -> None:
    """End locked grants that nothing was ordered for as of their start, so that they covered no instant."""
    _close(grants, {grant.pk: grant.starts_at for grant in grants}, cause=cause, at=at, actor=actor)


def _close(
    grants: Sequence[Grant], ends: Mapping[int, datetime], *, cause: EndCause, at: datetime, actor: Actor
) -> None:
    if not grants:
        return
    for grant in grants:
        grant.ends_at = ends[grant.pk]
        grant.end_cause = cause
        grant.revision += 1
    update_rows(Grant, [columns(grant, ("id", "ends_at", "end_cause", "revision")) for grant in grants])
    revise_many(grants, cause, at=at, actor=actor)
    order_ends(grants, at=at, actor=actor)


def order_ends(grants: Sequence[Grant], *, at: datetime, actor: Actor) -> None:
    """Order the removal of what ended grants gave, where no other grant supports it now, and record the ends.

    The people must be locked by this transaction. A grant that never began orders nothing.
    """
    if not grants:
        return
    people = {grant.person_id for grant in grants}
    live = rows(_LIVE, [list(people), at, at])
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
    for grant in grants:
        grant.end_ordered_at = at
        grant.end_cause = grant.end_cause or EndCause.EXPIRED
        grant.take_operation_id = operations.get(f"grant:{grant.pk}:take:{grant.revision}")
    ordered = ("id", "end_ordered_at", "end_cause", "take_operation_id")
    update_rows(Grant, [columns(grant, ordered) for grant in grants])
    _record_ends(grants, people=people, actor=actor)


_LIVE = """
SELECT DISTINCT person_id, entitlement_id, application_id FROM access_grant
WHERE person_id = ANY(%s::bigint[]) AND starts_at <= %s AND ends_at > %s
"""


def revise_many(grants: Sequence[Grant], change: str, *, at: datetime, actor: Actor) -> None:
    """Write a revision of each grant that says what it is now."""
    insert_rows(
        GrantRevision,
        [
            {
                "grant_id": grant.pk,
                "number": grant.revision,
                "starts_at": grant.starts_at,
                "ends_at": grant.ends_at,
                "recorded_at": at,
                "change": change,
                "actor_kind": actor.kind,
                "actor_ref": actor.ref,
                "correlation_id": actor.correlation_id,
            }
            for grant in grants
        ],
    )


def columns(grant: Grant, names: Iterable[str]) -> dict[str, object]:
    """Return these columns of a grant as it is in memory."""
    return {name: getattr(grant, name) for name in names}


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
