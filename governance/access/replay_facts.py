"""The facts of a receipt as values again: what a decision saw, so that it can be decided anew. Pure."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from governance.policy.facts import RequestFacts

Value = TypeVar("Value")
Read = Callable[[Any], Any]


class UnreadableReceiptError(Exception):
    """A receipt says more or less than today's rules know."""


def facts_of_receipt(stored: Mapping[str, Any]) -> RequestFacts:
    """Return the facts that a receipt keeps. Raises UnreadableReceiptError when they are not those of today."""
    try:
        found: RequestFacts = _reader(RequestFacts)(stored)
    except UnreadableReceiptError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableReceiptError(str(error)) from error
    return found


@lru_cache(maxsize=256)
def _reader(kind: Any) -> Read:
    """Return what makes a value of this type from JSON. The twin of `access.receipts.plain`."""
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        read = _reader(next(one for one in inner if one is not types.NoneType))
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        return _tuple_reader(inner)
    if kind is timedelta:
        return lambda value: timedelta(seconds=value)
    if kind is datetime:
        return datetime.fromisoformat
    return _as_it_is


def _dataclass_reader(kind: Any) -> Read:
    hints = get_type_hints(kind)
    reads = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = frozenset(
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    )

    def read(value: Mapping[str, Any]) -> Any:
        if not needed <= value.keys():
            raise UnreadableReceiptError(f"It does not say: {', '.join(sorted(needed - value.keys()))}.")
        if not value.keys() <= reads.keys():
            raise UnreadableReceiptError(f"It says what is not known any more: {sorted(value.keys() - reads.keys())}.")
        return kind(**{name: reads[name](one) for name, one in value.items()})

    return read


def _tuple_reader(inner: tuple[Any, ...]) -> Read:
    if len(inner) == 2 and inner[1] is Ellipsis:
        read = _reader(inner[0])
        return lambda value: tuple([read(one) for one in value])
    return tuple


def _as_it_is(value: Value) -> Value:
    return value
