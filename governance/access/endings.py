"""How grants end: the interval is closed, and what no other grant supports is ordered away. Set-based.

`due` is the end of the grant. A removal is late by what passed between it and the read-back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from governance.access import events
from governance.access.models import EndCause, Grant, GrantRevision
from governance.core.actor import Actor
from governance.core.tables import insert_rows, update_rows
from governance.identity.models import Person
from governance.ledger.recording import record_selected, subjects_sql
from governance.provisioning.actions import order_selected
from governance.provisioning.models import OperationKind


def end_all_of_leaver(person: Person, *, at: datetime, actor: Actor) -> int:
    """End every grant of a locked person who leaves, also those that would begin later; return how many."""
    grants = list(Grant.objects.select_for_update(no_key=True).filter(person=person, ends_at__gt=at).order_by("id"))
    end_many(grants, cause=EndCause.LEFT, at=at, actor=actor)
    return len(grants)


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

    The people must be locked by this transaction. A grant for which nothing was ordered takes only what others left.
    """
    if not grants:
        return
    operations = order_ends_of({grant.pk: grant.revision for grant in grants}, at=at, actor=actor)
    for grant in grants:
        grant.end_ordered_at = at
        grant.end_cause = grant.end_cause or EndCause.EXPIRED
        grant.take_operation_id = operations.get(grant.pk)


def order_ends_of(revisions: Mapping[int, int], *, at: datetime, actor: Actor) -> Mapping[int, int]:
    """Do what `order_ends` does for grants known by key and revision; return the removal of each that has one.

    Two statements however many, and only keys leave the database. What is written stays ended by these rows alone:
    whether another grant supports the access is asked of the intervals, not of what was ordered for them.
    """
    ids = list(revisions)
    if not ids:
        return {}
    known = {"ids": ids, "at": at, "cause": EndCause.EXPIRED.value}
    ordered = order_selected(OperationKind.TAKE.value, _FALLING, known, at=at, actor=actor)
    removals = {key: found for key in ids if (found := ordered.get(f"grant:{key}:take:{revisions[key]}"))}
    noted = {**known, "falling": list(removals), "removals": list(removals.values())}
    record_selected(events.GRANT_ENDED, _ENDED, noted, actor=actor, given=_NOTE_ENDS)
    return removals


#: What nothing else supports, and whether anything is left in its application: one look at an index for both. What was
#: not ordered yet takes something as well if an earlier grant had ended since, and left the access because of it.
_FALLING = """
SELECT 'grant:' || ended.id AS origin, 'grant:' || ended.id || ':take:' || ended.revision AS key, ended.person_id,
    ended.entitlement_id, ended.application_id, live.in_use IS NULL AS closes_account
FROM access_grant ended CROSS JOIN LATERAL (
    SELECT bool_or(other.entitlement_id = ended.entitlement_id) AS is_supported, bool_or(true) AS in_use
    FROM access_grant other
    WHERE other.person_id = ended.person_id AND other.application_id = ended.application_id
        AND other.starts_at <= %(at)s AND other.ends_at > %(at)s
) live
WHERE ended.id = ANY(%(ids)s::bigint[]) AND live.is_supported IS NOT TRUE
    AND (ended.start_ordered_at IS NOT NULL OR EXISTS (
        SELECT FROM access_grant earlier
        WHERE earlier.person_id = ended.person_id AND earlier.entitlement_id = ended.entitlement_id
            AND earlier.start_ordered_at IS NOT NULL AND earlier.end_ordered_at >= ended.starts_at
            AND earlier.take_operation_id IS NULL
    ))
ORDER BY ended.ends_at, ended.id
"""
_NOTE_ENDS = """
WITH ended AS (
    UPDATE access_grant AS ended
    SET end_ordered_at = %(at)s, end_cause = coalesce(nullif(ended.end_cause, ''), %(cause)s),
        take_operation_id = removed.operation_id
    FROM unnest(%(ids)s::bigint[]) AS swept (id)
    LEFT JOIN unnest(%(falling)s::bigint[], %(removals)s::bigint[]) AS removed (id, operation_id) USING (id)
    WHERE ended.id = swept.id
    RETURNING ended.*
)
"""
#: The instant as Python's isoformat() spells it.
_DUE_AT = """
    to_char(ended.ends_at AT TIME ZONE 'UTC', CASE WHEN extract(microseconds FROM ended.ends_at)::int %% 1000000 = 0
        THEN 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"' END)
"""
_ENDED_SUBJECTS = subjects_sql(
    ("grant", "ended.id"),
    ("person", "person.ref"),
    ("application", "ended.application_id"),
    ("entitlement", "ended.entitlement_id"),
)
_ENDED = f"""
SELECT {_ENDED_SUBJECTS} AS subjects,
    '{{"cause":' || to_json(ended.end_cause) || ',"due_at":"' || {_DUE_AT} || '","removal":'
        || coalesce(ended.take_operation_id::text, 'null') || '}}' AS data
FROM ended JOIN identity_person person ON person.id = ended.person_id
ORDER BY ended.ends_at, ended.id
"""  # noqa: S608 - parts of the code; values are parameters


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
