"""What a PATCH does to the members of a group, as a difference whose cost does not grow with the group."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    SCIMException,
)

from scim_bridge.members import MemberChange, split_members, split_operations
from tests.scim_bridge.conftest import GROUP, PATCH


def change(*operations: dict[str, Any], lenient: bool = False) -> MemberChange:
    members, rest = split_operations({"schemas": [PATCH], "Operations": list(operations)}, lenient=lenient)
    assert rest is None
    return members


def ids(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("path", "removed"),
    [
        ('members[value eq "a"]', ids("a")),
        ('MEMBERS[Value EQ "a"]', ids("a")),
        (f'{GROUP}:members[value eq "a"]', ids("a")),
        ('members[value eq "a" or value eq "b"]', ids("a", "b")),
        ('members[value eq "a" and type eq "User"]', ids("a")),
        ('members[type eq "user" and value eq "a"]', ids("a")),
        ('members[value eq "a" and type eq "Group"]', ids()),
        ('members[(value eq "a" and type eq "User") or value eq "b"]', ids("a", "b")),
    ],
)
def test_a_removal_takes_out_exactly_those_it_names(path: str, removed: frozenset[str]) -> None:
    assert change({"op": "remove", "path": path}) == MemberChange(remove=removed)


def test_operations_add_up_in_their_order() -> None:
    put_in = {"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "b"}]}
    take_out = {"op": "remove", "path": 'members[value eq "a"]'}
    empty = {"op": "remove", "path": "members"}
    instead = {"op": "replace", "path": "members", "value": [{"value": "c"}]}

    assert change(put_in, take_out) == MemberChange(add=ids("b"), remove=ids("a"))
    assert change(take_out, put_in) == MemberChange(add=ids("a", "b"))
    assert change(put_in, empty) == MemberChange(empties=True)
    assert change(empty, put_in, take_out) == MemberChange(empties=True, add=ids("b"), remove=ids("a"))
    assert change(put_in, instead) == MemberChange(empties=True, add=ids("c"))


def test_one_member_takes_the_place_of_another() -> None:
    operation = {"op": "replace", "path": 'members[value eq "a"]', "value": {"value": "b"}}

    assert change(operation) == MemberChange(add=ids("b"), remove=ids("a"))


@pytest.mark.parametrize("value", [[{"value": "a"}], {"value": "a"}, ["a"], "a"], ids=str)
def test_a_removal_with_a_value_takes_out_only_that_or_is_refused(value: Any) -> None:
    operation = {"op": "Remove", "path": "members", "value": value}

    assert change(operation, lenient=True) == MemberChange(remove=ids("a"))
    with pytest.raises(InvalidValueException):
        change(operation, lenient=False)


def test_what_is_not_about_members_is_left() -> None:
    operations = [{"op": "replace", "value": {"displayName": "x", "members": [{"value": "a"}]}}]

    members, rest = split_operations({"schemas": [PATCH], "Operations": operations}, lenient=False)

    assert members == MemberChange(empties=True, add=ids("a"))
    assert rest == {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"displayName": "x"}}]}


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "remove", "path": 'members[display eq "Ada"]'}, InvalidFilterException),
        ({"op": "remove", "path": 'members[value co "a"]'}, InvalidFilterException),
        ({"op": "remove", "path": 'members[not (value eq "a")]'}, InvalidFilterException),
        ({"op": "remove", "path": 'members[value eq "a" and value eq "b"]'}, InvalidFilterException),
        ({"op": "remove", "path": 'members[type eq "User"]'}, InvalidFilterException),
        ({"op": "remove", "path": "members.value"}, MutabilityException),
        ({"op": "replace", "path": 'members[value eq "a"].value', "value": "b"}, MutabilityException),
        ({"op": "add", "path": 'members[value eq "a"]', "value": "b"}, InvalidPathException),
        ({"op": "remove", "path": "members[value eq"}, InvalidPathException),
        ({"op": "add", "path": "members"}, InvalidValueException),
        ({"op": "add", "path": "members", "value": [{"value": ""}]}, InvalidValueException),
        ({"op": "add", "path": "members", "value": [{"display": "Ada"}]}, InvalidValueException),
        ({"op": "add", "path": "members", "value": [7]}, InvalidValueException),
        ({"op": "move", "path": "members"}, InvalidSyntaxException),
    ],
    ids=str,
)
@pytest.mark.parametrize("lenient", [True, False], ids=["lenient", "strict"])
def test_an_operation_that_names_nobody_is_refused(
    operation: dict[str, Any], error: type[SCIMException], lenient: bool
) -> None:
    with pytest.raises(error):
        change(operation, lenient=lenient)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"displayName": "x", "members": [{"value": "a"}, {"value": "b", "type": "User"}]}, ["a", "b"]),
        ({"displayName": "x", f"{GROUP}:Members": [{"value": "a"}]}, ["a"]),
        ({"displayName": "x", "members": None}, []),
        ({"displayName": "x", "members": []}, []),
        ({"displayName": "x"}, []),
    ],
)
def test_members_are_cut_out_of_a_document(document: dict[str, Any], found: list[str]) -> None:
    assert split_members(document, lenient=False) == (found, {"displayName": "x"})
