"""Rules about one value, given what the schema says of its attribute. Each returns the value as the RFC wants it.

They run in the order of a dialect, over every attribute of a POST or PUT and over the value of every PATCH operation,
and again over the parts of what is complex. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scim2_models import InvalidValueException

from scim_bridge.dialects.shapes import Attribute, Shape

ValueRule = Callable[[Attribute, Any], Any]

#: Lists that `scim_bridge.members` reads with a plain loop, because they hold tens of thousands.
LONG_LISTS = frozenset({"members"})

#: What an element is about, not what it says: an element with nothing else is empty.
_DESCRIBING = frozenset({"type", "primary"})
_TRUTHS: Mapping[str, bool] = {"true": True, "false": False}


def normalised_document(shape: Shape, document: Mapping[str, Any], rules: Iterable[ValueRule]) -> dict[str, Any]:
    """Return a document with every attribute after all rules, those of its extensions included."""
    changed: dict[str, Any] = {}
    for name, value in document.items():
        names = shape.extensions.get(name.lower())
        if names is not None and isinstance(value, Mapping):
            changed[name] = _each(names, value, rules)
        else:
            changed.update(_each(shape.attributes, {name: value}, rules))
    return changed


def normalised(attribute: Attribute, value: Any, rules: Iterable[ValueRule]) -> Any:
    """Return the value of a whole attribute after all rules, its elements and parts included."""
    if attribute.path in LONG_LISTS:
        return value
    for rule in rules:
        value = rule(attribute, value)
    if attribute.is_list and isinstance(value, list):
        return [normalised_element(attribute, each, rules) for each in value]
    return normalised_element(attribute, value, rules)


def normalised_element(attribute: Attribute, value: Any, rules: Iterable[ValueRule]) -> Any:
    """Return one element of a list, or a complex value, with its parts after all rules."""
    if not attribute.is_complex or not isinstance(value, Mapping):
        return value
    return _each(attribute.parts, value, rules)


def _each(names: Mapping[str, Attribute], values: Mapping[str, Any], rules: Iterable[ValueRule]) -> dict[str, Any]:
    return {
        name: normalised(attribute, value, rules) if (attribute := names.get(name.lower())) else value
        for name, value in values.items()
    }


def blank_is_unassigned(attribute: Attribute, value: Any) -> Any:
    """Read `""` as null, which means "no value" (RFC 7643 §2.5); a required attribute keeps it, and is refused.

    Entra clears with `""`, templates of OneLogin and JumpCloud send it for fields that are empty there.
    """
    return None if value == "" and not attribute.is_required else value


def booleans_from_text(attribute: Attribute, value: Any) -> Any:
    """Read "True" and "false" in any letter case as booleans. Raises InvalidValueException for any other text.

    Entra without `aadOptscim062020`, its validator inside `roles`; Keycloak's plug-in in PATCH mode.
    """
    if attribute.kind != "boolean" or not isinstance(value, str):
        return value
    if value.strip().lower() not in _TRUTHS:
        raise InvalidValueException(detail=f"{attribute.path}: {value!r} is neither true nor false.")
    return _TRUTHS[value.strip().lower()]


def lists_from_one(attribute: Attribute, value: Any) -> Any:
    """Read a single object (or text) for a list as a list of one, and bare texts in it as `{"value": text}`.

    OneLogin's templates send `emails` as one object; Microsoft's reference collection adds members as bare texts.
    """
    if not attribute.is_list or not attribute.is_complex or value is None:
        return value
    if value == "":
        return []
    elements = value if isinstance(value, list) else [value]
    return [{"value": each} if isinstance(each, str) and attribute.has_value else each for each in elements]


def complex_from_text(attribute: Attribute, value: Any) -> Any:
    """Read a complex attribute with a `value` (`manager`) from a text, or from a list of one; no value is null.

    Entra sends the manager as a bare text, as `{"value": id}` and as `[{"$ref": …, "value": id}]`, and clears it
    with `""` (apache/directory-scimple 1242, SCIM-SDK 541).
    """
    if attribute.is_list or not attribute.has_value:
        return value
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else None
    if isinstance(value, str):
        value = {"value": value} if value else None
    is_blank = isinstance(value, Mapping) and "value" in value and value["value"] in ("", None)
    return None if is_blank else value


def simple_from_wrapped(attribute: Attribute, value: Any) -> Any:
    """Read a simple attribute from `[{"value": x}]`, `{"value": x}` or `[x]`.

    Entra wraps the values of custom attributes so when it takes them for lists (Microsoft Learn, question 1693075); no
    simple attribute is an object, so nothing else can be meant.
    """
    if attribute.is_list or attribute.kind == "complex":
        return value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value["value"] if isinstance(value, Mapping) and "value" in value else value


def without_read_only_parts(attribute: Attribute, value: Any) -> Any:
    """Leave out parts that are the server's: `manager.displayName` comes along with the reference (RFC 7643 §4.3).

    A POST or PUT ignores them by itself (RFC 7644 §3.3, §3.5.1); a PATCH would be refused as a whole.
    """
    if attribute.is_list or attribute.is_read_only or not attribute.is_complex or not isinstance(value, Mapping):
        return value
    return {name: inner for name, inner in value.items() if not _is_read_only(attribute, name)}


def _is_read_only(attribute: Attribute, name: str) -> bool:
    part = attribute.parts.get(name.lower())
    return part is not None and part.is_read_only


def roles_from_packed(attribute: Attribute, value: Any) -> Any:
    """Unpack elements whose `value` is a JSON document in a text: its `value` and `displayName` are the role's.

    Entra's `AppRoleAssignmentsComplex` (MicrosoftDocs/azure-docs 50772).
    """
    if attribute.path not in ("roles", "entitlements") or not isinstance(value, list):
        return value
    return [_unpacked(each) for each in value]


def _unpacked(element: Any) -> Any:
    packed = element.get("value") if isinstance(element, Mapping) else None
    if not isinstance(packed, str) or not packed.lstrip().startswith("{"):
        return element
    try:
        inner = json.loads(packed)
    except (ValueError, RecursionError):
        return element
    if not isinstance(inner, Mapping) or not isinstance(inner.get("value"), str):
        return element
    display = {"display": inner["displayName"]} if isinstance(inner.get("displayName"), str) else {}
    return {**element, "value": inner["value"], **display}


def without_empty_elements(attribute: Attribute, value: Any) -> Any:
    """Leave out elements that say only what they would be about: `{"type": "work", "value": ""}`.

    Templates of OneLogin and JumpCloud name every kind of phone and address, whether there is one or not.
    """
    if not attribute.is_list or not attribute.is_complex or not isinstance(value, list):
        return value
    return [each for each in value if not _is_empty(each)]


def _is_empty(element: Any) -> bool:
    if not isinstance(element, Mapping):
        return element is None
    said = [inner for name, inner in element.items() if name.lower() not in _DESCRIBING]
    return bool(said) and all(inner in ("", None, [], {}) for inner in said)
