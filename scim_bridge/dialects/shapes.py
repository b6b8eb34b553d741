"""What the published schemas say about an attribute, as plain values that normalising rules can ask. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from scim2_models import Attribute as Declared
from scim2_models import InvalidPathException, Mutability, Path, Required, Schema
from scim2_models import path as scim

from governance.identity.conditions.schemas import ENTERPRISE_USER, GROUP, USER, published_schemas


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute or sub-attribute."""

    #: As the schema spells it; of an extension's attribute with its URN, so that it is a path.
    path: str
    kind: str
    is_list: bool = False
    is_required: bool = False
    is_read_only: bool = False
    #: The sub-attributes by their names in lower case.
    parts: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def is_complex(self) -> bool:
        """Tell whether it has sub-attributes."""
        return bool(self.parts)

    @property
    def has_value(self) -> bool:
        """Tell whether a bare text can stand for it: it is complex and its essence is a `value`."""
        return "value" in self.parts


@dataclass(frozen=True, slots=True)
class Shape:
    """A resource type: its attributes, and those of its extensions."""

    urn: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict)

    def find(self, path: scim.AttrPath) -> Attribute | None:
        """Return the attribute that a path outside brackets begins with, or None. A bare name may be an extension's.

        Entra and hand-written templates send `manager` and `department` without their URN.
        """
        name = path.attr.lower()
        if path.uri is None:
            everywhere = (self.attributes, *self.extensions.values())
            return next((names[name] for names in everywhere if name in names), None)
        urn = path.uri.lower()
        names = self.attributes if urn == self.urn.lower() else self.extensions.get(urn, {})
        return names.get(name)

    def knows(self, urn: str) -> bool:
        """Tell whether a schema URN is the type's or one of its extensions'."""
        return urn.lower() == self.urn.lower() or urn.lower() in self.extensions


#: Every rule looks at the path again; longer ones are read each time, so that what is kept stays small.
_LONGEST_KEPT = 256

#: RFC 7643 §3.1; the schemas do not repeat them.
_COMMON = {
    "schemas": Attribute("schemas", "string", is_list=True, is_required=True),
    "id": Attribute("id", "string", is_read_only=True),
    "externalid": Attribute("externalId", "string"),
    "meta": Attribute("meta", "complex", is_read_only=True),
}


def parsed(text: str) -> scim.PathNode:
    """Return a path of a PATCH as the grammar reads it. Raises InvalidPathException (RFC 7644 §3.5.2)."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else _read(text)


@lru_cache(maxsize=1024)
def _kept(text: str) -> scim.PathNode:
    return _read(text)


def _read(text: str) -> scim.PathNode:
    node = Path[Any](text.strip()).ast
    if node is None:
        raise InvalidPathException(path=text, detail="path: must not be empty.")
    return node


def head(node: scim.PathNode) -> scim.AttrPath:
    """Return the attribute path a path begins with."""
    return node if isinstance(node, scim.AttrPath) else node.attr_path


def _attribute(declared: Declared, prefix: str = "") -> Attribute:
    return Attribute(
        path=f"{prefix}{declared.name}",
        kind=str(declared.type.value if declared.type else "string"),
        is_list=bool(declared.multi_valued),
        is_required=declared.required == Required.true,
        is_read_only=declared.mutability == Mutability.read_only,
        parts=_by_name(declared.sub_attributes or ()),
    )


def _by_name(declared: Iterable[Declared], prefix: str = "") -> dict[str, Attribute]:
    return {str(each.name).lower(): _attribute(each, prefix) for each in declared}


def _core(schema: Schema) -> dict[str, Attribute]:
    return {**_COMMON, **_by_name(schema.attributes or ())}


_SCHEMAS = {str(schema.id): schema for schema in published_schemas()}
_ENTERPRISE = _by_name(_SCHEMAS[ENTERPRISE_USER].attributes or (), f"{ENTERPRISE_USER}:")

#: The types that can be written, by the name of their resource type.
SHAPES: Mapping[str, Shape] = {
    "User": Shape(USER, _core(_SCHEMAS[USER]), {ENTERPRISE_USER.lower(): _ENTERPRISE}),
    "Group": Shape(GROUP, _core(_SCHEMAS[GROUP])),
}
