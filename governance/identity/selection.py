"""Which people conditions select: one statement for many conditions and many people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from django.db.models import QuerySet

from governance.core.errors import Invalid
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
    tests = {f"c{number}": _compiled(text) for number, text in enumerate(conditions) if text.strip()}
    people = Person.objects.filter(pk__in=person_ids, status=Status.ACTIVE).annotate(**tests)
    names = [f"c{number}" if text.strip() else None for number, text in enumerate(conditions)]
    return {row["pk"]: [bool(row[name]) if name else True for name in names] for row in people.values("pk", *tests)}


def selects(text: str, person: Person) -> bool:
    """Tell whether the condition selects this person; an empty one selects everybody active."""
    return selected_among([text], [person.pk]).get(person.pk, [False])[0]
