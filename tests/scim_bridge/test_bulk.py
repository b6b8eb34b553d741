"""Bulk (RFC 7644 §3.7): many operations in one request, each on its own, with references between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings

from governance.identity.models import Group, Person, Status
from scim_bridge.engine.offers import MAX_OPERATIONS
from scim_bridge.engine.plan import BulkOperation, BulkRequest
from tests.scim_bridge.conftest import ENTERPRISE, ERROR, GROUP, PATCH, USER, Provider

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
Operation = dict[str, Any]


def _user(bulk_id: str, name: str, **more: Any) -> Operation:
    data = {"schemas": [USER], "userName": name, **more}
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data}


def _managed(bulk_id: str, name: str, manager: str) -> Operation:
    return _user(bulk_id, name, schemas=[USER, ENTERPRISE], **{ENTERPRISE: {"manager": {"value": manager}}})


def _group(bulk_id: str, name: str, *members: str) -> Operation:
    data = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


def _patch(path: str, *operations: Operation, **more: Any) -> Operation:
    return {"method": "PATCH", "path": path, "data": {"schemas": [PATCH], "Operations": list(operations)}, **more}


def _sent(provider: Provider, *operations: Operation, **more: Any) -> list[dict[str, Any]]:
    body = provider.done(provider.ask("POST", "Bulk", {"schemas": [BULK], "Operations": operations, **more}), 200)
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]
    outcomes: list[dict[str, Any]] = body["Operations"]
    return outcomes


def _statuses(outcomes: list[dict[str, Any]]) -> list[str]:
    return [outcome["status"] for outcome in outcomes]


def _id(outcome: dict[str, Any]) -> str:
    return str(outcome["location"]).rpartition("/")[2]


@pytest.mark.parametrize("dialect", ["strict", "okta", "entra", "default"])
def test_every_method_is_an_operation_and_says_where_and_which_version(
    connected: Callable[..., Provider], dialect: str
) -> None:
    provider = connected(dialect)
    ada = provider.create_user("ada@halden.example")
    grace = provider.create_user("grace@halden.example")

    outcomes = _sent(
        provider,
        _user("new", "linus@halden.example"),
        {
            "method": "PUT",
            "path": f"/Users/{ada['id']}",
            "data": {"schemas": [USER], "userName": "ada.l@halden.example"},
        },
        _patch(f"/Users/{grace['id']}", {"op": "replace", "path": "title", "value": "Admiral"}),
        {"method": "DELETE", "path": f"/Users/{grace['id']}"},
    )

    assert _statuses(outcomes) == ["201", "200", "200", "204"]
    assert [outcome["method"] for outcome in outcomes] == ["POST", "PUT", "PATCH", "DELETE"]
    assert outcomes[0]["bulkId"] == "new"
    created = provider.ask("GET", f"Users/{_id(outcomes[0])}")
    assert (created["ETag"], created["Content-Location"]) == (outcomes[0]["version"], outcomes[0]["location"])
    assert provider.get(f"Users/{ada['id']}")["userName"] == "ada.l@halden.example"
    provider.refused(provider.ask("GET", f"Users/{grace['id']}"), 404)
    assert Person.objects.get(user_name="grace@halden.example").status == Status.LEFT


def test_a_group_may_name_members_that_the_same_request_creates_before_or_after_it(strict: Provider) -> None:
    outcomes = _sent(
        strict,
        _user("a", "ada@halden.example"),
        _group("g", "Engineers", "bulkId:a", "bulkId:b"),
        _user("b", "grace@halden.example"),
    )

    assert _statuses(outcomes) == ["201", "201", "201"]
    members = strict.get(f"Groups/{_id(outcomes[1])}")["members"]
    assert {member["value"] for member in members} == {_id(outcomes[0]), _id(outcomes[2])}


def test_references_stand_in_addresses_and_in_the_paths_and_values_of_a_patch(strict: Provider) -> None:
    ada = strict.create_user("ada@halden.example")
    group = strict.create_group("Engineers", [ada["id"]])

    outcomes = _sent(
        strict,
        _patch("/Groups/bulkId:g", {"op": "add", "path": "members", "value": [{"value": "bulkId:b"}]}),
        _group("g", "Crew", ada["id"]),
        _user("b", "grace@halden.example"),
        _patch("/Groups/bulkId:g", {"op": "remove", "path": 'members[value eq "bulkId:b"]'}),
        {"method": "DELETE", "path": "/Users/bulkId:b"},
        {"method": "DELETE", "path": f"/Groups/{group['id']}"},
    )

    assert _statuses(outcomes) == ["200", "201", "201", "200", "204", "204"]
    assert [member["value"] for member in strict.get(f"Groups/{_id(outcomes[1])}")["members"]] == [ada["id"]]
    assert outcomes[4]["location"].endswith(f"/Users/{_id(outcomes[2])}")


def test_a_manager_may_be_somebody_the_same_request_creates(strict: Provider) -> None:
    outcomes = _sent(strict, _managed("a", "ada@halden.example", "bulkId:g"), _user("g", "grace@halden.example"))

    assert _statuses(outcomes) == ["201", "201"]
    assert strict.get(f"Users/{_id(outcomes[0])}")[ENTERPRISE]["manager"]["value"] == _id(outcomes[1])


@pytest.mark.parametrize("dialect", ["strict", "entra"])
def test_two_who_manage_each_other_are_both_created_and_completed(
    connected: Callable[..., Provider], dialect: str
) -> None:
    provider = connected(dialect)

    outcomes = _sent(
        provider,
        _managed("a", "ada@halden.example", "bulkId:b"),
        _managed("b", "grace@halden.example", "bulkId:a"),
        _group("g", "Crew", "bulkId:a", "bulkId:b"),
    )

    assert _statuses(outcomes) == ["201", "201", "201"]
    ada, grace = (provider.get(f"Users/{_id(outcome)}") for outcome in outcomes[:2])
    assert ada[ENTERPRISE]["manager"]["value"] == grace["id"]
    assert grace[ENTERPRISE]["manager"]["value"] == ada["id"]
    assert [outcome["version"] for outcome in outcomes[:2]] == [ada["meta"]["version"], grace["meta"]["version"]]
    assert len(provider.get(f"Groups/{_id(outcomes[2])}")["members"]) == 2


def test_a_circle_through_a_read_only_attribute_is_no_obstacle(strict: Provider) -> None:
    outcomes = _sent(
        strict,
        _user("a", "ada@halden.example", groups=[{"value": "bulkId:g"}]),
        _group("g", "Crew", "bulkId:a"),
    )

    assert _statuses(outcomes) == ["201", "201"]
    assert [group["value"] for group in strict.get(f"Users/{_id(outcomes[0])}")["groups"]] == [_id(outcomes[1])]


def test_a_circle_stands_or_falls_as_one(strict: Provider) -> None:
    strict.create_user("grace@halden.example")

    outcomes = _sent(
        strict,
        _managed("a", "ada@halden.example", "bulkId:b"),
        _managed("b", "grace@halden.example", "bulkId:a"),
        _user("c", "linus@halden.example"),
    )

    assert _statuses(outcomes) == ["409", "409", "201"]
    assert "already taken" in outcomes[1]["response"]["detail"]
    assert outcomes[1]["response"]["scimType"] == "uniqueness"
    assert "bulkId b" in outcomes[0]["response"]["detail"]
    assert not Person.objects.filter(user_name="ada@halden.example").exists()


def test_one_that_fails_takes_nothing_else_with_it(strict: Provider) -> None:
    strict.create_user("ada@halden.example")

    outcomes = _sent(
        strict,
        _user("a", "ADA@halden.example"),
        _user("b", "grace@halden.example"),
        _group("g", "Crew", "bulkId:a"),
        _group("h", "Others", "bulkId:b", "bulkId:nobody"),
        _patch("/Users/3f8b6a4e-1111-4222-8333-444455556666", {"op": "replace", "path": "title", "value": "x"}),
    )

    assert _statuses(outcomes) == ["409", "201", "409", "409", "404"]
    failed = outcomes[0]
    assert "location" not in failed
    assert failed["response"]["schemas"] == [ERROR]
    assert (failed["response"]["status"], failed["response"]["scimType"]) == ("409", "uniqueness")
    assert outcomes[4]["location"].endswith("/Users/3f8b6a4e-1111-4222-8333-444455556666")
    assert not Group.objects.exists()


@pytest.mark.parametrize(
    ("limit", "statuses"), [(1, ["409"]), (2, ["409", "201", "400"]), (5, ["409", "201", "400", "201"])]
)
def test_after_so_many_errors_the_rest_is_left_alone(strict: Provider, limit: int, statuses: list[str]) -> None:
    strict.create_user("ada@halden.example")

    outcomes = _sent(
        strict,
        _user("a", "ada@halden.example"),
        _user("b", "grace@halden.example"),
        _user("c", "linus@halden.example", active="perhaps"),
        _user("d", "sam@halden.example"),
        failOnErrors=limit,
    )

    assert _statuses(outcomes) == statuses
    assert Person.objects.count() == 1 + statuses.count("201")


@pytest.mark.parametrize(
    ("operation", "status", "word"),
    [
        ({"method": "POST", "path": "/Users", "data": {"schemas": [USER], "userName": "x"}}, "400", "bulkId"),
        ({"method": "GET", "path": "/Users"}, "400", "method"),
        ({"method": "POST", "bulkId": "a", "data": {}}, "400", "path"),
        ({"method": "PUT", "path": "/Users/1"}, "400", "data"),
        ({"method": "POST", "path": "/Nowhere", "bulkId": "a", "data": {}}, "404", "Nowhere"),
        ({"method": "POST", "path": "/Bulk", "bulkId": "a", "data": {}}, "400", "path"),
        ({"method": "POST", "path": "/Me", "bulkId": "a", "data": {}}, "400", "path"),
        ({"method": "DELETE", "path": "/Users"}, "405", "method"),
        ("nonsense", "400", "object"),
    ],
)
def test_an_operation_out_of_order_is_answered_in_its_place(
    strict: Provider, operation: Any, status: str, word: str
) -> None:
    outcomes = _sent(strict, operation, _user("ok", "ada@halden.example"))

    assert _statuses(outcomes) == [status, "201"]
    assert word in outcomes[0]["response"]["detail"]


def test_the_same_bulk_id_twice_is_refused_the_second_time(strict: Provider) -> None:
    outcomes = _sent(strict, _user("a", "ada@halden.example"), _user("a", "grace@halden.example"))

    assert _statuses(outcomes) == ["201", "400"]


def test_a_version_that_is_old_is_refused(strict: Provider) -> None:
    ada = strict.create_user("ada@halden.example")
    change = {"op": "replace", "path": "title", "value": "Countess"}
    strict.patch(f"Users/{ada['id']}", {"op": "replace", "path": "title", "value": "Lady"})

    outcomes = _sent(strict, _patch(f"/Users/{ada['id']}", change, version=ada["meta"]["version"]))

    assert _statuses(outcomes) == ["412"]


def test_a_dialect_holds_inside_bulk_too(entra: Provider) -> None:
    ada = entra.create_user("ada@halden.example")

    outcomes = _sent(entra, _patch(f"/Users/{ada['id']}", {"op": "Replace", "path": "active", "value": "False"}))

    assert _statuses(outcomes) == ["200"]
    assert Person.objects.get(scim_id=ada["id"]).status == Status.LEFT


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ([], 400, "invalidSyntax"),
        ({"schemas": [BULK]}, 400, "invalidSyntax"),
        ({"schemas": [BULK], "Operations": []}, 400, "invalidSyntax"),
        ({"Operations": [_user("a", "a")]}, 400, "invalidValue"),
        ({"schemas": [BULK], "Operations": [_user("a", "a")], "failOnErrors": 0}, 400, "invalidValue"),
        ({"schemas": [BULK], "Operations": [{}] * (MAX_OPERATIONS + 1)}, 413, None),
    ],
)
def test_a_request_out_of_order_is_refused_whole(
    strict: Provider, body: Any, status: int, scim_type: str | None
) -> None:
    Provider.refused(strict.ask("POST", "Bulk", body), status, scim_type)

    assert not Person.objects.exists()


def test_the_published_limits_are_true_and_larger_than_for_other_requests(
    strict: Provider, settings: LazySettings
) -> None:
    published = strict.get("ServiceProviderConfig")["bulk"]
    assert published == {"supported": True, "maxOperations": 1000, "maxPayloadSize": settings.SCIM_MAX_BULK_BYTES}
    assert settings.SCIM_MAX_BULK_BYTES > settings.SCIM_MAX_BODY_BYTES
    settings.SCIM_MAX_BODY_BYTES, settings.SCIM_MAX_BULK_BYTES = 500, 1000

    within = {"schemas": [BULK], "Operations": [_user("a", "ada@halden.example", title="x" * 150)], "x": "y" * 400}

    assert strict.ask("POST", "Bulk", within).status_code == 200
    assert "1000 bytes" in Provider.refused(strict.ask("POST", "Bulk", {**within, "x": "y" * 1000}), 413)
    assert "500 bytes" in Provider.refused(strict.ask("POST", "Users", within), 413)


@pytest.fixture
def entra(connected: Callable[..., Provider]) -> Provider:
    return connected("entra")


def _planned(*operations: Operation) -> list[tuple[int, ...]]:
    return list(BulkRequest([BulkOperation.read(each) for each in operations]).steps())


@pytest.mark.parametrize(
    ("references", "steps"),
    [
        ({}, [(0,), (1,), (2,)]),
        ({0: [2]}, [(2,), (0,), (1,)]),
        ({0: [1], 1: [2]}, [(2,), (1,), (0,)]),
        ({0: [1], 1: [0]}, [(0, 1), (2,)]),
        ({0: [1], 1: [2], 2: [0]}, [(0, 1, 2)]),
        ({0: [1], 1: [2], 2: [1]}, [(1, 2), (0,)]),
        ({1: [1]}, [(0,), (1,), (2,)]),
    ],
)
def test_what_is_referred_to_comes_first_and_a_circle_together(
    references: dict[int, list[int]], steps: list[tuple[int, ...]]
) -> None:
    operations = [_group(str(n), f"g{n}", *(f"bulkId:{m}" for m in references.get(n, []))) for n in range(3)]

    assert _planned(*operations) == steps


def test_a_long_chain_of_references_does_not_exhaust_the_stack() -> None:
    chain = [_group(str(n), f"g{n}", f"bulkId:{n + 1}") for n in range(5000)]

    assert _planned(*chain) == [(n,) for n in reversed(range(5000))]
