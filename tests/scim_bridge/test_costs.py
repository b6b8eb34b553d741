"""What each request costs in statements, and that the cost does not grow with what is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.catalog import actions as catalog
from governance.catalog import rules
from governance.catalog.models import Entitlement
from governance.identity.models import Group, Membership, Person
from tests.cast import TESTING
from tests.scim_bridge.conftest import ENTERPRISE, PATCH, USER, Provider

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
#: What a transaction adds: in tests it is a savepoint of the test's own.
TRANSACTION = 2
DEACTIVATE = {"op": "replace", "value": {"active": False}}


def cost(act: Callable[[], Any]) -> int:
    """Return how many statements an act takes."""
    with CaptureQueriesContext(connection) as asked:
        act()
    return len(asked)


def crowd(count: int, prefix: str = "u") -> list[Person]:
    """Return so many people, written past the door."""
    return Person.objects.bulk_create(
        Person(
            user_name=f"{prefix}{number}",
            user_name_key=f"{prefix}{number}",
            display_name=f"{prefix} {number}",
            source="file",
            joined_at=LONG_AGO,
            created_at=LONG_AGO,
            modified_at=LONG_AGO,
            document={"schemas": [USER], "userName": f"{prefix}{number}", "active": True},
            document_key={"schemas": [USER.lower()], "username": f"{prefix}{number}", "active": True},
        )
        for number in range(count)
    )


def user(name: str) -> dict[str, Any]:
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": name,
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": f"{name}@example.com", "primary": True}],
        ENTERPRISE: {"department": "Engineering"},
    }


@pytest.fixture
def ada(okta: Provider) -> dict[str, Any]:
    return okta.create_user("ada")


def test_a_user_is_created_with_all_that_follows_in_six_statements(okta: Provider, ada: dict[str, Any]) -> None:
    # The token; who left by that name; person and revision; whose manager it is; the ledger; the rules.
    assert cost(lambda: okta.done(okta.ask("POST", "Users", user("grace")), 201)) == 6 + TRANSACTION


def test_a_user_is_read_or_found_in_three_statements(okta: Provider, ada: dict[str, Any]) -> None:
    # The token; the row; the groups.
    assert cost(lambda: okta.get(f"Users/{ada['id']}")) == 3
    assert cost(lambda: okta.find("Users", 'userName eq "ada"')) == 3
    assert cost(lambda: okta.find("Users", 'title co "x" or emails.type eq "work"')) <= 3


def test_a_user_is_changed_in_six_statements(okta: Provider, ada: dict[str, Any]) -> None:
    # The token; the lock; row and revision; the ledger; the rules; the groups.
    change = {"op": "replace", "path": "displayName", "value": "Countess"}

    assert cost(lambda: okta.done(okta.patch(f"Users/{ada['id']}", change), 200)) == 6 + TRANSACTION
    # What changes nothing writes nothing.
    assert cost(lambda: okta.done(okta.patch(f"Users/{ada['id']}", change), 200)) == 3 + TRANSACTION


def test_a_user_leaves_in_six_statements(okta: Provider, ada: dict[str, Any]) -> None:
    # The token; the lock; row and revision; what waits and runs; the ledger; the groups.
    assert cost(lambda: okta.done(okta.patch(f"Users/{ada['id']}", DEACTIVATE), 200)) == 6 + TRANSACTION


def test_a_leaver_costs_the_same_whatever_they_have(okta: Provider, analyst: Entitlement) -> None:
    def leaver(name: str, roles: int) -> int:
        for number in range(roles):
            role = catalog.add_entitlement(
                analyst.application, f"{name} {number}", sentence="Reads.", target_ref=f"{name}{number}", actor=TESTING
            )
            rules.save_birthright_rule(f"{name} {number}", f'userName eq "{name}"', [role], actor=TESTING)
        created = okta.create_user(name)
        return cost(lambda: okta.done(okta.patch(f"Users/{created['id']}", DEACTIVATE), 200))

    assert leaver("ada", 2) == leaver("grace", 9)


@pytest.mark.parametrize("op", ["add", "remove"])
def test_one_member_costs_six_statements_however_many_there_are(okta: Provider, ada: dict[str, Any], op: str) -> None:
    def changed(size: int) -> int:
        group = okta.create_group(f"Of {size}", [] if op == "add" else [ada["id"]])
        row = Group.objects.get(scim_id=group["id"])
        Membership.objects.bulk_create(
            Membership(group=row, person=person, since=LONG_AGO) for person in crowd(size, f"of{size}-")
        )
        path = "members" if op == "add" else f'members[value eq "{ada["id"]}"]'
        value = {"value": [{"value": ada["id"]}]} if op == "add" else {}
        body = {"schemas": [PATCH], "Operations": [{"op": op, "path": path, **value}]}
        answers = []
        number = cost(lambda: answers.append(okta.ask("PATCH", f"Groups/{group['id']}", body)))
        assert answers[0].status_code == 204
        return number

    # The token; the lock; who it is; members, revision and version; the ledger; the rules.
    assert changed(10) == changed(2_000) == 6 + TRANSACTION


def test_a_page_costs_the_same_with_few_and_many_people(okta: Provider) -> None:
    crowd(50)
    few = cost(lambda: okta.get("Users?count=20"))
    crowd(2_000, "more")
    # The first page of so many sets way-marks, which all later ones go by.
    okta.get("Users?count=20")

    many = cost(lambda: okta.get("Users?count=20"))
    last = cost(lambda: okta.get("Users?startIndex=2021&count=20"))
    cursor = okta.get("Users?cursor&count=20")["nextCursor"]
    by_cursor = cost(lambda: okta.get(f"Users?cursor={cursor}&count=20"))

    assert few == many == 4
    assert max(last, by_cursor) <= 4
