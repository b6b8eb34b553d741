"""Querysets whose SQL is made once: to compile one takes the ORM longer than PostgreSQL needs to answer it.

What a shelf shows stays said in one place, its `listed`. Here its SQL is kept, with places for the values that differ
from one request to the next, and run as a prepared statement (`governance.core.statements`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db.models import QuerySet

from governance.core.statements import rows
from governance.identity.conditions.sql import Matching

#: Stand for values in a queryset that is compiled. No row has them.
ANY_UUID = UUID("00000000-0000-4000-8000-00000000da7a")
ANY_ID = 9_100_000_000_000_000_019

#: So many are remembered: a few for each type, and for each connection that sees less than all.
REMEMBERED = 1024

_PLACE = re.compile(r"%%|%s")
Made = TypeVar("Made")
_remembered: OrderedDict[Hashable, Any] = OrderedDict()


def remembered(name: Hashable, make: Callable[[], Made]) -> Made:
    """Return what was made under this name before, or make it. What was not used for longest is forgotten first."""
    found: Made | None = _remembered.get(name)
    if found is None:
        found = _remembered[name] = make()
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    else:
        _remembered.move_to_end(name)
    return found


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of one parameter of a condition."""

    number: int


@dataclass(frozen=True, slots=True)
class Statement:
    """The SQL of a queryset over named fields, with its fixed parameters."""

    sql: str
    fixed: Mapping[str, Any]

    @classmethod
    def of(cls, query: QuerySet[Any]) -> Statement:
        """Compile a queryset in which ANY_UUID, ANY_ID and the parameters of `open_condition` stand for values."""
        sql, params = query.query.sql_with_params()
        names = [_name(number, value) for number, value in enumerate(params)]
        remaining = iter(names)
        named = _PLACE.sub(lambda place: place[0] if place[0] == "%%" else f"%({next(remaining)})s", sql)
        fixed = {name: value for name, value in zip(names, params, strict=True) if name.startswith("fixed")}
        return cls(named, fixed)

    def rows(self, condition: Sequence[Any] = (), **values: Any) -> list[tuple[Any, ...]]:
        """Run it with these values: `uuid`, `id`, and the parameters of the condition."""
        asked = {f"condition{number}": value for number, value in enumerate(condition)}
        return rows(self.sql, {**self.fixed, **values, **asked})


def open_condition(condition: Matching) -> Matching:
    """Return the condition with places instead of its parameters."""
    return Matching(condition.template, tuple(_Slot(number) for number in range(len(condition.params))))


def read_document(text: Any) -> Any:
    """Return a JSON column as Python has it."""
    return orjson.loads(text) if isinstance(text, str | bytes) else text


def _name(number: int, value: Any) -> str:
    if isinstance(value, _Slot):
        return f"condition{value.number}"
    if value == ANY_UUID:
        return "uuid"
    return "id" if value == ANY_ID else f"fixed{number}"
