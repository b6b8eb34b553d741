"""How much one request may ask for. Pure.

The protocol engine reads a path in time that grows with its length, and compares all lists of a resource after each
operation of a PATCH: a path of 200 KB takes half a minute, and a thousand operations on a thousand e-mail addresses
keep a row locked for minutes. Members are not among these lists: they are taken out before, and their cost is linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidPathException, InvalidValueException

from scim_bridge.engine.offers import MAX_OPERATIONS
from scim_bridge.errors import TooLarge

#: Characters of a path, or of a key that may be one; as long as a filter may be.
MAX_PATH = 4096
#: Names in `attributes` or `excludedAttributes`.
MAX_NAMES = 500
#: Operations times list elements, about two seconds. A long path counts as several operations, since it compares more,
#: and a resource with short lists as if they had ten elements.
MAX_STEPS = 10_000
_PATH_OF_ONE, _FEW = 128, 10


def check_operations(raw: Any) -> None:
    """Raise TooLarge or InvalidPathException for a PATCH that is too much to read.

    authentik takes `maxOperations` as the limit of a PATCH as well; so do we.
    """
    operations = _operations(raw)
    if len(operations) > MAX_OPERATIONS:
        raise TooLarge(detail=f"{len(operations)} operations; one request may hold {MAX_OPERATIONS} (maxOperations).")
    longest = max((len(name) for each in operations for name in _names(each)), default=0)
    if longest > MAX_PATH:
        raise InvalidPathException(detail=f"A path of {longest} characters; at most {MAX_PATH} are read.")


def check_names(raw: Any) -> None:
    """Raise InvalidValueException for a resource with a name that is too long to read."""
    longest = max((len(name) for name in raw), default=0) if isinstance(raw, Mapping) else 0
    if longest > MAX_PATH:
        raise InvalidValueException(detail=f"A name of {longest} characters; at most {MAX_PATH} are read.")


def check_steps(raw: Any, document: Mapping[str, Any]) -> None:
    """Raise TooLarge for a PATCH that would take too long on a resource with this document."""
    operations = _operations(raw)
    elements = _elements(document) + sum(1 + _elements(each) for each in operations)
    weight = sum(1 + len(str(_named(each).get("path") or "")) // _PATH_OF_ONE for each in operations)
    if weight > 1 and weight * max(elements, _FEW) > MAX_STEPS:
        raise TooLarge(detail=f"{len(operations)} operations on {elements} values are too much for one request.")


def check_search(raw: Any) -> None:
    """Raise InvalidValueException for a search that names more attributes than any resource has."""
    for name, value in raw.items() if isinstance(raw, Mapping) else ():
        if name.lower() in ("attributes", "excludedattributes") and isinstance(value, list) and len(value) > MAX_NAMES:
            raise InvalidValueException(detail=f"{name}: {len(value)} names; at most {MAX_NAMES} are read.")


def _operations(raw: Any) -> list[Any]:
    found = _named(raw).get("operations")
    return found if isinstance(found, list) else []


def _named(raw: Any) -> dict[str, Any]:
    return {name.lower(): value for name, value in raw.items()} if isinstance(raw, Mapping) else {}


def _names(operation: Any) -> list[str]:
    """Return the texts of an operation that are read as paths: its path, and the keys of its value."""
    named = _named(operation)
    path, value = named.get("path"), named.get("value")
    return [*([path] if isinstance(path, str) else []), *(value if isinstance(value, Mapping) else [])]


def _elements(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_elements(inner) for inner in value.values())
    return len(value) + sum(_elements(inner) for inner in value) if isinstance(value, list) else 0
