"""Two writers never lose an update, and a race to create ends in one user."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from governance.identity.models import Membership, Person
from tests.scim_bridge.conftest import USER, Provider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def _at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    def act(one: Callable[[], Any]) -> Any:
        try:
            return one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(act, acts))


def test_two_patches_of_one_user_both_hold(transactional_db: None, connected: Callable[..., Provider]) -> None:
    token = connected().token
    user = Provider(token).create_user("ada@halden.example")

    def patch(path: str, value: str) -> Callable[[], int]:
        operation = {"op": "replace", "path": path, "value": value}
        return lambda: Provider(token).patch(f"Users/{user['id']}", operation).status_code

    for number in range(6):
        answers = _at_once([patch("title", f"Title {number}"), patch("nickName", f"Nick {number}")])
        after = Provider(token).get(f"Users/{user['id']}")
        assert answers == [200, 200]
        assert (after["title"], after["nickName"]) == (f"Title {number}", f"Nick {number}")


def test_forty_adds_to_one_group_all_arrive(transactional_db: None, connected: Callable[..., Provider]) -> None:
    token = connected().token
    people = [Provider(token).create_user(f"user{number}@halden.example")["id"] for number in range(40)]
    group = Provider(token).create_group("Crew")

    def add(id_: str) -> Callable[[], int]:
        operation = {"op": "add", "path": "members", "value": [{"value": id_}]}
        return lambda: Provider(token).patch(f"Groups/{group['id']}", operation).status_code

    assert set(_at_once([add(id_) for id_ in people])) == {204}
    assert Membership.objects.count() == 40


def test_a_race_to_create_ends_in_one_user(transactional_db: None, connected: Callable[..., Provider]) -> None:
    token = connected().token
    body = {"schemas": [USER], "userName": "ada@halden.example"}

    answers = _at_once([lambda: Provider(token).ask("POST", "Users", body).status_code for _ in range(6)])

    assert sorted(answers) == [201, *[409] * 5]
    assert Person.objects.count() == 1
