"""The SCIM door: who gets in, what it costs, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.core.clock import now
from governance.identity.models import Person, ServiceToken
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, USER, Provider


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer gh_scim_\xfc"])
def test_without_a_valid_token_nothing_is_answered(db: None, header: str) -> None:
    answer = Client().get("/scim/v2/Users", headers={"Authorization": header})

    assert Provider.refused(answer, 401)
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("change", [{"revoked_at": now()}, {"expires_at": now() - timedelta(days=1)}])
def test_a_revoked_or_expired_token_is_no_token(strict: Provider, change: dict[str, object]) -> None:
    strict.get("Users")
    ServiceToken.objects.update(**change)

    Provider.refused(strict.ask("GET", "Users"), 401)


def test_a_token_of_the_rest_door_does_not_open_this_one(strict: Provider) -> None:
    ServiceToken.objects.update(audience="api")

    Provider.refused(strict.ask("GET", "Users"), 401)


def test_a_second_token_of_a_connection_works_beside_the_first(connected: Callable[..., Provider]) -> None:
    first, second = connected("okta", "corp"), connected("okta", "corp")

    assert first.get("Users")["totalResults"] == second.get("Users")["totalResults"] == 0


@pytest.mark.parametrize(
    ("body", "status", "scim_type", "word"),
    [
        (b"{", 400, "invalidSyntax", ""),
        (b"[]", 400, "invalidSyntax", ""),
        (b"\xff\xfe", 400, "invalidSyntax", ""),
        ({"schemas": [USER]}, 400, "invalidValue", "userName"),
        ({"schemas": [USER], "userName": 7}, 400, "invalidValue", "userName"),
        ({"schemas": [USER], "userName": "a", "active": "perhaps"}, 400, "invalidValue", "active"),
        ({"schemas": [USER], "userName": "x" * 400}, 400, "invalidValue", "userName"),
        ({"schemas": [USER], "userName": "a", "title": "x" * 300}, 400, "invalidValue", "title"),
        ({"schemas": [USER], "userName": "a", "emails": "a@b"}, 400, "invalidValue", "emails"),
        ({"schemas": [USER], "userName": "nul\x00"}, 400, "invalidValue", "userName"),
    ],
)
def test_a_user_out_of_order_is_refused_by_attribute_and_nothing_is_kept(
    strict: Provider, body: object, status: int, scim_type: str, word: str
) -> None:
    detail = Provider.refused(strict.ask("POST", "Users", body), status, scim_type)

    assert word.lower() in detail.lower()
    assert not Person.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "Users/3f8b6a4e-1111-4222-8333-444455556666", 404),
        ("GET", "Users/not-a-uuid", 404),
        ("GET", "Nothing", 404),
        ("GET", "Users/../../etc/passwd", 404),
        ("PATCH", "Users", 405),
        ("DELETE", "ServiceProviderConfig", 405),
        ("POST", "Users", 413),
    ],
)
def test_every_refusal_is_a_scim_error(strict: Provider, method: str, path: str, status: int) -> None:
    body = {"schemas": [USER], "userName": "a", "title": "x" * settings.SCIM_MAX_BODY_BYTES} if status == 413 else None

    Provider.refused(strict.ask(method, path, body), status)


@pytest.mark.parametrize(
    "condition",
    ["userName eq", 'shoeSize eq "44"', "(" * 40, 'userName eq "a" or ' * 200 + 'userName eq "b"', "x" * 5000],
)
def test_a_filter_that_cannot_be_read_selects_nothing_and_says_so(strict: Provider, condition: str) -> None:
    strict.create_user("ada@halden.example")

    answer = strict.client.get(
        "/scim/v2/Users", {"filter": condition}, headers={"Authorization": f"Bearer {strict.token}"}
    )

    Provider.refused(answer, 400, "invalidFilter")


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '" or userName pr or userName eq "', "$.**", '\\"', "%", "ada@halden.example' --"]
)
def test_what_is_written_in_a_filter_stays_a_value(strict: Provider, text: str) -> None:
    strict.create_user("ada@halden.example", title="Engineer")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')

    for attribute in ("userName", "title", "emails.value", "name.familyName"):
        assert strict.find("Users", f'{attribute} eq "{quoted}"') == []
    strict.create_user(f"x{text}")
    assert [user["userName"] for user in strict.find("Users", f'userName eq "x{quoted}"')] == [f"x{text}"]


def test_pages_projection_and_order(strict: Provider) -> None:
    for number in range(5):
        strict.create_user(f"user{number}@halden.example", displayName=f"User {9 - number}")

    page = strict.get("Users?startIndex=2&count=2&sortBy=displayName&attributes=userName")

    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert [user["userName"] for user in page["Resources"]] == ["user3@halden.example", "user2@halden.example"]
    assert set(page["Resources"][0]) <= {"schemas", "id", "userName"}
    assert strict.get("Users?count=0")["totalResults"] == 5


def test_a_version_that_is_old_is_refused(strict: Provider) -> None:
    user = strict.create_user("ada@halden.example")
    strict.patch(f"Users/{user['id']}", {"op": "replace", "path": "title", "value": "Engineer"})

    answer = strict.patch(
        f"Users/{user['id']}",
        {"op": "replace", "path": "title", "value": "Lead"},
        **{"If-Match": user["meta"]["version"]},
    )

    Provider.refused(answer, 412)


def test_a_manager_who_comes_later_is_found(strict: Provider) -> None:
    ada = strict.create_user(
        "ada@halden.example", **{"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": "g-1"}}}
    )
    grace = strict.create_user("grace@halden.example", externalId="g-1")

    person = Person.objects.select_related("manager").get(scim_id=ada["id"])
    assert str(person.manager.scim_id) == grace["id"]  # type: ignore[union-attr]


def _cost(provider: Provider, act: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def test_one_member_costs_the_same_in_a_group_of_ten_and_of_two_hundred(strict: Provider) -> None:
    people = [str(strict.create_user(f"user{number}@halden.example")["id"]) for number in range(40)]
    newcomer = str(strict.create_user("new@halden.example")["id"])
    groups = [strict.create_group("small", people[:2]), strict.create_group("large", people)]
    add = {"op": "add", "path": "members", "value": [{"value": newcomer}]}
    remove = {"op": "remove", "path": f'members[value eq "{newcomer}"]'}
    strict.get("Users?count=1")  # notes that the token was used

    adding = [_cost(strict, lambda id_=group["id"]: strict.patch(f"Groups/{id_}", add)) for group in groups]
    removing = [_cost(strict, lambda id_=group["id"]: strict.patch(f"Groups/{id_}", remove)) for group in groups]

    assert adding[0] == adding[1]
    assert removing[0] == removing[1]


def test_a_page_costs_the_same_among_few_and_many(strict: Provider) -> None:
    for number in range(3):
        strict.create_user(f"user{number}@halden.example")
    few = _cost(strict, lambda: strict.get("Users?count=100"))
    for number in range(3, 30):
        strict.create_user(f"user{number}@halden.example")

    assert _cost(strict, lambda: strict.get("Users?count=100")) == few <= 6


def test_the_answer_to_one_member_is_empty(strict: Provider) -> None:
    user = strict.create_user("ada@halden.example")
    group = strict.done(strict.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Crew"}), 201)

    answer = strict.patch(f"Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": user["id"]}]})

    assert (answer.status_code, answer.content) == (204, b"")
