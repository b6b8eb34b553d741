"""How rows of people and their revisions are written: one statement for both, for one person or for thousands.

The values travel as one JSON document, so that the statement is the same however many there are, and stays prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.core.actor import Actor
from governance.core.statements import as_json, row, rows
from governance.identity.models import Person

#: Fields of a person that a revision keeps, and that therefore make one when they change.
REVISED = ("user_name", "display_name", "email", "title", "department", "person_type", "manager_id", "status")

#: Every column that is written, with its type in SQL. The key is the database's; `last_login` is Django's.
_TYPES: Mapping[str, str] = {
    "ref": "uuid",
    "scim_id": "uuid",
    "manager_id": "bigint",
    "is_listed": "boolean",
    "joined_at": "timestamptz",
    "left_at": "timestamptz",
    "leaves_at": "timestamptz",
    "sessions_end_at": "timestamptz",
    "document": "jsonb",
    "document_key": "jsonb",
    "version": "integer",
    "created_at": "timestamptz",
    "modified_at": "timestamptz",
}
_WRITTEN = tuple(
    field.attname for field in Person._meta.concrete_fields if field.attname not in ("id", "password", "last_login")
)


@dataclass(frozen=True, slots=True)
class Revision:
    """Why rows are written: the change, from when it holds, and who made it."""

    change: str
    effective_at: datetime
    actor: Actor


def revised(person: Person) -> tuple[object, ...]:
    """Return the values a revision keeps."""
    return tuple(getattr(person, name) for name in REVISED)


def insert(people: Sequence[Person], revision: Revision) -> None:
    """Insert people with their first revisions and set their keys; whose user name is taken stays without a key."""
    said = [{**_values(person), "password": person.password} for person in people]
    actor = revision.actor
    made = rows(_INSERT, [as_json(said), revision.change, revision.effective_at, actor.ref, actor.correlation_id])
    keys: dict[Any, int] = dict(made)
    for person in people:
        person.pk = keys.get(person.ref)
        person._state.adding = person.pk is None  # noqa: SLF001 - what Model.save() does


def insert_many(people: Sequence[Person]) -> bool:
    """Insert people without revisions and set their keys; tell whether all are new.

    When not, some may be in: the caller gives up its transaction.
    """
    said = [{**_values(person), "password": person.password} for person in people]
    keys: dict[Any, int] = dict(rows(_INSERT_ONLY, [as_json(said)]))
    for person in people:
        person.pk = keys.get(person.ref)
        person._state.adding = person.pk is None  # noqa: SLF001 - what Model.save() does
    return len(keys) == len(people)


def revise_first(people: Sequence[Person], revision: Revision) -> None:
    """Write the first revisions of people as their rows are now."""
    actor = revision.actor
    said = [revision.change, revision.effective_at, revision.effective_at, actor.ref, actor.correlation_id]
    rows(_FIRST, [*said, [person.pk for person in people]])


def update(person: Person, revision: Revision | None) -> None:
    """Write a locked person's row, and a revision when there is one to make.

    Raises IntegrityError when another listed person has the user name.
    """
    said = as_json({**_values(person), "id": person.pk})
    if revision is None:
        row(_UPDATE, [said])
        return
    actor = revision.actor
    row(
        _UPDATE_AND_REVISE,
        [said, revision.change, revision.effective_at, person.modified_at, actor.ref, actor.correlation_id],
    )


def update_many(people: Sequence[Person], revision: Revision | None) -> None:
    """Write the rows of locked people who keep their user names, all at one instant, with a revision of each."""
    if not people:
        return
    said = as_json([{**_values(person), "id": person.pk} for person in people])
    if revision is None:
        rows(_UPDATE_MANY, [said])
        return
    actor = revision.actor
    modified_at = people[0].modified_at
    rows(
        _UPDATE_AND_REVISE_MANY,
        [said, revision.change, revision.effective_at, modified_at, actor.ref, actor.correlation_id],
    )


def _values(person: Person) -> dict[str, object]:
    return {name: getattr(person, name) for name in _WRITTEN}


def _columns(*more: str) -> str:
    return ", ".join((*_WRITTEN, *more))


def _record(*more: str) -> str:
    return ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in (*_WRITTEN, *more))


_REVISED = ", ".join(REVISED)
# ruff: noqa: S608 - the statements are made of the names above; every value is a parameter
_INSERT = f"""
WITH made AS (
    INSERT INTO identity_person ({_columns("password")})
    SELECT {_columns("password")} FROM jsonb_to_recordset(%s::jsonb) AS said ({_record("password")})
    ON CONFLICT (user_name_key) WHERE is_listed DO NOTHING
    RETURNING id, ref, created_at, {_REVISED}
), noted AS (
    INSERT INTO identity_personrevision
        (person_id, number, change, effective_at, recorded_at, actor_ref, correlation_id, {_REVISED})
    SELECT id, 1, %s, %s, created_at, %s, %s, {_REVISED} FROM made
)
SELECT ref, id FROM made
"""
_INSERT_ONLY = f"""
INSERT INTO identity_person ({_columns("password")})
SELECT {_columns("password")} FROM jsonb_to_recordset(%s::jsonb) AS said ({_record("password")})
ON CONFLICT (user_name_key) WHERE is_listed DO NOTHING
RETURNING ref, id
"""
_FIRST = f"""
INSERT INTO identity_personrevision
    (person_id, number, change, effective_at, recorded_at, actor_ref, correlation_id, {_REVISED})
SELECT id, 1, %s, %s, %s, %s, %s, {_REVISED} FROM identity_person WHERE id = ANY(%s::bigint[])
"""
_CHANGE = f"""
UPDATE identity_person AS person SET {", ".join(f"{name} = said.{name}" for name in _WRITTEN)}
FROM said WHERE person.id = said.id
"""
_SAID = f"WITH said AS MATERIALIZED (SELECT * FROM jsonb_to_record(%s::jsonb) AS said ({_record()}, id bigint))"
_UPDATE = f"{_SAID} {_CHANGE}"
_UPDATE_AND_REVISE = f"""
{_SAID}, changed AS ({_CHANGE})
INSERT INTO identity_personrevision
    (person_id, number, change, effective_at, recorded_at, actor_ref, correlation_id, {_REVISED})
SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM identity_personrevision WHERE person_id = said.id),
    %s, %s, %s, %s, %s, {_REVISED}
FROM said
"""
#: The same for many: a statement of its own, so that the one for one person is planned for one.
_UPDATE_MANY = _UPDATE.replace("jsonb_to_record(", "jsonb_to_recordset(")
_UPDATE_AND_REVISE_MANY = _UPDATE_AND_REVISE.replace("jsonb_to_record(", "jsonb_to_recordset(")
