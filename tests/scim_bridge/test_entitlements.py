"""Entitlements and roles as read-only resources, as Okta's "SCIM with entitlements" reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.catalog.actions import add_entitlement
from governance.catalog.models import Application, Entitlement, EntitlementKind
from governance.core.clock import now
from scim_bridge.catalogue import ENTITLEMENT, ROLE
from tests import cast
from tests.scim_bridge.conftest import Provider

LENIENT = ["default", "okta", "entra"]


@pytest.fixture
def snowflake(db: None) -> Application:
    return cast.add_application("Snowflake")


@pytest.fixture
def things(snowflake: Application) -> dict[str, Entitlement]:
    github = cast.add_application("GitHub")
    made = {}
    for application, name, kind in (
        (snowflake, "Analyst", EntitlementKind.ROLE),
        (snowflake, "Warehouse XL", EntitlementKind.PERMISSION),
        (github, "Seat", EntitlementKind.LICENCE),
        (github, "Admin", EntitlementKind.ROLE),
        (github, "Writers", EntitlementKind.GROUP),
    ):
        made[name] = add_entitlement(
            application,
            name=name,
            kind=kind.value,
            target_ref=name.lower(),
            sentence=f"Lets somebody use {name}.",
            actor=cast.TESTING,
        )
    return made


def _names(page: dict[str, Any]) -> list[str]:
    return [each["displayName"] for each in page["Resources"]]


@pytest.mark.parametrize("dialect", LENIENT)
def test_both_types_are_published_with_their_schemas(connected: Callable[..., Provider], dialect: str) -> None:
    provider = connected(dialect)

    types = {each["schema"]: each["endpoint"] for each in provider.get("ResourceTypes")["Resources"]}

    assert (types[ENTITLEMENT], types[ROLE]) == ("/Entitlements", "/Roles")
    schema = provider.get(f"Schemas/{ENTITLEMENT}")
    assert {each["name"]: each["mutability"] for each in schema["attributes"]} == dict.fromkeys(
        ("displayName", "type", "description"), "readOnly"
    )
    assert provider.get(f"Schemas/{ROLE}")["name"] == "Role"
    assert provider.get("Schemas")["totalResults"] == 5


def test_strict_does_not_offer_them_and_says_so_nowhere(strict: Provider, things: dict[str, Entitlement]) -> None:
    for path in ("Roles", "Entitlements", f"Roles/entitlement-{things['Admin'].pk}", f"Schemas/{ROLE}"):
        Provider.refused(strict.ask("GET", path), 404)
    assert strict.get("")["totalResults"] == 0


def test_roles_are_roles_and_everything_else_is_an_entitlement(okta: Provider, things: dict[str, Entitlement]) -> None:
    assert _names(okta.get("Roles")) == ["Snowflake: Analyst", "GitHub: Admin"]
    listed = okta.get("Entitlements?startIndex=1&count=100")
    assert (listed["totalResults"], listed["startIndex"], listed["itemsPerPage"]) == (3, 1, 3)
    assert _names(listed) == ["Snowflake: Warehouse XL", "GitHub: Seat", "GitHub: Writers"]

    seat = listed["Resources"][1]
    assert seat["schemas"] == [ENTITLEMENT]
    assert (seat["type"], seat["description"]) == ("Licence", "Lets somebody use Seat.")
    assert seat["id"] == f"entitlement-{things['Seat'].pk}"
    assert seat["meta"]["location"].endswith(f"/scim/v2/Entitlements/{seat['id']}")


def test_one_is_read_by_its_id_with_a_version(okta: Provider, things: dict[str, Entitlement]) -> None:
    address = f"Roles/entitlement-{things['Admin'].pk}"

    response = okta.ask("GET", address)
    read = okta.done(response, 200)

    assert (read["displayName"], read["meta"]["resourceType"]) == ("GitHub: Admin", "Role")
    assert response["ETag"] == read["meta"]["version"]
    assert okta.ask("GET", address, **{"If-None-Match": response["ETag"]}).status_code == 304
    assert set(okta.get(f"{address}?attributes=type")) == {"schemas", "id", "type"}


@pytest.mark.parametrize("id_", ["1", "entitlement-", "entitlement-0", "entitlement-01", "entitlement-9e9", "x" * 400])
def test_an_id_that_is_none_is_not_found(okta: Provider, things: dict[str, Entitlement], id_: str) -> None:
    Provider.refused(okta.ask("GET", f"Roles/{id_}"), 404)


def test_one_is_not_found_among_the_other_type(okta: Provider, things: dict[str, Entitlement]) -> None:
    Provider.refused(okta.ask("GET", f"Entitlements/entitlement-{things['Admin'].pk}"), 404)


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ('displayName eq "github: SEAT"', ["GitHub: Seat"]),
        ('displayName sw "GitHub"', ["GitHub: Seat", "GitHub: Writers"]),
        ('type eq "licence"', ["GitHub: Seat"]),
        ('not (type eq "Licence") and displayName co "w"', ["Snowflake: Warehouse XL", "GitHub: Writers"]),
        ('description co "writers" or type eq "Permission"', ["Snowflake: Warehouse XL", "GitHub: Writers"]),
        ('displayName ew "\' OR 1=1 --"', []),
        ('displayName co "%"', []),
        ("externalId pr", []),
        ('meta.created gt "2020-01-01T00:00:00Z" and type eq "Group"', ["GitHub: Writers"]),
        ('meta.resourceType eq "Entitlement" and type eq "Group"', ["GitHub: Writers"]),
    ],
)
def test_they_are_filtered_like_everything(
    okta: Provider, things: dict[str, Entitlement], condition: str, names: list[str]
) -> None:
    assert [each["displayName"] for each in okta.find("Entitlements", condition)] == names


def test_one_is_found_by_its_id(okta: Provider, things: dict[str, Entitlement]) -> None:
    id_ = f"entitlement-{things['Seat'].pk}"

    assert [each["id"] for each in okta.find("Entitlements", f'id eq "{id_}"')] == [id_]


@pytest.mark.parametrize("condition", ['userName eq "x"', 'target_ref eq "x"', 'displayName["x"]', "schemas pr"])
def test_a_filter_by_what_they_do_not_have_is_refused(okta: Provider, condition: str) -> None:
    answer = okta.client.get(
        "/scim/v2/Entitlements", {"filter": condition}, headers={"Authorization": f"Bearer {okta.token}"}
    )
    Provider.refused(answer, 400, "invalidFilter")


def test_they_are_sorted_and_paged(okta: Provider, things: dict[str, Entitlement]) -> None:
    by_name = _names(okta.get("Entitlements?sortBy=displayName"))
    assert by_name == ["GitHub: Seat", "GitHub: Writers", "Snowflake: Warehouse XL"]
    assert _names(okta.get("Entitlements?sortBy=displayName&startIndex=2&count=1")) == by_name[1:2]

    first = okta.get("Entitlements?sortBy=displayName&count=2&cursor=")
    second = okta.get(f"Entitlements?sortBy=displayName&count=2&cursor={first['nextCursor']}")
    assert [*_names(first), *_names(second)] == by_name


def test_a_search_over_everything_finds_them_too(okta: Provider, things: dict[str, Entitlement]) -> None:
    okta.create_user("ada", displayName="Ada")

    assert okta.get("")["totalResults"] == 6
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "sortBy": "displayName"}
    found = okta.done(okta.ask("POST", ".search", {**body, "filter": 'type eq "Role" or userName pr'}), 200)
    assert _names(found) == ["Ada", "GitHub: Admin", "Snowflake: Analyst"]
    found = okta.done(okta.ask("POST", ".search", {**body, "filter": 'displayName sw "GitHub: S"'}), 200)
    assert _names(found) == ["GitHub: Seat"]


@pytest.mark.parametrize("change", ["retired", "not requestable", "application retired"])
def test_what_cannot_be_requested_is_not_listed(okta: Provider, things: dict[str, Entitlement], change: str) -> None:
    seat = things["Seat"]
    match change:
        case "retired":
            Entitlement.objects.filter(pk=seat.pk).update(retired_at=now())
        case "not requestable":
            Entitlement.objects.filter(pk=seat.pk).update(is_requestable=False)
        case _:
            Application.objects.filter(pk=seat.application_id).update(retired_at=now())

    assert "GitHub: Seat" not in _names(okta.get("Entitlements"))
    Provider.refused(okta.ask("GET", f"Entitlements/entitlement-{seat.pk}"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "Roles"), ("PUT", "Roles/{}"), ("PATCH", "Roles/{}"), ("DELETE", "Roles/{}"), ("POST", "Entitlements")],
)
def test_nothing_writes_them(okta: Provider, things: dict[str, Entitlement], method: str, path: str) -> None:
    address = path.format(f"entitlement-{things['Admin'].pk}")

    answer = okta.ask(method, address, {"schemas": [ROLE], "displayName": "Root"})

    Provider.refused(answer, 405)
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert Entitlement.objects.get(pk=things["Admin"].pk).name == "Admin"


def test_nothing_writes_them_in_bulk_either(okta: Provider, things: dict[str, Entitlement]) -> None:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "DELETE", "path": f"/Roles/entitlement-{things['Admin'].pk}"},
            {"method": "POST", "path": "/Entitlements", "bulkId": "a", "data": {"schemas": [ENTITLEMENT]}},
        ],
    }

    answer = okta.done(okta.ask("POST", "Bulk", body), 200)

    assert [each["status"] for each in answer["Operations"]] == ["405", "405"]
