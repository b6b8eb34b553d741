"""Who brought whom: each connection owns what it created, and two that want the same are a conflict for a person.

The owner of a person or group is the live connection whose `source` it carries. What no live connection owns (made on
a page, by a file, by the demo, or by a connection that was revoked) is seen by all, and belongs to the first that
writes to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection as database
from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound
from governance.identity import events
from governance.identity.models import Connection, ConnectionConflict, Group, Person
from governance.identity.profiles import key
from governance.ledger.recording import Subject, record

PREFIX = "scim:"
_OPEN = ConnectionConflict.Resolution.OPEN.value


@dataclass(frozen=True, slots=True)
class Held:
    """A name that a connection asked for and another holds."""

    holder_id: int
    holder_name: str
    subject_id: int


@transaction.atomic
def claim_person(person: Person, *, source: str, actor: Actor) -> None:
    """Let a locked person belong to the connection with this source; recorded when that is new.

    The caller has made sure that no other live connection has them: it could not have seen them.
    """
    if person.source == source:
        return
    before, person.source = person.source, source
    Person.objects.filter(pk=person.pk).update(source=source)
    data = {"from": before, "to": source}
    record(events.PERSON_CLAIMED, actor=actor, subjects=[Subject("person", str(person.ref))], data=data)


@transaction.atomic
def claim_group(group: Group, *, source: str, actor: Actor) -> None:
    """Let a locked group belong to the connection with this source; recorded when that is new."""
    if group.source == source:
        return
    before, group.source = group.source, source
    Group.objects.filter(pk=group.pk).update(source=source)
    data = {"from": before, "to": source}
    record(events.GROUP_CLAIMED, actor=actor, subjects=[Subject("group", str(group.ref))], data=data)


@transaction.atomic
def note_conflict(claimant_id: int, *, about: type[Person] | type[Group], name: str) -> str | None:
    """Keep that a connection asked for a name that another live connection holds; return the holder's name.

    None when no other live connection holds it. Call it after the refused transaction was rolled back. One row for
    each pair of connection and thing: again counts up; what was dismissed stays dismissed.
    """
    held = _held(claimant_id, about, name)
    if held is None:
        return None
    with database.cursor() as cursor:
        cursor.execute(
            _NOTE.format(thing="person" if about is Person else "group"),
            {
                "connection": claimant_id,
                "holder": held.holder_id,
                "subject": held.subject_id,
                "name": name[:320],
                "at": now(),
            },
        )
    return held.holder_name


#: A thing that was handed over and is asked for again is open again.
_NOTE = """
INSERT INTO identity_connectionconflict
    (connection_id, holder_id, {thing}_id, name, first_seen_at, last_seen_at, count, resolution, resolved_at)
VALUES (%(connection)s, %(holder)s, %(subject)s, %(name)s, %(at)s, %(at)s, 1, '', NULL)
ON CONFLICT (connection_id, {thing}_id) DO UPDATE SET
    holder_id = excluded.holder_id,
    name = excluded.name,
    last_seen_at = excluded.last_seen_at,
    count = identity_connectionconflict.count + 1,
    resolution = CASE identity_connectionconflict.resolution WHEN 'dismissed' THEN 'dismissed' ELSE '' END,
    resolved_at = CASE identity_connectionconflict.resolution
        WHEN 'dismissed' THEN identity_connectionconflict.resolved_at END
"""


@transaction.atomic
def hand_over(conflict_id: int, *, actor: Actor) -> None:
    """Give the person or group of an open conflict to the connection that asks for it; memberships stay.

    Raises NotFound, and Conflict when it was decided before, the asker was revoked, or somebody else has it by now.
    """
    conflict = _open_conflict(conflict_id)
    if conflict.connection.revoked_at is not None:
        raise Conflict(f"The connection {conflict.connection.name} was revoked; it can take over nothing.")
    source, to = conflict.holder.source, conflict.connection.source
    if not _moved(conflict, source, to):
        raise Conflict(f"{conflict.name} does not belong to {conflict.holder.name} any more.")
    _resolve(conflict, ConnectionConflict.Resolution.HANDED_OVER)
    event = events.PERSON_HANDED_OVER if conflict.person_id else events.GROUP_HANDED_OVER
    record(event, actor=actor, subjects=_subjects(conflict), data={"from": source, "to": to})


@transaction.atomic
def dismiss(conflict_id: int, *, actor: Actor) -> None:
    """Leave the person or group of an open conflict where it is. Asking again counts, and stays dismissed.

    Raises NotFound, and Conflict when it was decided before.
    """
    conflict = _open_conflict(conflict_id)
    _resolve(conflict, ConnectionConflict.Resolution.DISMISSED)
    data = {"stays_with": conflict.holder.source, "refused": conflict.connection.source}
    record(events.CONFLICT_DISMISSED, actor=actor, subjects=_subjects(conflict), data=data)


@transaction.atomic
def settle(*, at: datetime) -> int:
    """Close open conflicts that are none any more; return how many.

    The thing left the list or changed hands, or one of the two connections was revoked: nothing stands in the way of
    the one that asked, or it will not ask again. If it does, and somebody has the name, the conflict is open again.
    """
    with database.cursor() as cursor:
        cursor.execute(_SETTLE, [at])
        settled: int = cursor.rowcount
    return settled


_SETTLE = """
UPDATE identity_connectionconflict q SET resolution = 'settled', resolved_at = %s
FROM identity_connection claimant, identity_connection holder
WHERE q.resolution = '' AND claimant.id = q.connection_id AND holder.id = q.holder_id AND (
    claimant.revoked_at IS NOT NULL OR holder.revoked_at IS NOT NULL
    OR NOT EXISTS (
        SELECT 1 FROM identity_person p WHERE p.id = q.person_id AND p.is_listed AND p.source = 'scim:' || holder.name
        UNION ALL
        SELECT 1 FROM identity_group g WHERE g.id = q.group_id AND g.is_listed AND g.source = 'scim:' || holder.name
    )
)
"""


def _held(claimant_id: int, about: type[Person] | type[Group], name: str) -> Held | None:
    named = {"user_name_key": key(name)} if about is Person else {"display_name_key": key(name)}
    found = about._default_manager.filter(is_listed=True, **named).values_list("pk", "source").first()
    if found is None or not found[1].startswith(PREFIX):
        return None
    others = Connection.objects.filter(revoked_at__isnull=True).exclude(pk=claimant_id)
    holder = others.filter(name=found[1].removeprefix(PREFIX)).first()
    return Held(holder.pk, holder.name, found[0]) if holder else None


def _open_conflict(conflict_id: int) -> ConnectionConflict:
    rows = ConnectionConflict.objects.select_for_update(of=("self",)).select_related(
        "connection", "holder", "person", "group"
    )
    conflict = rows.filter(pk=conflict_id).first()
    if conflict is None:
        raise NotFound("There is no such conflict.")
    if conflict.resolution != _OPEN:
        raise Conflict(f"This was decided at {conflict.resolved_at:%d %B %Y, %H:%M} UTC.")
    return conflict


def _moved(conflict: ConnectionConflict, source: str, to: str) -> int:
    """Give the thing from one source to the other; return 0 when it is not there any more."""
    if conflict.person_id is not None:
        return Person.objects.filter(pk=conflict.person_id, source=source, is_listed=True).update(source=to)
    assert conflict.group_id is not None  # connection_conflict_is_about_one_thing
    return Group.objects.filter(pk=conflict.group_id, source=source, is_listed=True).update(source=to)


def _resolve(conflict: ConnectionConflict, resolution: str) -> None:
    ConnectionConflict.objects.filter(pk=conflict.pk).update(resolution=resolution, resolved_at=now())


def _subjects(conflict: ConnectionConflict) -> list[Subject]:
    if conflict.person is not None:
        thing = Subject("person", str(conflict.person.ref))
    else:
        assert conflict.group is not None  # connection_conflict_is_about_one_thing
        thing = Subject("group", str(conflict.group.ref))
    return [thing, Subject("connection", str(conflict.connection.ref)), Subject("connection", str(conflict.holder.ref))]
