"""Member lists, taken out of a request before the protocol engine sees it: a plain loop instead of a model for each
member, and a PATCH as a difference, so that its cost does not grow with the group. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    Path,
)
from scim2_models import path as scim

from governance.identity.conditions.schemas import GROUP

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_URN = f"{GROUP.lower()}:"


@dataclass(frozen=True, slots=True)
class MemberChange:
    """What a PATCH does to the members, all operations together: empty the group first or not, then both lists."""

    empties: bool = False
    add: frozenset[str] = frozenset()
    remove: frozenset[str] = frozenset()

    def then_add(self, ids: Iterable[str]) -> MemberChange:
        """Return the change with these added afterwards."""
        more = frozenset(ids)
        return MemberChange(self.empties, self.add | more, self.remove - more)

    def then_remove(self, ids: Iterable[str]) -> MemberChange:
        """Return the change with these removed afterwards."""
        fewer = frozenset(ids)
        return MemberChange(self.empties, self.add - fewer, self.remove | fewer)

    def then_empty(self) -> MemberChange:
        """Return the change with everybody removed afterwards."""
        return MemberChange(empties=True)


NO_CHANGE = MemberChange()


def split_members(raw: Any, *, lenient: bool) -> tuple[list[str], Any]:
    """Return the ids in the `members` of a group document, and the document without them.

    `lenient` takes bare ids as well. Raises InvalidValueException, naming the position.
    """
    if not isinstance(raw, Mapping):
        return [], raw
    rest = {name: value for name, value in raw.items() if name.lower() not in ("members", f"{_URN}members")}
    found = [value for name, value in raw.items() if name not in rest]
    return (_ids(found[-1], lenient=lenient) if found and found[-1] is not None else []), rest


def split_operations(raw: Any, *, lenient: bool) -> tuple[MemberChange, Any]:
    """Return what a PATCH does to the members, and the PATCH without those operations (None when nothing is left).

    Raises InvalidSyntax, InvalidValue, InvalidPath, InvalidFilter or Mutability exceptions of scim2-models.
    """
    operations = _operations(raw, lenient=lenient)
    change = NO_CHANGE
    rest = []
    for operation in operations:
        path = operation.get("path")
        if path is None:
            change, other = _without_path(change, operation, lenient=lenient)
            rest += other
        elif _is_about_members(path):
            change = _with_path(change, str(path), operation, lenient=lenient)
        else:
            rest.append(operation)
    return change, {"schemas": [PATCH_OP], "Operations": rest} if rest else None


def _operations(raw: Any, *, lenient: bool) -> list[Mapping[str, Any]]:
    if not isinstance(raw, Mapping):
        raise InvalidSyntaxException(detail="The body must be a PatchOp object.")
    named = {name.lower(): value for name, value in raw.items()}
    schemas = named.get("schemas")
    if not lenient and (not isinstance(schemas, list) or PATCH_OP not in schemas):
        raise InvalidValueException(detail=f"schemas: must hold {PATCH_OP}.")
    operations = named.get("operations")
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntaxException(detail="Operations: must be a list of one or more operations.")
    if not all(isinstance(operation, Mapping) for operation in operations):
        raise InvalidSyntaxException(detail="Operations: every operation must be an object.")
    return operations


def _verb(operation: Mapping[str, Any]) -> Literal["add", "remove", "replace"]:
    op = operation.get("op")
    match op.lower() if isinstance(op, str) else op:
        case "add":
            return "add"
        case "remove":
            return "remove"
        case "replace":
            return "replace"
        case _:
            raise InvalidSyntaxException(detail=f"op: {op!r} is not one of add, remove, replace.")


def _is_about_members(path: Any) -> bool:
    name = str(path).strip().lower().removeprefix(_URN)
    return name == "members" or name.startswith(("members[", "members.", "members ["))


def _without_path(
    change: MemberChange, operation: Mapping[str, Any], *, lenient: bool
) -> tuple[MemberChange, list[Mapping[str, Any]]]:
    """Apply an operation whose value holds whole attributes; return what it says about others."""
    value = operation.get("value")
    if not isinstance(value, Mapping) or _verb(operation) == "remove":
        return change, [operation]
    ids, rest = split_members(value, lenient=lenient)
    if len(rest) == len(value):
        return change, [operation]
    change = change.then_add(ids) if _verb(operation) == "add" else change.then_empty().then_add(ids)
    return change, [{**operation, "value": rest}] if rest else []


def _with_path(change: MemberChange, path: str, operation: Mapping[str, Any], *, lenient: bool) -> MemberChange:
    verb = _verb(operation)
    selected = _selected(path)
    value = operation.get("value")
    if selected is not None:
        if verb == "remove":
            return change.then_remove(selected)
        if verb == "add":
            raise InvalidPathException(path=path, detail=f"{path}: members are added with the path members.")
        return change.then_remove(selected).then_add(_ids(value, lenient=lenient))
    match verb:
        case "add":
            return change.then_add(_ids(value, lenient=lenient))
        case "replace":
            return change.then_empty().then_add([] if value is None else _ids(value, lenient=lenient))
        case "remove" if value is None:
            return change.then_empty()
        case _ if lenient:
            return change.then_remove(_ids(value, lenient=True))
        case _:
            # Never read it as "remove all": that is the worst silent bug of this field.
            raise InvalidValueException(detail='value: remove takes none; name members as members[value eq "…"].')


def _selected(path: str) -> frozenset[str] | None:
    """Return the ids a path names in brackets, or None for the whole list."""
    node = Path[Any](path).ast
    if isinstance(node, scim.ValuePath):
        if node.sub_attr is not None:
            raise MutabilityException(detail=f"{path}: the parts of a member cannot be changed.")
        return _named(node.val_filter, path)
    if isinstance(node, scim.AttrPath) and node.sub_attr is None:
        return None
    raise MutabilityException(detail=f"{path}: the parts of a member cannot be changed.")


def _named(node: scim.FilterNode, path: str) -> frozenset[str]:
    if isinstance(node, scim.LogicalExpr) and node.op is scim.LogicalOperator.or_:
        return frozenset[str]().union(*(_named(term, path) for term in node.terms))
    if isinstance(node, scim.LogicalExpr):
        # Every member is a user: whoever is also asked to be something else is nobody.
        named = [term for term in node.terms if not _is_about_type(term)]
        if len(named) == 1:
            return _named(named[0], path) if all(map(_asks_for_users, node.terms)) else frozenset()
    if isinstance(node, scim.Comparison) and _is_equal(node, "value"):
        return frozenset({str(node.value)})
    raise InvalidFilterException(detail=f'{path}: members are named by their value only: members[value eq "…"].')


def _is_equal(node: scim.FilterNode, part: str) -> bool:
    is_comparison = isinstance(node, scim.Comparison) and node.op is scim.CompareOperator.eq
    return is_comparison and isinstance(node, scim.Comparison) and node.attr_path.attr.lower() == part


def _is_about_type(node: scim.FilterNode) -> bool:
    return _is_equal(node, "type")


def _asks_for_users(node: scim.FilterNode) -> bool:
    return not isinstance(node, scim.Comparison) or not _is_about_type(node) or str(node.value).lower() == "user"


def _ids(value: Any, *, lenient: bool) -> list[str]:
    elements = value if isinstance(value, list) else [value]
    return [_id(element, position, lenient=lenient) for position, element in enumerate(elements)]


def _id(element: Any, position: int, *, lenient: bool) -> str:
    found = element.get("value") if isinstance(element, Mapping) else element if lenient else None
    if not isinstance(found, str) or not found:
        raise InvalidValueException(detail=f"members[{position}].value: must be the id of a user.")
    return found
