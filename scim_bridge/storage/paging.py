"""Where a page begins: an order that never ties, and positions in it for cursors (RFC 9865). It reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import DateTimeField, Expression, Q, QuerySet, TextField
from django.db.models.expressions import OrderBy
from scim2_models import InvalidCursorException

from governance.identity.conditions.sql import Template

#: The name under which a row carries the value it is sorted by.
SORT_KEY = "sort_key"


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is ordered: by a value, if one is asked for, then by the primary key, so that no two rows tie.

    The primary key grows with each row and never changes, so what is added comes last and a page keeps its place.
    A row without the value comes last, and first when descending (RFC 7644 §3.4.2.3).
    """

    by: OrderBy | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Return what a row has to carry so that its position can be told."""
        return () if self.by is None else (SORT_KEY,)

    def annotated(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with their sort value."""
        return rows if self.by is None else rows.annotate(**{SORT_KEY: self._value()})

    def applied(self, rows: QuerySet[Any], *, backwards: bool = False) -> QuerySet[Any]:
        """Return annotated rows in this order, or in the opposite one."""
        by_id = "-id" if backwards else "id"
        if self.by is None:
            return rows.order_by(by_id)
        return rows.order_by(OrderBy(self._value(), descending=self.by.descending != backwards), by_id)

    def beyond(self, key: Key, *, backwards: bool) -> Q:
        """Return what comes after a key in this order, or before it."""
        tie = Q(id__lt=key.id) if backwards else Q(id__gt=key.id)
        if self.by is None:
            return tie
        rises = self.by.descending == backwards
        is_null = Q(**{f"{SORT_KEY}__isnull": True})
        if key.value is None:
            return (is_null & tie) if rises else (~is_null | (is_null & tie))
        further = Q(**{f"{SORT_KEY}__{'gt' if rises else 'lt'}": key.value})
        beyond = further | (Q(**{SORT_KEY: key.value}) & tie)
        return beyond | is_null if rises else beyond

    def key(self, row: Any) -> Key:
        """Return the key of a row that was read with `fields`."""
        return Key(row.id, getattr(row, SORT_KEY, None))

    def key_of(self, position: Position) -> Key:
        """Return the key a position holds, in the type of the sort value. Raises InvalidCursorException."""
        value = position.value
        if value is None or self.by is None or not isinstance(self._value().output_field, DateTimeField):
            return Key(position.id, value)
        try:
            return Key(position.id, datetime.fromisoformat(value))
        except ValueError as error:
            raise InvalidCursorException from error

    def _value(self) -> Any:
        if self.by is None:
            raise RuntimeError("This order is by the primary key only.")
        return self.by.expression


@dataclass(frozen=True, slots=True)
class Key:
    """What a row is ordered by."""

    id: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two rows of a list over several types: after the row with this key, or before it."""

    type_name: str
    id: int
    value: str | None = None
    backwards: bool = False

    @classmethod
    def at(cls, type_name: str, key: Key, *, backwards: bool) -> Position:
        """Return the place beside a row."""
        value = key.value.isoformat() if isinstance(key.value, datetime) else key.value
        return cls(type_name, key.id, value, backwards)

    @classmethod
    def read(cls, raw: Any) -> Position:
        """Return what `written` wrote. Raises InvalidCursorException for anything else."""
        match raw:
            case [str(type_name), int(id_), str() | None as value, bool(backwards)]:
                return cls(type_name, id_, value, backwards)
            case _:
                raise InvalidCursorException

    def written(self) -> list[Any]:
        """Return the place as JSON can hold it."""
        return [self.type_name, self.id, self.value, self.backwards]


BY_ID = Order()


def without_value(*, descending: bool) -> Order:
    """Return the order by an attribute that no row of the type has."""
    return Order(OrderBy(Template("NULL::text", (), TextField()), descending=descending))


@dataclass(frozen=True, slots=True)
class Listing:
    """Which part of which selection, in which order. `count` None is all, 0 only the total."""

    condition: Expression | Q | None = None
    order: Order = BY_ID
    start: int = 1
    count: int | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether it selects everything in the order of the primary key."""
        return self.condition is None and self.order.by is None


def trimmed(rows: Sequence[Any], count: int, *, backwards: bool) -> tuple[list[Any], bool]:
    """Return at most `count` rows in reading order, of rows read with one more, and whether there was more."""
    kept = list(rows[:count])
    return (kept[::-1] if backwards else kept), len(rows) > count
