"""Which people conditions select: one statement for many conditions and many people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet

from governance.core.errors import Invalid
from governance.core.statements import rows
from governance.identity.conditions.language import InvalidCondition, about_people
from governance.identity.conditions.sql import Matching, matching
from governance.identity.models import Person, Status


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Matching:
    return matching(about_people(text))


def check_condition(text: str, *, field: str) -> None:
    """Refuse a condition that cannot be read, naming the field it was typed into. Empty means everybody.

    Raises Invalid.
    """
    if not text.strip():
        return
    try:
        about_people(text)
    except InvalidCondition as error:
        raise Invalid({field: error.sentence}) from error


def selected(text: str) -> QuerySet[Person]:
    """Return the active people a condition selects; everybody active for an empty one."""
    people = Person.objects.filter(status=Status.ACTIVE)
    return people.filter(_compiled(text)) if text.strip() else people


def selected_among(conditions: Sequence[str], person_ids: Collection[int]) -> Mapping[int, list[bool]]:
    """Tell for each active person of these which of the conditions select them, in order. One statement."""
    sql, params = _asking(tuple(conditions))
    return {key: [bool(answer) for answer in answers] for key, *answers in rows(sql, [*params, list(person_ids)])}


@lru_cache(maxsize=256)
def _asking(conditions: tuple[str, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that asks these conditions of people, and its parameters but for their keys."""
    fragments = [_compiled(text) if text.strip() else None for text in conditions]
    asked = "".join(f", ({each.template.format(**_COLUMNS)})" if each else ", true" for each in fragments)
    sql = (
        f"SELECT identity_person.id{asked} FROM identity_person"  # noqa: S608 - made of constants; values are parameters
        " WHERE identity_person.id = ANY(%s::bigint[]) AND identity_person.status = 'active'"
    )
    return sql, tuple(param for each in fragments if each for param in each.params)


_COLUMNS = {field.name: f"identity_person.{field.column}" for field in Person._meta.concrete_fields}


def selecting(text: str) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of the primary keys of the active people a condition selects, as `id`, and its parameters."""
    sql = "SELECT identity_person.id FROM identity_person WHERE identity_person.status = 'active'"
    if not text.strip():
        return sql, ()
    fragment = _compiled(text)
    return f"{sql} AND ({fragment.template.format(**_COLUMNS)})", tuple(fragment.params)


def selects(text: str, person: Person) -> bool:
    """Tell whether the condition selects this person; an empty one selects everybody active."""
    return selected_among([text], [person.pk]).get(person.pk, [False])[0]
