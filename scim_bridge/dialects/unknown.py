"""Attributes that no schema here has: a PATCH changes them in the stored document, so that they read back. Pure.

A client whose custom attribute does not read back patches it again in every cycle (Entra compares what it reads).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scim2_models import path as scim

from scim_bridge.dialects.shapes import Shape, parsed


def with_unknown(shape: Shape, operations: Iterable[Mapping[str, Any]], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document after the operations on attributes that the shape does not have; others are left out."""
    changed = dict(document)
    ours = [each for each in operations if isinstance(each.get("path"), str) and is_unknown(shape, each["path"])]
    for operation in ours:
        _apply(shape, changed, operation["path"], operation)
    if ours:
        gone = document.keys() - changed.keys()
        present = [name for name in changed if name.lower().startswith("urn:")]
        listed = [urn for urn in changed.get("schemas", []) if urn not in gone]
        changed["schemas"] = list(dict.fromkeys([*listed, *present]))
    return changed


def is_unknown(shape: Shape, path: str) -> bool:
    """Tell whether a path names an attribute that the shape does not have, and is simple enough to be kept."""
    if shape.knows(path):
        return False
    node = parsed(path)
    return isinstance(node, scim.AttrPath) and shape.find(node) is None


def _apply(shape: Shape, document: dict[str, Any], path: str, operation: Mapping[str, Any]) -> None:
    value = None if operation.get("op") == "remove" else operation.get("value")
    *way, name = _way(shape, document, path, value)
    holders = [document]
    for step in way:
        inner = holders[-1].get(step)
        holders.append(dict(inner) if isinstance(inner, Mapping) else {})
    _set(holders[-1], name, value, is_add=operation.get("op") == "add")
    for outer, step, inner in reversed(list(zip(holders, way, holders[1:], strict=False))):
        _set(outer, step, inner, is_add=False)


def _way(shape: Shape, document: Mapping[str, Any], path: str, value: Any) -> list[str]:
    """Return the keys that lead to what a path names: an extension as a whole, or an attribute in one or in none."""
    whole = _spelled(document, path)
    if path.lower().startswith("urn:") and (whole in document or isinstance(value, Mapping)):
        return [whole]
    node = parsed(path)
    if not isinstance(node, scim.AttrPath):
        return [path]
    is_core = node.uri is None or node.uri.lower() == shape.urn.lower()
    urns = [] if is_core or node.uri is None else [_spelled(document, node.uri)]
    inside: Any = document.get(urns[0], {}) if urns else document
    return [*urns, _spelled(inside, node.attr), *([node.sub_attr] if node.sub_attr else [])]


def _set(holder: dict[str, Any], name: str, value: Any, *, is_add: bool) -> None:
    if value is None or value in ("", [], {}):
        holder.pop(name, None)
        return
    before = holder.get(name)
    if isinstance(before, Mapping) and isinstance(value, Mapping) and is_add:
        value = {**before, **value}
    if isinstance(before, list) and is_add:
        more = value if isinstance(value, list) else [value]
        value = [*before, *(each for each in more if each not in before)]
    holder[name] = value


def _spelled(holder: Any, name: str) -> str:
    """Return the name as the document spells it, since names ignore letter case (RFC 7643 §2.1)."""
    names = holder if isinstance(holder, Mapping) else ()
    return next((each for each in names if each.lower() == name.lower()), name)
