"""The one way a ledger entry becomes text: a strict subset of RFC 8785 (JSON Canonicalization Scheme).

Inside the subset (ASCII keys, no floats, integers that every JSON reader holds exactly) the standard library's encoder
gives the bytes of RFC 8785. What is hashed is what is stored; nobody serialises an entry a second time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

#: The largest integer that a reader with IEEE 754 doubles holds exactly (RFC 7493 §2.2).
MAX_INTEGER = 2**53 - 1

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


class NotCanonical(ValueError):
    """The value has no form in the canonical subset. The sentence says where and why."""


def canonical(value: object) -> str:
    """Return the canonical JSON text of `value`, which `plain` has been through.

    Keys are sorted, there is no white space, and nothing outside of the required escapes is escaped.
    """
    return _ENCODER.encode(value)


def plain(value: object, where: str = "data") -> object:
    """Return `value` made of dicts, lists, strings, booleans, None and safe integers only.

    Instants become UTC with microseconds, dates ISO, UUIDs and decimals strings. Floats, bytes, naive instants,
    non-ASCII keys, NUL and lone surrogates raise `NotCanonical`, which names the place.
    """
    try:
        return _plain(value)
    except _Unfit as unfit:
        raise NotCanonical(f"{where}{unfit.place} {unfit.reason}") from None


class _Unfit(Exception):
    """The reason, and the place as it becomes known on the way out; spelled on the way in it would cost every entry."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = ""

    def inside(self, step: str) -> _Unfit:
        self.place = step + self.place
        return self


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, Mapping):
        return {_key(key): _inside(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_inside(position, item) for position, item in enumerate(value)]
    return _spelled(value)


def _inside(step: object, item: object) -> object:
    try:
        return _plain(item)
    except _Unfit as unfit:
        raise unfit.inside(f".{step}" if isinstance(step, str) else f"[{step}]") from None


def instant(moment: datetime) -> str:
    """Return the instant as the ledger spells it: UTC with microseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _spelled(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _Unfit("is an instant without a time zone.")
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise _Unfit(f"is a {type(value).__name__}, which a ledger entry cannot hold.")


def _text(value: str) -> str:
    if "\x00" in value:
        raise _Unfit("contains a NUL character.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Unfit("is not valid Unicode.") from None
    return str(value)


def _integer(value: int) -> int:
    if abs(value) > MAX_INTEGER:
        raise _Unfit("is an integer beyond 2^53; spell it as a string.")
    return int(value)


def _key(key: object) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise _Unfit(f"has the key {key!r}; keys are ASCII strings.")
    return _text(key)
