"""Rules about one operation of a PATCH. Each returns the operations that take its place, as the RFC wants them. Pure.

They run in the order of a dialect; a rule sees what the rules before it made.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from scim2_models import InvalidPathException, MutabilityException
from scim2_models import path as scim

from scim_bridge.dialects.filters import FilterRule, normalised_brackets
from scim_bridge.dialects.patches import ABSENT, Operation, OperationRule, Target, lowered
from scim_bridge.dialects.shapes import Attribute, Shape, head, parsed
from scim_bridge.dialects.unknown import is_unknown
from scim_bridge.dialects.values import LONG_LISTS, ValueRule, normalised, normalised_element

logger = logging.getLogger(__name__)

#: Elements of one `add` that are merged with the elements that are there.
MERGED_AT_MOST = 50


def split_by_key(target: Target, operation: Operation) -> list[Operation]:
    """Make one operation of each key of a value without a path: dotted and URN keys are paths (RFC 7644 §3.10).

    Entra with `aadOptscim062020`, Okta and authentik; an extension's URN may hold an object, or its attributes follow.
    """
    if operation.verb == "remove" or not isinstance(operation.value, Mapping):
        return [operation]
    if operation.path is None:
        return [each for one in _keyed(operation) for each in split_by_key(target, one)]
    if operation.path.lower() in target.shape.extensions:
        return _keyed(operation, f"{operation.path}:")
    if operation.path.lower() == target.shape.urn.lower():
        return split_by_key(target, replace(operation, path=None))
    return [operation]


def _keyed(operation: Operation, prefix: str = "") -> list[Operation]:
    named = [(f"{prefix}{key}".strip(), value) for key, value in operation.value.items()]
    for key in [key for key, _ in named if not _is_path(key)]:
        logger.info("Ignored %r in the value of a PATCH: it is no name of an attribute.", key)
    return [replace(operation, path=key, value=value, is_keyed=True) for key, value in named if _is_path(key)]


def colon_after_urn(target: Target, operation: Operation) -> list[Operation]:
    """Read `urn:…:User.department` as `urn:…:User:department`.

    Entra's jobs named `customappsso` put a dot between schema and attribute (list of SCIM compliance issues, 2018).
    """
    path = (operation.path or "").lower()
    urn = next((each for each in target.shape.extensions if path.startswith(f"{each}.")), None)
    if urn is None or operation.path is None:
        return [operation]
    return [replace(operation, path=f"{operation.path[: len(urn)]}:{operation.path[len(urn) + 1 :]}")]


def without_echo(target: Target, operation: Operation) -> list[Operation]:
    """Drop what only repeats what we returned. Raises MutabilityException for another `id`.

    Okta's rename carries `id`, authentik sends the whole group with `schemas`, an echo of a user has `meta`, `groups`,
    and Entra's dotted keys `manager.displayName`.
    """
    named = None if operation.verb == "remove" else _named(target.shape, operation.path)
    if named is None:
        return [operation]
    attribute, _ = named
    if attribute.path == "id" and target.id is not None:
        return _of_an_id(target.id, operation)
    is_echo = operation.is_keyed and (attribute.is_read_only or attribute.path == "schemas")
    return [] if is_echo else [operation]


def _of_an_id(id_: str, operation: Operation) -> list[Operation]:
    if operation.value != id_:
        raise MutabilityException(attribute="id", detail="id: it is the server's and cannot be changed.")
    return []


def qualified(target: Target, operation: Operation) -> list[Operation]:
    """Give a bare name that only an extension has its URN: hand-written mappings send `manager` and `department`."""
    node = None if operation.path is None or target.shape.knows(operation.path) else parsed(operation.path)
    if node is None or isinstance(node, scim.Comparison | scim.Present) or head(node).uri is not None:
        return [operation]
    attribute = target.shape.find(head(node))
    if attribute is None or not attribute.path.lower().startswith("urn:"):
        return [operation]
    urn = attribute.path.rpartition(":")[0]
    return [replace(operation, path=f"{urn}:{operation.path}")]


def with_brackets(rules: Iterable[FilterRule]) -> OperationRule:
    """Return the rule that applies filter rules inside the brackets of a path: `roles[primary eq "True"].value`."""
    applied = tuple(rules)

    def rule(target: Target, operation: Operation) -> list[Operation]:
        node = None if operation.path is None or "[" not in operation.path else parsed(operation.path)
        attribute = target.shape.find(head(node)) if isinstance(node, scim.ValuePath) else None
        if attribute is None or not isinstance(node, scim.ValuePath):
            return [operation]
        inside = normalised_brackets(attribute, node.val_filter, applied)
        return [replace(operation, path=str(replace(node, val_filter=inside)))]

    return rule


def whole_elements(target: Target, operation: Operation) -> list[Operation]:
    """Add `emails.value` as an element of its own: without brackets the RFC names nothing to add to.

    Hand-written mappings of Entra and JumpCloud send it; the engine would answer success and keep nothing of it.
    """
    node = None if operation.path is None or target.shape.knows(operation.path) else parsed(operation.path)
    if operation.verb != "add" or not isinstance(node, scim.AttrPath) or node.sub_attr is None:
        return [operation]
    attribute = target.shape.find(node)
    if attribute is None or not attribute.is_list or attribute.path in LONG_LISTS:
        return [operation]
    return [replace(operation, path=attribute.path, value=[{node.sub_attr: operation.value}])]


def with_values(rules: Iterable[ValueRule]) -> OperationRule:
    """Return the rule that applies value rules to what an operation adds or puts in place."""
    applied = tuple(rules)

    def rule(target: Target, operation: Operation) -> list[Operation]:
        named = _named(target.shape, operation.path)
        if named is None or not operation.has_value or operation.verb == "remove":
            return [operation]
        attribute, is_element = named
        change = normalised_element if is_element else normalised
        return [replace(operation, value=change(attribute, operation.value, applied))]

    return rule


def only_what_is_listed(target: Target, operation: Operation) -> list[Operation]:
    """Make a `remove` with a list of values remove those alone, and one with null remove as if there were no value.

    `path: members` with values, read strictly, empties the group: the worst silent bug of this field. Entra,
    JumpCloud and authentik send it; Keycloak's plug-in sends `value: null` for an empty group.
    """
    if operation.verb != "remove" or not operation.has_value:
        return [operation]
    if operation.value is not None and _is_unknown(target.shape, operation.path):
        logger.info("Ignored the removal of listed values of %s: there is no such attribute.", operation.path)
        return []
    named = _named(target.shape, operation.path)
    if named is None or operation.value is None or not named[0].is_list or named[1]:
        return [replace(operation, value=ABSENT)]
    attribute, _ = named
    if attribute.path in LONG_LISTS:
        return [operation]  # `scim_bridge.members` reads it the same way
    values = operation.value if isinstance(operation.value, list) else [operation.value]
    selected = [selection for value in values if (selection := _selection(attribute, value))]
    return [Operation("remove", f"{operation.path}[{selection}]") for selection in selected]


def blank_removes(target: Target, operation: Operation) -> list[Operation]:
    """Make a `replace` or `add` of null or `""` a `remove`; adding nothing to a list adds nothing.

    Entra clears attributes and the manager with `""`. A required attribute is left, and refused.
    """
    if operation.verb == "remove" or not operation.is_blank:
        return [operation]
    if (operation.path or "").lower() in target.shape.extensions:
        return [Operation("remove", operation.path)]
    named = _named(target.shape, operation.path)
    if named is None:
        return [operation]
    attribute, is_element = named
    if attribute.is_required:
        return [operation]
    if attribute.is_list and not is_element:
        return _of_a_list(attribute, operation)
    return [Operation("remove", operation.path)]


def _of_a_list(attribute: Attribute, operation: Operation) -> list[Operation]:
    if operation.verb == "add" and operation.value != "":
        return []
    # An empty text is no list: it must not empty a group.
    return [operation] if attribute.path in LONG_LISTS else [Operation("remove", operation.path)]


def merged_additions(target: Target, operation: Operation) -> list[Operation]:
    """Add to the element with the same value and type when there is one, so that a repeat changes nothing.

    RFC 7644 §3.5.2.1: adding a value that is there changes nothing; RFC 7643 §2.4: no (type, value) pair twice.
    Entra and JumpCloud repeat an `add` after a time-out, with more or fewer parts than before. A long list is added as
    it is: one operation for each element would take time in proportion to its square.
    """
    named = _named(target.shape, operation.path)
    if operation.verb != "add" or named is None or named[1] or not isinstance(operation.value, list):
        return [operation]
    attribute, _ = named
    if not attribute.has_value or attribute.path in LONG_LISTS or len(operation.value) > MERGED_AT_MOST:
        return [operation]
    return [_addition(operation, element) for element in operation.value]


def _addition(operation: Operation, element: Any) -> Operation:
    if not isinstance(element, Mapping) or not isinstance(lowered(element).get("value"), str):
        return replace(operation, value=[element])
    named = lowered(element)
    keys = [key for key in ("value", "type") if isinstance(named.get(key), str)]
    return replace(operation, path=f"{operation.path}[{_equal(named, keys)}]", value=element)


def without_unknown(target: Target, operation: Operation) -> list[Operation]:
    """Drop what changes unknown parts of known attributes, or selects in unknown lists, with a line in the log.

    One custom attribute of Entra would otherwise block the other 29 operations of its request. An unknown attribute
    as a whole stays: `scim_bridge.dialects.unknown` keeps it.
    """
    if operation.path is None or target.shape.knows(operation.path):
        return [operation]
    node = parsed(operation.path)
    if isinstance(node, scim.Comparison | scim.Present):
        raise InvalidPathException(path=operation.path, detail=f"{operation.path}: is a comparison, not a path.")
    if _named(target.shape, operation.path) is not None or is_unknown(target.shape, operation.path):
        return [operation]
    logger.info("Ignored %s in a PATCH: there is no such attribute.", head(node))
    return []


def _named(shape: Shape, path: str | None) -> tuple[Attribute, bool] | None:
    """Return the attribute or part that a path names, and whether it is one element (`emails[…]`); or None."""
    if path is None or shape.knows(path):
        return None
    node = parsed(path)
    if isinstance(node, scim.Comparison | scim.Present):
        return None
    attribute = shape.find(head(node))
    part = node.sub_attr
    if attribute is None or part is None:
        return None if attribute is None else (attribute, isinstance(node, scim.ValuePath))
    found = attribute.parts.get(part.lower())
    return None if found is None else (found, False)


def _selection(attribute: Attribute, value: Any) -> str:
    """Return the filter that selects a listed element: by its value, or by all of its simple parts."""
    if isinstance(value, str):
        return f"value eq {json.dumps(value)}" if attribute.has_value else ""
    if not isinstance(value, Mapping):
        return ""
    named = lowered(value)
    if isinstance(named.get("value"), str):
        return _equal(named, ["value", *(["type"] if isinstance(named.get("type"), str) else [])])
    return _equal(named, [key for key, inner in named.items() if key in attribute.parts and inner not in ("", None)])


def _equal(named: Mapping[str, Any], keys: Iterable[str]) -> str:
    simple = [key for key in keys if isinstance(named[key], str | bool | int | float)]
    return " and ".join(f"{key} eq {json.dumps(named[key])}" for key in simple)


def _is_unknown(shape: Shape, path: str | None) -> bool:
    return path is not None and is_unknown(shape, path)


def _is_path(text: str) -> bool:
    try:
        parsed(text)
    except InvalidPathException:
        return False
    return True
