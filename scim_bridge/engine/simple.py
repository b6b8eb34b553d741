"""The short way for what providers send all day: a well-formed user, and a PATCH that sets single values.

The models of the protocol engine take some milliseconds for any document. Where a document has nothing but attributes
of the schema, spelled as the schema spells them, with values of their types and none of them empty, the models (under
every dialect) return it as it was; so it need not go through them. What is recognised here is exactly that, and tests
hold it against the engine. Everything else takes the long way: `None` never means wrong, only "not simple". Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from governance.identity.conditions.schemas import ENTERPRISE_USER, USER

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

#: So many elements of a list, and operations of a PATCH, are simple; more take the long way, which has bounds.
FEW = 50

Check = Callable[[Any], bool]
_NUMBER = re.compile(r"[0-9]{1,9}")


def is_simple_user(raw: Any) -> bool:
    """Tell whether the engine would return the document of a user as it is."""
    if not _is_object(raw, _USER) or "userName" not in raw:
        return False
    return bool(raw.get("schemas") == (_BOTH if ENTERPRISE_USER in raw else _CORE))


def simple_changes(raw: Any) -> dict[str, Any] | None:
    """Return the values that a PATCH of a user sets, by their paths, the last one of each; None if it does more.

    To add a single value and to replace it are the same (RFC 7644 §3.5.2.1, §3.5.2.3).
    """
    if not isinstance(raw, dict) or raw.keys() != {"schemas", "Operations"} or raw["schemas"] != [PATCH_OP]:
        return None
    operations = raw["Operations"]
    if not isinstance(operations, list) or not 0 < len(operations) <= FEW:
        return None
    changes: dict[str, Any] = {}
    for operation in operations:
        said = _said(operation)
        if said is None or not all(path in _SETTABLE and _SETTABLE[path](value) for path, value in said.items()):
            return None
        changes.update(said)
    return changes


def changed(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a stored user with these values set; None when the document is not simple itself."""
    if not is_simple_user(document):
        return None
    new = dict(document)
    for path, value in changes.items():
        holder, _, part = _split(path)
        if holder:
            new[holder] = {**new.get(holder, {}), part: value}
        else:
            new[part] = value
    if ENTERPRISE_USER in new:
        new["schemas"] = _BOTH
    return new


def simple_page(raw: Mapping[str, Any]) -> tuple[int, int | None] | None:
    """Return `startIndex` and `count` of a search in the address that says nothing else but a filter, or None."""
    if not raw.keys() <= {"filter", "startIndex", "count"}:
        return None
    start, count = raw.get("startIndex", "1"), raw.get("count")
    if not _NUMBER.fullmatch(start) or not (count is None or _NUMBER.fullmatch(count)):
        return None
    return max(int(start), 1), None if count is None else int(count)


def _said(operation: Any) -> dict[str, Any] | None:
    """Return the values of one operation by path: its own, or the keys of its object when it has none."""
    if not isinstance(operation, dict) or operation.get("op") not in _VERBS:
        return None
    if operation.keys() == {"op", "path", "value"} and isinstance(operation["path"], str):
        return {operation["path"]: operation["value"]}
    if operation.keys() == {"op", "value"} and isinstance(operation["value"], dict) and operation["value"]:
        # Only plain names: a dotted one is not an attribute here, but some dialects take it for one.
        said: dict[str, Any] = operation["value"]
        return said if said.keys() <= _PLAIN else None
    return None


def _split(path: str) -> tuple[str, str, str]:
    if path.startswith(ENTERPRISE_USER):
        return ENTERPRISE_USER, ":", path[len(ENTERPRISE_USER) + 1 :]
    return path.rpartition(".")


def _is_text(value: Any) -> bool:
    return type(value) is str and value != "" and not value.isspace()


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_object(value: Any, checks: Mapping[str, Check]) -> bool:
    if type(value) is not dict or not value:
        return False
    return all(name in checks and checks[name](inner) for name, inner in value.items())


def _is_name(value: Any) -> bool:
    return _is_object(value, _NAME)


def _is_enterprise(value: Any) -> bool:
    return _is_object(value, _ENTERPRISE)


def _is_manager(value: Any) -> bool:
    return _is_object(value, {"value": _is_text})


def _is_list(value: Any) -> bool:
    """Tell whether it is a list of values with at most one primary (RFC 7643 §2.4)."""
    if type(value) is not list or not 0 < len(value) <= FEW or not all(_is_object(each, _ELEMENT) for each in value):
        return False
    return sum(each.get("primary", False) for each in value) <= 1 and all("value" in each for each in value)


_CORE = [USER]
_BOTH = [USER, ENTERPRISE_USER]
_VERBS = ("add", "replace", "Add", "Replace")
_TEXTS = (
    "userName",
    "externalId",
    "displayName",
    "nickName",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
)
_NAME: Mapping[str, Check] = dict.fromkeys(
    ("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"), _is_text
)
_DIVISIONS = dict.fromkeys(("employeeNumber", "costCenter", "organization", "division", "department"), _is_text)
_ENTERPRISE: Mapping[str, Check] = {**_DIVISIONS, "manager": _is_manager}
_ELEMENT: Mapping[str, Check] = {"value": _is_text, "type": _is_text, "display": _is_text, "primary": _is_boolean}
_USER: Mapping[str, Check] = {
    **dict.fromkeys(_TEXTS, _is_text),
    # Compared as a whole.
    "schemas": lambda value: type(value) is list,
    "active": _is_boolean,
    "name": _is_name,
    "emails": _is_list,
    "phoneNumbers": _is_list,
    ENTERPRISE_USER: _is_enterprise,
}
_PLAIN = frozenset((*_TEXTS, "active"))
_SETTABLE: Mapping[str, Check] = {
    **dict.fromkeys(_TEXTS, _is_text),
    "active": _is_boolean,
    **{f"name.{part}": check for part, check in _NAME.items()},
    **{f"{ENTERPRISE_USER}:{part}": check for part, check in _DIVISIONS.items()},
}
