"""Random bodies for POST and PUT: never a broken server, never half a write, and what was taken reads back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scim_bridge.conftest import ENTERPRISE, GROUP, USER, Provider
from tests.scim_bridge.fuzzing import World, bounded, documents, rows, undone, well_formed

DIALECTS = ("strict", "default", "entra")


@pytest.fixture
def worlds(connected: Callable[..., Provider]) -> list[World]:
    return [World(connected(dialect), dialect) for dialect in DIALECTS]


_USER = {
    "schemas": [USER, ENTERPRISE],
    "userName": "new@halden.example",
    "name": {"givenName": "New", "familyName": "Comer"},
    "emails": [{"value": "new@halden.example", "type": "work", "primary": True}],
    "active": True,
    ENTERPRISE: {"department": "Finance"},
}
_GROUP = {"schemas": [GROUP], "displayName": "Fresh", "members": []}


def _holds(world: World, method: str, kind: str, body: Any) -> None:
    provider = world.provider
    address = kind if method == "POST" else f"{kind}/{world.ada if kind == 'Users' else world.crew}"
    with undone():
        before = rows()
        answer = provider.ask(method, address, body)
        written = well_formed(answer)
        if answer.status_code >= 400:
            assert rows() == before
            return
        assert answer.status_code == (201 if method == "POST" else 200)
        read = provider.get(f"{kind}/{written['id']}")
        assert read == written
        assert "password" not in {name.lower() for name in read}
        echoed = provider.ask("PUT", f"{kind}/{written['id']}", read)
        assert echoed.status_code == 200, (echoed.content, read)
        assert well_formed(echoed) == read


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_any_document_is_taken_whole_or_refused_whole(worlds: list[World], kind: str, method: str) -> None:
    base = _USER if kind == "Users" else _GROUP
    ids = [id_ for world in worlds for id_ in (world.ada, world.grace)]
    likely = [{"value": ids[0]}, [{"value": ids[0]}], [{"value": id_, "display": "x"} for id_ in ids], ids, ids[0]]

    @bounded
    @given(st.sampled_from(worlds), documents(base, *likely))
    def hold(world: World, body: dict[str, Any]) -> None:
        _holds(world, method, kind, body)

    hold()


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_schemas_come_back_in_their_order_so_that_an_echo_is_no_change(
    connected: Callable[..., Provider], kind: str
) -> None:
    """PostgreSQL gives the keys of a document back in another order than they were sent in."""
    world = World(connected("default"), "default")
    base = _USER if kind == "Users" else _GROUP
    extensions = {"urn:x:a-long-one:of:many:words": {"a": 1}, "urn:x:b": {"b": 1}, "urn:x:ac": {"c": 1}}

    for order in (sorted(extensions), sorted(extensions, reverse=True)):
        _holds(world, "POST", kind, {**base, **{urn: extensions[urn] for urn in order}})
