"""What a client asked to see: `attributes` and `excludedAttributes` (RFC 7644 §3.9), applied to plain dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scim2_models import InvalidValueException

from governance.identity.conditions.schemas import GROUP, USER
from scim_bridge.catalogue import ENTITLEMENT, ROLE

#: Names in lower case; an empty branch means everything below.
Tree = dict[str, "Tree"]

_ALWAYS = frozenset({"id", "schemas"})


@dataclass(frozen=True, slots=True)
class Projection:
    """Which attributes of a resource are returned. Empty: all that are returned by default."""

    wanted: Tree = field(default_factory=dict)
    unwanted: Tree = field(default_factory=dict)

    @classmethod
    def of(cls, attributes: Iterable[object] | None, excluded: Iterable[object] | None) -> Projection:
        """Return the projection that lists of attribute paths describe."""
        return cls(_tree(attributes or ()), _tree(excluded or ()))

    @classmethod
    def asked(cls, request: Mapping[str, Any]) -> Projection:
        """Return the projection of a query or a search body. Names nobody knows select nothing.

        Raises InvalidValueException when both are given, which RFC 7644 §3.9 excludes, or when one is no list of names.
        """
        named = {name.lower(): value for name, value in request.items() if value}
        attributes, excluded = named.get("attributes"), named.get("excludedattributes")
        if attributes and excluded:
            raise InvalidValueException(detail="attributes, excludedAttributes: only one of the two can be used.")
        return cls.of(_listed("attributes", attributes), _listed("excludedAttributes", excluded))

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing was asked for or excluded."""
        return not self.wanted and not self.unwanted

    def keeps(self, name: str) -> bool:
        """Tell whether any of the attribute may be returned; what is not need not be read."""
        key = name.lower()
        if self.wanted:
            return key in self.wanted
        return key not in self.unwanted or bool(self.unwanted[key])

    def asks_for(self, name: str, part: str) -> bool:
        """Tell whether the part was asked for by its own name, as `returned: request` demands."""
        return part.lower() in self.wanted.get(name.lower(), {})

    def apply(self, view: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is left of a resource; `id` and `schemas` always are (RFC 7643 §3.1, §7)."""
        if self.is_everything:
            return dict(view)
        kept = _included(view, self.wanted) if self.wanted else _excluded(view, self.unwanted)
        kept.update({name: view[name] for name in _ALWAYS if name in view})
        # An extension that is left out is not listed either (RFC 7643 §3).
        kept["schemas"] = [schema for schema in kept.get("schemas", []) if schema in kept or schema not in view]
        return kept


def _tree(paths: Iterable[object]) -> Tree:
    tree: Tree = {}
    for path in paths:
        for names in _ways(str(path).strip().lower()):
            _grow(tree, names)
    return tree


def _grow(tree: Tree, names: Sequence[str]) -> None:
    branch = tree
    for position, name in enumerate(names):
        if name in branch and not branch[name]:
            break  # everything below is in already
        branch = branch.setdefault(name, {})
        if position == len(names) - 1:
            branch.clear()


def _ways(path: str) -> list[list[str]]:
    """Return the keys a path may lead along. Of an extension nobody knows, the last part may be an attribute of it."""
    for schema in (USER, GROUP, ROLE, ENTITLEMENT):
        if path.startswith(f"{schema.lower()}:"):
            return [path[len(schema) + 1 :].split(".")]
    if not path.startswith("urn:"):
        return [path.split(".")] if path else []
    urn, _, attribute = path.rpartition(":")
    return [[path], [urn, *attribute.split(".")]]


def _listed(name: str, value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        return [] if value is None else value.split(",")
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise InvalidValueException(detail=f"{name}: must be a list of names of attributes.")


def _included(view: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept = {name: _below(value, tree[name.lower()], _included) for name, value in view.items() if name.lower() in tree}
    return {name: value for name, value in kept.items() if value not in ({}, [{}])}


def _excluded(view: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in view.items():
        branch = tree.get(name.lower())
        if branch is None:
            kept[name] = value
        elif branch:
            kept[name] = _below(value, branch, _excluded)
    return kept


def _below(value: Any, tree: Tree, apply: Any) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_below(each, tree, apply) for each in value]
    return apply(value, tree) if isinstance(value, Mapping) else value
