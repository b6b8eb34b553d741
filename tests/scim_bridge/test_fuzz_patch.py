"""Random PATCH requests: all of one or nothing of it, and what was done reads back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scim_bridge.conftest import ENTERPRISE, GROUP, PATCH, Provider
from tests.scim_bridge.fuzzing import World, bounded, json_values, names, odd_texts, rows, undone, well_formed

DIALECTS = ("strict", "default", "entra")


@pytest.fixture
def worlds(connected: Callable[..., Provider]) -> list[World]:
    return [World(connected(dialect), dialect) for dialect in DIALECTS]


_ops = st.sampled_from(["add", "replace", "remove", "Add", "REPLACE", "Remove", "move", "", None, 7])
_good_ops = st.sampled_from(["add", "replace", "remove"])
_paths = st.one_of(
    names,
    st.sampled_from(
        ['emails[type eq "work"]', 'emails[type eq "work"].value', 'emails[type eq "fax"].value',
         'emails[value pr].primary',
         'phoneNumbers[type eq "mobile"].value', 'roles[primary eq "True"].value', f"{ENTERPRISE}:manager.value",
         'addresses[type eq "work"].locality', 'emails[not (type eq "work")]',
         "emails[type eq", 'emails["', "emails[].value",
         "emails.value.more", "members[value pr]", 'members[value eq "x"]', "members.value", "members[", "meta.version",
         "groups", 'name[givenName eq "Ada"]', 'emails[type eq "work" and value co "@"].display', "a" * 5000,
         "emails[" + "(" * 50 + "type pr" + ")" * 50 + "]", 'emails[type eq "' + "x" * 5000 + '"]',
         "🙂", "title\r\nX: y"]
    ),
    odd_texts,
    st.none(),
)  # fmt: skip


def _operation(ops: st.SearchStrategy[Any], paths: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries({"op": ops}, optional={"path": paths, "value": values})


_values = json_values(
    True, "True", "x", {"value": "m", "type": "work"}, [{"value": "m", "type": "work", "primary": True}],
    {"active": "False"},
    {"name.givenName": "G", f"{ENTERPRISE}:department": "D"}, {"displayName": "D", "id": "x"},
    {"emails": None}, [], None, "",
)  # fmt: skip
_broken = st.lists(_operation(_ops, _paths, _values) | json_values(), max_size=4)
#: Operations that are right, so that those behind them in the same request have something to undo.
_right = st.lists(
    st.sampled_from(
        [{"op": "replace", "path": "title", "value": "Countess"}, {"op": "replace", "path": "active", "value": False},
         {"op": "add", "path": "emails", "value": [{"value": "n@x.example", "type": "other"}]},
         {"op": "remove", "path": 'emails[type eq "home"]'}, {"op": "replace", "value": {"nickName": "Al"}},
         {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "Data"}, {"op": "remove", "path": "title"},
         {"op": "replace", "path": "displayName", "value": "Renamed"}]
    ),
    max_size=3,
)  # fmt: skip
_operations = st.one_of(st.builds(lambda right, broken: [*right, *broken], _right, _broken), _right)
_bodies = st.one_of(
    _operations.map(lambda operations: {"schemas": [PATCH], "Operations": operations}),
    _operations.map(lambda operations: {"SCHEMAS": [PATCH], "operations": operations}),
    st.fixed_dictionaries({}, optional={"schemas": json_values([PATCH]), "Operations": json_values()}),
    json_values(),
)


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_any_patch_is_done_whole_or_not_at_all(worlds: list[World], kind: str) -> None:
    @bounded
    @given(st.sampled_from(worlds), _bodies)
    def hold(world: World, body: Any) -> None:
        address = f"{kind}/{world.ada if kind == 'Users' else world.crew}"
        with undone():
            before = rows()
            answer = world.provider.ask("PATCH", address, body)
            written = well_formed(answer)
            if answer.status_code >= 400:
                assert rows() == before
                return
            read = world.provider.get(address)
            assert answer.status_code == (200 if kind == "Users" else 204)
            assert written is None or read == written
            echoed = world.provider.ask("PUT", address, read)
            assert well_formed(echoed) == read, echoed.content

    hold()


def _member_operation(ids: list[str]) -> st.SearchStrategy[tuple[dict[str, Any], Callable[[set[str]], set[str]]]]:
    """Return operations on members, each with what it makes of a set of members."""
    some = st.lists(st.sampled_from(ids), max_size=3, unique=True)
    one = st.sampled_from(ids)
    return st.one_of(
        some.map(lambda who: ({"op": "add", "path": "members", "value": _listed(who)}, lambda now: now | set(who))),
        some.map(lambda who: ({"op": "replace", "path": "members", "value": _listed(who)}, lambda now: set(who))),
        some.map(lambda who: ({"op": "add", "value": {"members": _listed(who)}}, lambda now: now | set(who))),
        some.map(lambda who: ({"op": "replace", "value": {"members": _listed(who)}}, lambda now: set(who))),
        one.map(lambda who: ({"op": "remove", "path": f'members[value eq "{who}"]'}, lambda now: now - {who})),
        st.just(({"op": "remove", "path": f"{GROUP}:members"}, lambda now: set())),
    )


def _listed(ids: list[str]) -> list[dict[str, str]]:
    return [{"value": id_} for id_ in ids]


def test_members_are_what_the_operations_in_their_order_make_of_them(worlds: list[World]) -> None:
    everybody = {
        world.dialect: [
            world.ada,
            world.grace,
            *(str(world.provider.create_user(f"{n}@{world.dialect}.example")["id"]) for n in range(2)),
        ]
        for world in worlds
    }

    @bounded
    @given(st.data(), st.sampled_from(worlds))
    def hold(data: st.DataObject, world: World) -> None:
        steps = data.draw(st.lists(_member_operation(everybody[world.dialect]), min_size=1, max_size=5))
        expected = {world.ada}
        for _, step in steps:
            expected = step(expected)
        with undone():
            version = world.provider.get(f"Groups/{world.crew}")["meta"]["version"]
            answer = world.provider.patch(f"Groups/{world.crew}", *(operation for operation, _ in steps))
            read = world.provider.get(f"Groups/{world.crew}")

            assert answer.status_code == 204, answer.content
            assert {member["value"] for member in read["members"]} == expected
            assert (read["meta"]["version"] != version) == (expected != {world.ada})

    hold()


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_patch_sent_again_moves_neither_version_nor_time(worlds: list[World], kind: str) -> None:
    repeatable = _right.filter(lambda operations: operations and all(each["op"] != "add" for each in operations))

    @bounded
    @given(st.sampled_from(worlds), repeatable)
    def hold(world: World, operations: list[dict[str, Any]]) -> None:
        address = f"{kind}/{world.ada if kind == 'Users' else world.crew}"
        with undone():
            if world.provider.patch(address, *operations).status_code >= 400:
                return
            last = operations[-1:]
            once = world.provider.get(address)
            before = rows()

            assert world.provider.patch(address, *last).status_code < 300
            assert world.provider.get(address) == once
            assert rows() == before

    hold()
