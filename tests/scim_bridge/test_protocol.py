"""RFC 7643 and 7644, one rule a test: the points that servers get wrong, and everything that is advertised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.identity.models import Person
from scim_bridge.storage.directory import Directory
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, PATCH, USER, Provider

LENIENT = ["default", "okta", "entra", "onelogin", "jumpcloud", "google", "ping", "authentik", "keycloak"]
CUSTOM = "urn:example:badges:1.0:User"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
NOBODY = "3f8b6a4e-1111-4222-8333-444455556666"


@pytest.fixture
def ada(strict: Provider) -> dict[str, Any]:
    return strict.create_user(
        "Ada@halden.example",
        name={"givenName": "Ada", "familyName": "Lovelace"},
        emails=[{"value": "ada@halden.example", "type": "work", "primary": True}],
        externalId="a-1",
    )


def _put(provider: Provider, user: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"schemas": [USER], "userName": user["userName"], **more}
    return provider.done(provider.ask("PUT", f"Users/{user['id']}", body), 200)


def _patched(provider: Provider, user: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    return provider.done(provider.patch(f"Users/{user['id']}", *operations), 200)


def test_a_creation_says_where_the_resource_is(strict: Provider) -> None:
    response = strict.ask("POST", "Users", {"schemas": [USER], "userName": "ada"})

    created = strict.done(response, 201)
    assert response["Location"] == response["Content-Location"] == created["meta"]["location"]
    assert response["ETag"] == created["meta"]["version"]
    assert created["meta"]["resourceType"] == "User"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_only_the_server_sets_is_ignored_when_a_client_sends_it(
    strict: Provider, ada: dict[str, Any], method: str
) -> None:
    given = {
        "schemas": [USER],
        "userName": "grace" if method == "POST" else ada["userName"],
        "id": NOBODY,
        "meta": {"created": "2001-01-01T00:00:00Z", "location": "urn:x", "version": "7", "resourceType": "Group"},
        "groups": [{"value": NOBODY}],
    }

    answer = strict.ask(method, "Users" if method == "POST" else f"Users/{ada['id']}", given)

    read = strict.done(answer, 201 if method == "POST" else 200)
    assert read["id"] != NOBODY
    assert read["meta"]["created"] > "2002"
    assert read["meta"]["location"].endswith(read["id"])
    assert "groups" not in read


@pytest.mark.parametrize("nothing", [None, []])
@pytest.mark.parametrize("dialect", ["strict", *LENIENT])
def test_null_and_the_empty_list_mean_unassigned(
    connected: Callable[..., Provider], dialect: str, nothing: Any
) -> None:
    provider = connected(dialect)
    user = provider.create_user("ada", phoneNumbers=nothing, nickName=None, emails=[{"value": "a@h.example"}])
    assert not {"phoneNumbers", "nickName"} & user.keys()

    assert "emails" not in _put(provider, user, emails=nothing)
    assert provider.find("Users", "emails pr") == []


def test_names_and_urns_ignore_letter_case_everywhere(strict: Provider) -> None:
    body = {"SCHEMAS": [USER], "USERNAME": "ada", "Name": {"GIVENNAME": "Ada"}, ENTERPRISE.upper(): {"Department": "R"}}
    user = strict.done(strict.ask("POST", "Users", body), 201)
    assert (user["userName"], user["name"], user[ENTERPRISE]) == ("ada", {"givenName": "Ada"}, {"department": "R"})

    assert strict.find("Users", f'{ENTERPRISE.lower()}:DEPARTMENT EQ "r" AND USERNAME PR')
    assert set(strict.get("Users?attributes=USERNAME&SORTBY=x&sortBy=NAME.givenname")["Resources"][0]) >= {"userName"}
    patched = _patched(strict, user, {"op": "replace", "path": f"{ENTERPRISE.upper()}:DEPARTMENT", "value": "S"})
    assert patched[ENTERPRISE] == {"department": "S"}


def test_schemas_lists_what_is_there_also_after_a_patch(strict: Provider, ada: dict[str, Any]) -> None:
    assert ada["schemas"] == [USER]

    patched = _patched(strict, ada, {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Research"})
    assert patched["schemas"] == [USER, ENTERPRISE]

    patched = _patched(strict, ada, {"op": "remove", "path": f"{ENTERPRISE}:department"})
    assert patched["schemas"] == [USER]
    assert ENTERPRISE not in patched


@pytest.mark.parametrize("dialect", LENIENT)
def test_an_unknown_extension_comes_back_as_it_was_sent(connected: Callable[..., Provider], dialect: str) -> None:
    provider = connected(dialect)
    badge = {"number": 17, "Colour": "Red", "doors": ["A", "B"], "holder": {"sinceYear": 2020}}

    user = provider.create_user("ada", schemas=[USER, CUSTOM], **{CUSTOM: badge})
    assert (user[CUSTOM], user["schemas"]) == (badge, [USER, CUSTOM])
    address = f"Users/{user['id']}"
    assert provider.get(address)[CUSTOM] == badge

    _patched(provider, user, {"op": "replace", "path": "title", "value": "Countess"})
    assert provider.get(address)[CUSTOM] == badge
    patched = _patched(provider, user, {"op": "replace", "path": f"{CUSTOM}:number", "value": 18})
    assert patched[CUSTOM] == {**badge, "number": 18}
    other = "urn:example:parking:1.0:User"
    patched = _patched(provider, user, {"op": "add", "value": {other: {"lot": "P1"}}})
    assert (patched[other], patched["schemas"]) == ({"lot": "P1"}, [USER, CUSTOM, other])

    assert provider.get(f"{address}?attributes={CUSTOM}:number")[CUSTOM] == {"number": 18}
    assert provider.get(f"{address}?attributes={CUSTOM}")[CUSTOM] == {**badge, "number": 18}
    without = provider.get(f"{address}?excludedAttributes={CUSTOM}")
    assert (CUSTOM in without, without["schemas"]) == (False, [USER, other])

    replaced = _put(provider, user, title="Lady")
    assert replaced["schemas"] == [USER]


@pytest.mark.parametrize("how", ["POST", "PATCH"])
def test_strict_refuses_an_extension_it_does_not_publish(strict: Provider, ada: dict[str, Any], how: str) -> None:
    if how == "POST":
        body = {"schemas": [USER, CUSTOM], "userName": "x", CUSTOM: {"number": 1}}
        detail = Provider.refused(strict.ask("POST", "Users", body), 400, "invalidSyntax")
    else:
        change = {"op": "add", "path": f"{CUSTOM}:number", "value": 1}
        detail = Provider.refused(strict.patch(f"Users/{ada['id']}", change), 400, "invalidPath")
    assert detail


def test_paging_by_index_forgives_and_counts(strict: Provider) -> None:
    for number in range(5):
        strict.create_user(f"user{number}")

    assert strict.get("Users?startIndex=0&count=2")["startIndex"] == 1
    assert strict.get("Users?startIndex=-7")["startIndex"] == 1
    assert (strict.get("Users?count=-1")["Resources"], strict.get("Users?count=-1")["totalResults"]) == ([], 5)
    assert strict.get("Users?count=0")["itemsPerPage"] == 0
    last = strict.get("Users?startIndex=5&count=10")
    assert (last["totalResults"], last["itemsPerPage"], len(last["Resources"])) == (5, 1, 1)
    beyond = strict.get("Users?startIndex=6")
    assert (beyond["totalResults"], beyond["itemsPerPage"], beyond["Resources"]) == (5, 0, [])


def test_pages_of_a_list_hold_everybody_once_whatever_their_size(strict: Provider) -> None:
    names = {strict.create_user(f"user{number}", title="Same")["userName"] for number in range(7)}

    for size in (1, 2, 3, 7):
        for order in ("", "&sortBy=title", "&sortBy=title&sortOrder=descending", "&filter=title%20eq%20%22Same%22"):
            pages = [strict.get(f"Users?startIndex={start}&count={size}{order}") for start in range(1, 8, size)]
            found = [user["userName"] for page in pages for user in page["Resources"]]
            assert len(found) == 7
            assert set(found) == names
            assert {page["totalResults"] for page in pages} == {7}


def test_discovery_is_lists_with_totals_and_relative_endpoints(strict: Provider) -> None:
    types = strict.get("ResourceTypes")
    assert (types["totalResults"], types["itemsPerPage"], types["startIndex"]) == (2, 2, 1)
    assert [each["endpoint"] for each in types["Resources"]] == ["/Users", "/Groups"]
    assert types["Resources"][0]["meta"]["location"].endswith("/scim/v2/ResourceTypes/User")
    assert strict.get("ResourceTypes/User") == types["Resources"][0]

    schemas = strict.get("Schemas")
    assert schemas["totalResults"] == 3
    assert {each["id"] for each in schemas["Resources"]} == {USER, GROUP, ENTERPRISE}
    assert strict.get(f"Schemas/{USER}")["id"] == USER
    assert Provider.refused(strict.ask("GET", "Schemas/urn:x"), 404)


@pytest.mark.parametrize("path", ["ServiceProviderConfig", "ResourceTypes", "Schemas", f"Schemas/{USER}"])
def test_a_filter_on_discovery_is_forbidden_and_other_parameters_are_ignored(strict: Provider, path: str) -> None:
    Provider.refused(strict.ask("GET", f"{path}?filter=id%20pr"), 403)
    assert strict.get(f"{path}?startIndex=9&count=1&aadOptscim062020=") == strict.get(path)


def test_the_configuration_advertises_what_works(strict: Provider) -> None:
    config = strict.get("ServiceProviderConfig")

    supported = {name: config[name]["supported"] for name in ("patch", "bulk", "filter", "sort", "etag")}
    assert all(supported.values())
    assert config["changePassword"] == {"supported": False}
    assert config["pagination"]["defaultPaginationMethod"] == "index"
    assert config["pagination"]["cursor"] is config["pagination"]["index"] is True
    schemes = config["authenticationSchemes"]
    assert [(each["type"], each["primary"]) for each in schemes] == [("oauthbearertoken", True), ("oauth2", False)]
    assert Client().get("/scim/v2/ServiceProviderConfig").status_code == 200
    assert Client().head("/scim/v2/ServiceProviderConfig").status_code == 200
    for address in ("Users/ServiceProviderConfig", "Schemas/ServiceProviderConfig", "x/ServiceProviderConfig/"):
        assert Client().get(f"/scim/v2/{address}").status_code == 401


def test_the_published_size_of_a_page_is_kept(strict: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    most = strict.get("ServiceProviderConfig")["filter"]["maxResults"]

    assert strict.get(f"Users?count={most + 5}")["itemsPerPage"] <= most


def test_replacing_a_complex_attribute_leaves_the_parts_that_are_not_named(
    strict: Provider, ada: dict[str, Any]
) -> None:
    patched = _patched(strict, ada, {"op": "replace", "path": "name", "value": {"familyName": "King"}})

    assert patched["name"] == {"givenName": "Ada", "familyName": "King"}


@pytest.mark.parametrize("dialect", ["strict", "default"])
def test_a_patch_is_done_whole_or_not_at_all(connected: Callable[..., Provider], dialect: str) -> None:
    provider = connected(dialect)
    user = provider.create_user("ada")

    answer = provider.patch(
        f"Users/{user['id']}",
        {"op": "replace", "path": "title", "value": "Countess"},
        {"op": "replace", "path": "userName", "value": ""},
    )

    assert answer.status_code == 400
    assert provider.get(f"Users/{user['id']}") == user


def test_id_and_schemas_are_returned_whatever_is_excluded(strict: Provider, ada: dict[str, Any]) -> None:
    read = strict.get(f"Users/{ada['id']}?excludedAttributes=id,schemas,userName,emails,meta")

    assert set(read) == {"id", "schemas", "name", "externalId", "active"}
    assert set(strict.get(f"Users/{ada['id']}?attributes=title")) == {"id", "schemas"}


def test_projection_reaches_parts_of_lists_and_extensions(strict: Provider, ada: dict[str, Any]) -> None:
    _patched(strict, ada, {"op": "add", "value": {ENTERPRISE: {"department": "R", "costCenter": "9"}}})
    address = f"Users/{ada['id']}"

    assert strict.get(f"{address}?attributes=emails.value,name.givenName") == {
        "schemas": [USER],
        "id": ada["id"],
        "emails": [{"value": "ada@halden.example"}],
        "name": {"givenName": "Ada"},
    }
    assert strict.get(f"{address}?attributes={ENTERPRISE}:department")[ENTERPRISE] == {"department": "R"}
    assert strict.get(f"{address}?attributes={USER}:userName")["userName"] == ada["userName"]
    assert strict.get(f"{address}?excludedAttributes={ENTERPRISE}:department")[ENTERPRISE] == {"costCenter": "9"}
    read = strict.get(f"{address}?excludedAttributes={ENTERPRISE},emails.type")
    assert read["schemas"] == [USER]
    assert read["emails"] == [{"value": "ada@halden.example", "primary": True}]


def test_projection_applies_to_the_answers_of_writes(strict: Provider) -> None:
    body = {"schemas": [USER], "userName": "ada", "title": "Lady"}
    created = strict.done(strict.ask("POST", "Users?attributes=title", body), 201)
    assert set(created) == {"schemas", "id", "title"}
    address = f"Users/{created['id']}"

    replaced = strict.done(strict.ask("PUT", f"{address}?excludedAttributes=meta,title", body), 200)
    assert set(replaced) == {"schemas", "id", "userName", "active"}
    patched = strict.patch(f"{address}?attributes=userName", {"op": "replace", "path": "title", "value": "x"})
    assert set(strict.done(patched, 200)) == {"schemas", "id", "userName"}
    group = strict.create_group("Crew")
    change = {"op": "add", "path": "members", "value": [{"value": created["id"]}]}
    answer = strict.done(strict.patch(f"Groups/{group['id']}?attributes=displayName", change), 200)
    assert set(answer) == {"schemas", "id", "displayName"}


def test_a_list_without_members_does_not_read_them(strict: Provider, ada: dict[str, Any]) -> None:
    strict.create_group("Crew", [ada["id"]])

    for path in ("Groups", "Groups?excludedAttributes=displayName"):
        assert strict.get(path)["Resources"][0]["members"]
    assert "members" not in strict.get("Groups?excludedAttributes=members")["Resources"][0]


@pytest.mark.parametrize("path", ["Users", "Groups"])
def test_a_put_never_creates(strict: Provider, path: str) -> None:
    body = {"schemas": [USER if path == "Users" else GROUP], "userName": "x", "displayName": "x"}
    body.pop("displayName" if path == "Users" else "userName")

    assert NOBODY in Provider.refused(strict.ask("PUT", f"{path}/{NOBODY}", body), 404)
    assert strict.get(path)["totalResults"] == 0


def test_what_was_deleted_is_gone_from_lists_and_frees_its_name(strict: Provider, ada: dict[str, Any]) -> None:
    group = strict.create_group("Crew", [ada["id"]])

    assert strict.ask("DELETE", f"Users/{ada['id']}").content == b""

    assert strict.get("Users")["totalResults"] == 0
    assert strict.get(f"Groups/{group['id']}")["members"] == []
    assert strict.create_user("ADA@halden.example")["id"] != ada["id"]


def test_the_groups_of_a_user_mirror_the_groups(strict: Provider, ada: dict[str, Any]) -> None:
    group = strict.create_group("Crew", [ada["id"]])

    listed = strict.get(f"Users/{ada['id']}")["groups"]

    assert [(each["value"], each["display"], each["type"]) for each in listed] == [(group["id"], "Crew", "direct")]
    assert listed[0]["$ref"] == group["meta"]["location"]
    assert _put(strict, ada, groups=[])["groups"] == listed
    assert strict.patch(f"Users/{ada['id']}", {"op": "remove", "path": "groups"}).status_code == 400


def test_a_password_is_taken_and_never_seen_again(strict: Provider) -> None:
    user = strict.create_user("ada", password="correct horse")

    assert "password" not in user
    assert "password" not in strict.get(f"Users/{user['id']}?attributes=password")
    for condition in ('password eq "correct horse"', "password pr"):
        answer = strict.client.get(
            "/scim/v2/Users", {"filter": condition}, headers={"Authorization": f"Bearer {strict.token}"}
        )
        Provider.refused(answer, 400, "invalidFilter")
    assert "horse" not in str(Person.objects.get().document)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_the_token_ignores_letter_case(strict: Provider, scheme: str) -> None:
    assert strict.client.get("/scim/v2/Users", headers={"Authorization": f"{scheme} {strict.token}"}).status_code == 200


def test_versions_are_entity_tags(strict: Provider, ada: dict[str, Any]) -> None:
    address = f"Users/{ada['id']}"
    tag = ada["meta"]["version"]
    assert strict.ask("GET", address)["ETag"] == tag

    same = strict.ask("GET", address, **{"If-None-Match": tag})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    assert strict.ask("GET", address, **{"If-None-Match": 'W/"0"'}).status_code == 200
    assert strict.ask("GET", address, **{"If-Match": tag}).status_code == 200

    body = {"schemas": [USER], "userName": "ada"}
    change = {"op": "replace", "path": "title", "value": "x"}
    old = {"If-Match": 'W/"99"'}
    Provider.refused(strict.ask("GET", address, **old), 412)
    Provider.refused(strict.ask("PUT", address, body, **old), 412)
    Provider.refused(strict.patch(address, change, **old), 412)
    Provider.refused(strict.ask("DELETE", address, **old), 412)
    assert strict.patch(address, change, **{"If-Match": f'"other", {tag}'}).status_code == 200
    assert strict.ask("DELETE", address, **{"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize("active", [True, False])
def test_active_that_is_removed_is_unassigned_and_the_person_stays_what_they_are(
    strict: Provider, active: bool
) -> None:
    user = strict.create_user("ada", active=active)

    patched = _patched(strict, user, {"op": "remove", "path": "active"})
    again = _put(strict, user)

    assert "active" not in patched
    assert "active" not in again
    assert Person.objects.get().is_active is active


def test_what_changes_nothing_keeps_the_version(strict: Provider, ada: dict[str, Any]) -> None:
    again = _patched(strict, ada, {"op": "replace", "path": "name.givenName", "value": "Ada"})
    assert again["meta"] == ada["meta"]

    group = strict.create_group("Crew", [ada["id"]])
    strict.patch(f"Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": ada["id"]}]})
    assert strict.get(f"Groups/{group['id']}")["meta"] == group["meta"]


def test_times_carry_a_time_zone(strict: Provider, ada: dict[str, Any]) -> None:
    for name in ("created", "lastModified"):
        assert datetime.fromisoformat(ada["meta"][name]).tzinfo is not None
    instant = ada["meta"]["created"]
    assert strict.find("Users", f'meta.created ge "{instant}" and meta.lastModified le "2100-01-01T00:00:00.1234567Z"')


def test_two_connections_may_use_the_same_external_id(connected: Callable[..., Provider]) -> None:
    first, second = connected("okta", "first"), connected("entra", "second")

    first.create_user("ada@one.example", externalId="7")
    second.create_user("ada@two.example", externalId="7")

    assert first.find("Users", 'externalId eq "7"')[0]["userName"] == "ada@one.example"
    assert second.find("Users", 'externalId eq "7"')[-1]["userName"] == "ada@two.example"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_me_is_nobody_for_a_machine(strict: Provider, method: str) -> None:
    assert "/Me" in Provider.refused(strict.ask(method, "Me", {"schemas": [USER]}), 501)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("Users", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("Users/1", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        ("Users/.search", {"OPTIONS", "POST"}),
        ("Bulk", {"OPTIONS", "POST"}),
        ("Schemas", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_an_address_tells_its_methods(strict: Provider, path: str, methods: set[str]) -> None:
    answer = strict.ask("OPTIONS", path)
    assert (answer.status_code, set(answer["Allow"].split(", "))) == (204, methods)

    refused = strict.ask("TRACE", path)
    Provider.refused(refused, 405)
    assert set(refused["Allow"].split(", ")) == methods


def test_head_is_get_without_a_body(strict: Provider, ada: dict[str, Any]) -> None:
    answer = strict.ask("HEAD", f"Users/{ada['id']}")

    assert (answer.status_code, answer.content, answer["ETag"]) == (200, b"", ada["meta"]["version"])
    assert strict.ask("HEAD", f"Users/{NOBODY}").status_code == 404
    assert strict.ask("OPTIONS", "Nowhere").status_code == 404


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/scim+json", 201),
        ("application/json; charset=utf-8", 201),
        ("", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_bodies_are_json_by_either_name(strict: Provider, content_type: str, status: int) -> None:
    answer = strict.client.generic(
        "POST",
        "/scim/v2/Users",
        b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}',
        content_type=content_type,
        headers={"Authorization": f"Bearer {strict.token}"},
    )

    Provider.done(answer, status)


def test_a_client_that_takes_json_only_gets_json(strict: Provider) -> None:
    for accept in ("application/json", "application/json, text/plain"):
        assert strict.ask("GET", "Users", Accept=accept)["Content-Type"] == "application/json"
    for accept in ("*/*", "application/scim+json, application/json", ""):
        assert strict.ask("GET", "Users", Accept=accept)["Content-Type"] == "application/scim+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_write_without_a_body_says_so(strict: Provider, ada: dict[str, Any], method: str) -> None:
    address = "Users" if method == "POST" else f"Users/{ada['id']}"

    assert "body" in Provider.refused(strict.ask(method, address), 400, "invalidSyntax")


def _search(provider: Provider, path: str, **asked: Any) -> dict[str, Any]:
    return provider.done(provider.ask("POST", f"{path}.search", {"schemas": [SEARCH], **asked}), 200)


def test_a_search_with_a_body_is_a_search_with_a_query(strict: Provider) -> None:
    for number in range(4):
        strict.create_user(f"user{number}", title="Even" if number % 2 == 0 else "Odd")

    by_body = _search(
        strict,
        "Users/",
        filter='title eq "even"',
        sortBy="userName",
        sortOrder="descending",
        startIndex=1,
        count=1,
        attributes=["userName"],
    )
    by_query = strict.get(
        "Users?filter=title+eq+%22even%22&sortBy=userName&sortOrder=descending&startIndex=1&count=1&attributes=userName"
    )

    assert by_body == by_query
    assert by_body["totalResults"] == 2
    assert [each["userName"] for each in by_body["Resources"]] == ["user2"]


@pytest.mark.parametrize("dialect", ["strict", "default"])
def test_a_search_over_everything_is_filtered_sorted_and_paged_as_one(
    connected: Callable[..., Provider], dialect: str
) -> None:
    provider = connected(dialect)
    people = [provider.create_user(name, displayName=name)["id"] for name in ("Delta", "Alfa")]
    groups = [provider.create_group(name)["id"] for name in ("Charlie", "Bravo")]

    everything = _search(provider, "")
    assert [each["id"] for each in everything["Resources"]] == [*people, *groups]
    assert provider.get("")["totalResults"] == 4
    assert _search(provider, "", filter='displayName sw "b"')["totalResults"] == 1
    assert _search(provider, "", filter='userName pr or displayName eq "Bravo"')["totalResults"] == 3
    assert _search(provider, "", filter='not (userName eq "Alfa")')["totalResults"] == 1
    assert _search(provider, "", filter='meta.resourceType eq "Group"')["totalResults"] == 2

    pages = [_search(provider, "", sortBy="displayName", startIndex=n, count=2) for n in (1, 3)]
    assert [each["displayName"] for page in pages for each in page["Resources"]] == [
        "Alfa",
        "Bravo",
        "Charlie",
        "Delta",
    ]
    assert {page["totalResults"] for page in pages} == {4}
    down = _search(provider, "", sortBy="displayName", sortOrder="descending")
    assert [each["displayName"] for each in down["Resources"]] == ["Delta", "Charlie", "Bravo", "Alfa"]
    some = _search(provider, "", sortBy="userName")
    assert [each["id"] for each in some["Resources"]] == [people[1], people[0], *groups]


@pytest.mark.parametrize(
    ("query", "status", "scim_type"),
    [
        ("sortBy=shoeSize", 400, "invalidPath"),
        ("sortBy=name", 400, "invalidPath"),
        ("sortBy=password", 400, "invalidPath"),
        ("sortBy=groups.value", 400, "invalidValue"),
        ("sortOrder=sideways", 400, "invalidValue"),
        ("count=many", 400, "invalidValue"),
        ("startIndex=1.5", 400, "invalidValue"),
        ("startIndex=99999999999999999999", 200, None),
        ("count=99999999999999999999", 200, None),
        ("attributes=userName&excludedAttributes=title", 400, "invalidValue"),
        ("unknown=parameter", 200, None),
    ],
)
def test_a_search_out_of_order_is_refused_by_name(
    strict: Provider, query: str, status: int, scim_type: str | None
) -> None:
    strict.create_user("ada")

    answer = strict.ask("GET", f"Users?{query}")

    assert answer.status_code == status, answer.content
    if status != 200:
        Provider.refused(answer, status, scim_type)


@pytest.mark.parametrize("path", ["Users/1/2", "Users/.search/x", "users", "USERS", "schemas", "Bulk/1"])
def test_an_address_that_is_none_is_a_scim_error(strict: Provider, path: str) -> None:
    answer = strict.ask("GET", path)

    if path in ("users", "USERS"):
        assert answer.status_code == 200
    else:
        Provider.refused(answer, 404)


def test_patch_without_operations_is_refused(strict: Provider, ada: dict[str, Any]) -> None:
    for body in ({"schemas": [PATCH]}, {"schemas": [PATCH], "Operations": []}, {"schemas": [PATCH], "Operations": {}}):
        answer = strict.ask("PATCH", f"Users/{ada['id']}", body)
        assert answer.status_code == 400, answer.content


@pytest.mark.parametrize(
    ("failure", "status", "header"),
    [
        (OperationalError("connection to server at 10.0.0.1 failed"), 503, ("Retry-After", "5")),
        (RuntimeError("the secret is hunter2"), 500, None),
    ],
)
def test_what_goes_wrong_here_is_a_scim_error_that_tells_nothing_of_the_inside(
    strict: Provider,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    header: tuple[str, str] | None,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(Directory, "found", fail)

    answer = strict.ask("GET", "Users")

    detail = Provider.refused(answer, status)
    assert not {"hunter2", "10.0.0.1"} & set(detail.split())
    assert header is None or answer[header[0]] == header[1]


def _statements(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    return [each["sql"] for each in captured if "SAVEPOINT" not in each["sql"]]


def test_reads_cost_few_statements_and_no_transaction(strict: Provider, ada: dict[str, Any]) -> None:
    strict.create_group("Crew", [ada["id"]])
    address = f"/scim/v2/Users?filter=userName%20eq%20%22{ada['userName']}%22"
    strict.get("Users")  # notes that the token was used

    with CaptureQueriesContext(connection) as captured:
        strict.get(f"Users/{ada['id']}")
    assert len(captured) <= 3, "the token, the user, the groups"
    assert not any("SAVEPOINT" in each["sql"] for each in captured)
    assert len(_statements(lambda: strict.get("Users?count=100"))) <= 4
    assert len(_statements(lambda: strict.get("Groups?excludedAttributes=members"))) <= 2
    found = _statements(lambda: strict.client.get(address, headers={"Authorization": f"Bearer {strict.token}"}))
    assert len(found) <= 3


def test_one_member_costs_few_statements(strict: Provider, ada: dict[str, Any]) -> None:
    grace = strict.create_user("grace")
    group = strict.create_group("Crew", [grace["id"]])
    address = f"Groups/{group['id']}"
    strict.get("Users")

    add = {"op": "add", "path": "members", "value": [{"value": ada["id"]}]}
    remove = {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'}
    costs = [len(_statements(lambda change=change: strict.patch(address, change))) for change in (add, remove, remove)]

    assert max(costs) <= 8
