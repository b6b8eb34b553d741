"""Rules about the whole body of a POST or PUT. Each returns the document as the RFC wants it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scim_bridge.dialects.shapes import Shape

Document = Mapping[str, Any]
DocumentRule = Callable[[Shape, Document], Document]


def schemas_that_are_present(shape: Shape, document: Document) -> Document:
    """List the schema of the type and those the document has attributes of (RFC 7643 §3); leave out all others.

    Google adds `urn:scim:schemas:core:1.0` to users and Entra an ADSCIM URN to groups; templates leave the list out,
    or name one URN as a text. The order of the list stays, so that what we returned is no change when it comes back.
    """
    listed = _texts(_value(document, "schemas"))
    present = [
        name for name, value in document.items() if name.lower().startswith("urn:") and isinstance(value, Mapping)
    ]
    spelled = {urn.lower(): urn for urn in (*present, *listed)}
    known = {urn.lower() for urn in present}
    order = [*(urn for urn in listed if urn.lower() in known), *present]
    rest = {name: value for name, value in document.items() if name.lower() != "schemas"}
    return {"schemas": list(dict.fromkeys([shape.urn, *(spelled[urn.lower()] for urn in order)])), **rest}


def names_without_their_urn(shape: Shape, document: Document) -> Document:
    """Move `urn:…:User:title` to where it belongs, whether core or extension, and open a core URN with an object.

    Dotted and qualified keys are how Entra and Okta name attributes in mappings (RFC 7644 §3.10).
    """
    rest: dict[str, Any] = {}
    for name, value in document.items():
        _put(shape, rest, name, value)
    return rest


def no_unknown_nulls(shape: Shape, document: Document) -> Document:
    """Leave out unknown attributes that are null: unassigned (RFC 7643 §2.5). Entra sends null for what is empty."""
    return {
        name: value
        for name, value in document.items()
        if value is not None or name.lower() in shape.attributes or name.lower() in shape.extensions
    }


def _put(shape: Shape, target: dict[str, Any], name: str, value: Any) -> None:
    lowered = name.lower()
    core = f"{shape.urn.lower()}:"
    if lowered == shape.urn.lower() and isinstance(value, Mapping):
        target.update(value)
    elif lowered.startswith(core):
        target[name[len(core) :]] = value
    elif (urn := _extension_of(shape, lowered)) is not None:
        _extension(target, name[: len(urn)])[name[len(urn) + 1 :]] = value
    elif lowered in shape.extensions and isinstance(value, Mapping):
        _extension(target, name).update(value)
    else:
        target[name] = value


def _extension_of(shape: Shape, lowered: str) -> str | None:
    return next((urn for urn in shape.extensions if lowered.startswith(f"{urn}:")), None)


def _extension(target: dict[str, Any], urn: str) -> dict[str, Any]:
    """Return the object of an extension in the target, made when there is none, whatever its letter case."""
    name = next((each for each in target if each.lower() == urn.lower()), urn)
    if not isinstance(target.get(name), dict):
        target[name] = {}
    found: dict[str, Any] = target[name]
    return found


def _value(document: Document, name: str) -> Any:
    return next((value for key, value in document.items() if key.lower() == name), None)


def _texts(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
