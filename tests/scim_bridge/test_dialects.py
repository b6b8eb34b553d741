"""The dialects at the real door, beyond the providers' own stories: filters, secrets, and whatever anybody may send."""

from __future__ import annotations

import logging
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SCIMException

from governance.identity.models import Person
from governance.ledger.models import Pending
from scim_bridge.dialects.policies import DIALECTS
from scim_bridge.members import split_operations
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, PATCH, USER, Provider

LENIENT = [name for name in DIALECTS if name != "strict"]


@pytest.fixture
def anybody(connected: Callable[..., Provider]) -> Provider:
    """Return a provider that is not listed."""
    return connected("default")


@pytest.fixture
def people(anybody: Provider) -> dict[str, str]:
    """Return the ids of Ada (everything said) and Grace (nothing said)."""
    grace = anybody.create_user("grace@halden.example")
    ada = anybody.create_user(
        "ada@halden.example",
        externalId="Ext-1",
        title="Countess",
        emails=[{"value": "ada@halden.example", "type": "work", "primary": "True"}],
        roles=[{"value": "Admin", "primary": "true"}],
        **{ENTERPRISE: {"manager": grace["id"], "employeeNumber": "0007"}},
    )
    return {"ada": ada["id"], "grace": grace["id"]}


@pytest.mark.parametrize(
    "condition",
    [
        'userName eq "ADA@halden.example"',
        'username Eq "ada@halden.example"',
        'externalId eq "Ext-1"',
        'emails[type eq "work"].value eq "ada@halden.example"',
        'emails.value eq "ada@halden.example"',
        'emails[value eq "ada@halden.example"]',
        'emails eq "ada@halden.example"',
        f'{ENTERPRISE}:employeeNumber eq "0007"',
        f'{ENTERPRISE.upper()}:EMPLOYEENUMBER eq "0007"',
        'id eq "{ada}" and manager eq "{grace}"',
        'manager.value eq "{grace}"',
        'roles[primary eq "True"].value eq "Admin"',
        'active eq "true" and title pr',
        'title eq "countess" or userName eq "nobody" and userName eq "no"',
        'title pr and (meta.created ge "2001-01-01T00:00:00.1234567Z" and meta.created le "2999-01-01T00:00:00.0Z")',
    ],
)
def test_a_filter_that_a_provider_sends_finds_exactly_whom_it_means(
    anybody: Provider, people: dict[str, str], condition: str
) -> None:
    for name, id_ in people.items():
        condition = condition.replace(f"{{{name}}}", id_)

    assert [user["id"] for user in anybody.find("Users", condition)] == [people["ada"]]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "condition",
    [
        'externalId eq "ext-1"',
        'externalId eq ""',
        'title eq ""',
        'userName eq ""',
        'userName eq "ada%"',
        'userName co "_da"',
        'emails[type eq "home"].value eq "ada@halden.example"',
        'active eq "false"',
        'manager eq "nobody"',
        'manager eq ""',
    ],
)
def test_a_filter_that_matches_nobody_is_an_empty_list(anybody: Provider, condition: str) -> None:
    assert anybody.find("Users", condition) == []


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "condition",
    ['email Co "x"', 'not (email eq "x")', 'userName eq "x" or unheardOf pr', 'active eq "perhaps"', 'userName eq "x'],
)
def test_an_attribute_that_does_not_exist_is_refused_and_never_widens(
    connected: Callable[..., Provider], name: str, condition: str
) -> None:
    provider = connected(name, f"the {name} one")
    answer = provider.client.get(
        "/scim/v2/Users", {"filter": condition}, headers={"Authorization": f"Bearer {provider.token}"}
    )

    provider.refused(answer, 400, "invalidFilter")


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.parametrize(
    "key", ["password", "PASSWORD", f"{USER}:password", "urn:ietf:params:scim:schemas:core:2.0:user:Password"]
)
def test_a_password_is_accepted_and_kept_nowhere(
    connected: Callable[..., Provider], caplog: pytest.LogCaptureFixture, name: str, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = connected(name)

    created = provider.create_user("ada@halden.example", **{key: "hush-hush"})
    body = {"schemas": [USER], "userName": "ada", USER: {"password": "hush-hush"}}
    put = provider.done(provider.ask("PUT", f"Users/{created['id']}", body), 200)
    patched = provider.patch(f"Users/{created['id']}", {"op": "replace", "value": {key: "hush-hush", "title": "T"}})

    kept = [created, put, provider.done(patched, 200), Person.objects.get().document, caplog.text]
    kept += [entry.body for entry in Pending.objects.all()]
    assert "hush-hush" not in str(kept)


@pytest.mark.parametrize("name", LENIENT)
def test_a_new_primary_takes_the_place_of_the_old_one(connected: Callable[..., Provider], name: str) -> None:
    provider = connected(name)
    old = {"value": "old@halden.example", "type": "home", "primary": True}
    ada = provider.create_user("ada@halden.example", emails=[old])

    new = {"value": "new@halden.example", "type": "work", "primary": True}
    answer = provider.done(provider.patch(f"Users/{ada['id']}", {"op": "Add", "path": "emails", "value": [new]}), 200)

    assert [(email["value"], email["primary"]) for email in answer["emails"]] == [
        ("old@halden.example", False),
        ("new@halden.example", True),
    ]
    assert Person.objects.get().email == "new@halden.example"


@pytest.mark.parametrize("name", LENIENT)
def test_a_patch_is_all_or_nothing(connected: Callable[..., Provider], name: str) -> None:
    provider = connected(name)
    ada = provider.create_user("ada@halden.example", title="Countess")

    answer = provider.patch(
        f"Users/{ada['id']}",
        {"op": "replace", "path": "title", "value": "Lady"},
        {"op": "add", "path": "unheardOf", "value": "x"},
        {"op": "remove", "path": "userName"},
    )

    provider.refused(answer, 400, "mutability")
    assert provider.get(f"Users/{ada['id']}") == ada


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.parametrize("listed", [["{ada}"], [{"value": "{ada}"}], {"value": "{ada}"}, "{ada}", []], ids=str)
def test_removing_listed_members_never_removes_others(
    connected: Callable[..., Provider], name: str, listed: Any
) -> None:
    provider = connected(name)
    ada, grace = (provider.create_user(f"{each}@halden.example")["id"] for each in ("ada", "grace"))
    group = provider.create_group("Engineers", [ada, grace])
    value = _filled(listed, ada)

    assert (
        provider.patch(f"Groups/{group['id']}", {"op": "Remove", "path": "members", "value": value}).status_code == 204
    )

    left = {member["value"] for member in provider.get(f"Groups/{group['id']}")["members"]}
    assert left == ({grace} if listed else {ada, grace})


def _filled(listed: Any, id_: str) -> Any:
    if isinstance(listed, str):
        return listed.replace("{ada}", id_)
    if isinstance(listed, dict):
        return {name: _filled(inner, id_) for name, inner in listed.items()}
    return [_filled(inner, id_) for inner in listed]


@pytest.mark.parametrize("name", LENIENT)
def test_whatever_we_return_is_taken_back_and_changes_nothing(connected: Callable[..., Provider], name: str) -> None:
    provider = connected(name)
    custom = "urn:okta:customapp:2.0:User:custom"
    ada = provider.create_user(
        "ada@halden.example",
        schemas=[USER, ENTERPRISE, custom],
        unheardOf={"deep": [1, None]},
        name={"givenName": "Ada", "nickName": "A"},
        **{custom: {"badge": "b-17"}, ENTERPRISE: {"manager": {"value": "m", "displayName": "M"}, "badge": 7}},
    )
    group = provider.create_group("Engineers", [ada["id"]], unheardOf="x")

    for address in (f"Users/{ada['id']}", f"Groups/{group['id']}"):
        read = provider.get(address)

        assert provider.done(provider.ask("PUT", address, read), 200) == read
        assert provider.get(address) == read


def test_a_custom_attribute_reads_back_after_a_patch_and_leaves_again(anybody: Provider) -> None:
    ada = anybody.create_user("ada@halden.example")
    address, urn = f"Users/{ada['id']}", "urn:ietf:params:scim:schemas:extension:halden:2.0:User"

    added = anybody.done(anybody.patch(address, {"op": "Add", "path": f"{urn}:badge", "value": "b-17"}), 200)
    removed = anybody.done(anybody.patch(address, {"op": "Remove", "path": f"{urn}:badge"}), 200)

    assert (added[urn], added["schemas"]) == ({"badge": "b-17"}, [USER, urn])
    assert urn not in removed
    assert removed["schemas"] == [USER]


def test_nothing_left_to_do_is_a_success_without_a_change(anybody: Provider) -> None:
    ada = anybody.create_user("ada@halden.example")
    group = anybody.create_group("Engineers")

    of_a_user = anybody.patch(f"Users/{ada['id']}", {"op": "add", "path": "name.unheardOf", "value": "x"})
    of_a_group = anybody.patch(f"Groups/{group['id']}", {"op": "add", "path": "members", "value": []})

    assert anybody.done(of_a_user, 200) == ada
    assert of_a_group.status_code == 204
    assert anybody.get(f"Groups/{group['id']}") == group


def test_nothing_left_to_do_on_nobody_is_still_not_found(anybody: Provider) -> None:
    operation = {"op": "add", "path": "name.unheardOf", "value": "x"}

    anybody.refused(anybody.patch("Users/00000000-0000-4000-8000-00000000dead", operation), 404)


BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.mark.parametrize("name", LENIENT)
def test_what_comes_in_bulk_is_read_as_what_comes_alone(connected: Callable[..., Provider], name: str) -> None:
    provider = connected(name)
    emails = {"value": "ada@halden.example", "primary": "True"}
    user = {"schemas": ["urn:scim:schemas:core:1.0"], "userName": "ada@halden.example", "emails": emails}
    grace = provider.create_user("grace@halden.example")
    leave = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": "ada", "data": user},
        {"method": "PATCH", "path": f"/Users/{grace['id']}", "data": leave},
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "G", "members": ["bulkId:ada"]}},
    ]

    answer = provider.done(provider.ask("POST", "Bulk", {"schemas": [BULK], "Operations": operations}), 200)

    assert [each["status"] for each in answer["Operations"]] == ["201", "200", "201"]
    ada, grace = (provider.find("Users", f'userName sw "{each}"')[0] for each in ("ada", "grace"))
    assert (ada["emails"][0]["primary"], grace["active"]) == (True, False)
    assert [group["display"] for group in ada["groups"]] == ["G"]


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.parametrize("address", ["Users/.search", ".search"])
def test_a_filter_in_a_body_is_read_as_one_in_the_address(
    connected: Callable[..., Provider], name: str, address: str
) -> None:
    provider = connected(name)
    ada = provider.create_user("ada@halden.example", roles=[{"value": "Admin", "primary": True}])
    provider.create_user("grace@halden.example")

    body = {"schemas": [SEARCH], "filter": 'active eq "True" and roles[primary eq "True"].value eq "admin"'}
    found = provider.done(provider.ask("POST", address, body), 200)

    assert [each["id"] for each in found["Resources"]] == [ada["id"]]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["", "True", "false", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    [
        *("id", "schemas", "meta", "groups", "active", "emails", "roles", "addresses", "name", "manager", "members"),
        *('emails[type eq "work"].value', 'roles[primary eq "True"]', "emails[", "emails.value", 'title eq "x"'),
        *("custom", "not a name", "name.givenName", "urn:x:y:z", ENTERPRISE, USER, f"{ENTERPRISE}:manager"),
    ]
) | st.text(alphabet=string.printable, max_size=12)
_OBJECTS = st.dictionaries(_NAMES, _JSON | st.dictionaries(_NAMES, _JSON, max_size=3), max_size=4)
_OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "REMOVE", "move"])},
    optional={"path": _NAMES | st.none(), "value": _JSON | _OBJECTS | st.lists(_OBJECTS, max_size=2)},
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(LENIENT), st.sampled_from(["User", "Group"]), st.lists(_OPERATIONS, max_size=4))
def test_any_patch_is_normalised_or_refused_in_the_words_of_scim(
    name: str, type_name: str, sent: list[dict[str, Any]]
) -> None:
    try:
        meant = DIALECTS[name].patch(type_name, {"schemas": [PATCH], "Operations": sent}, "me")
        DIALECTS[name].kept(type_name, meant, {"schemas": [USER], "custom": [1], "name": "odd"})
    except SCIMException:
        return

    assert meant is None or all(operation["op"] in ("add", "remove", "replace") for operation in meant["Operations"])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LENIENT), st.sampled_from(["User", "Group"]), _OBJECTS)
def test_any_document_is_normalised_or_refused_in_the_words_of_scim(
    name: str, type_name: str, sent: dict[str, Any]
) -> None:
    try:
        meant = DIALECTS[name].document(type_name, sent)
    except SCIMException:
        return

    assert meant["schemas"][0] == (USER if type_name == "User" else GROUP)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(LENIENT), st.sampled_from(["members", "Members", f"{GROUP}:members"]), st.lists(_JSON, max_size=4)
)
def test_no_removal_with_a_list_ever_empties_a_group(name: str, path: str, listed: list[Any]) -> None:
    body = {"Operations": [{"op": "Remove", "path": path, "value": listed}]}

    try:
        meant = DIALECTS[name].patch("Group", body, "g")
        change, rest = split_operations(meant, lenient=True)
    except SCIMException:
        return

    assert not change.empties
    assert rest is None
