"""What Okta sends, in its order, with the answers it needs."""

from __future__ import annotations

import json

import pytest

from governance.identity.models import Group, Membership, Person, Status
from governance.ledger.models import Pending
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, PATCH, USER, Provider

ADA = {
    "schemas": [USER, ENTERPRISE, "urn:okta:custom:1.0:user:custom"],
    "userName": "ada@halden.example",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"primary": True, "value": "ada@halden.example", "type": "work"}],
    "displayName": "Ada Lovelace",
    "locale": "en-US",
    "externalId": "00u1ada",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
    ENTERPRISE: {"department": "Engineering", "manager": {"value": "00u1grace"}},
    "urn:okta:custom:1.0:user:custom": {"badge": "b-17"},
}


@pytest.fixture
def ada(okta: Provider) -> dict[str, object]:
    return okta.done(okta.ask("POST", "Users", ADA), 201)


def test_saving_the_connection_lists_two_users(okta: Provider) -> None:
    assert okta.get("Users?startIndex=1&count=2")["totalResults"] == 0


def test_a_miss_is_an_empty_list(okta: Provider) -> None:
    found = okta.get("Users?filter=userName%20eq%20%22nobody@halden.example%22&startIndex=1&count=100")

    assert (found["totalResults"], found["Resources"], found["startIndex"]) == (0, [], 1)


def test_an_assigned_user_joins(okta: Provider) -> None:
    response = okta.ask("POST", "Users", ADA)
    created = okta.done(response, 201)

    assert response["Location"] == created["meta"]["location"]
    assert response["Location"].endswith(f"/scim/v2/Users/{created['id']}")
    assert created["urn:okta:custom:1.0:user:custom"] == {"badge": "b-17"}
    assert "password" not in created
    person = Person.objects.get(scim_id=created["id"])
    assert (person.user_name, person.department, person.external_id) == (ADA["userName"], "Engineering", "00u1ada")
    assert (person.status, person.source) == (Status.ACTIVE, "scim:okta")
    assert "1mz050nq" not in json.dumps(person.document)
    assert not person.has_usable_password()
    entry = Pending.objects.get(body__event="person.joined")
    assert "okta" in json.dumps(entry.body)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    "condition",
    [
        'userName eq "ADA@halden.example"',
        'externalId eq "00u1ada"',
        'emails[type eq "work"].value eq "ada@halden.example"',
    ],
)
def test_an_existing_user_is_found(okta: Provider, condition: str) -> None:
    assert [user["userName"] for user in okta.find("Users", condition)] == ["ada@halden.example"]


@pytest.mark.usefixtures("ada")
def test_a_taken_user_name_is_a_conflict_in_any_letter_case(okta: Provider) -> None:
    again = okta.ask("POST", "Users", {**ADA, "userName": "Ada@Halden.example", "externalId": "other"})

    assert "already taken" in okta.refused(again, 409, "uniqueness")


def test_the_profile_is_pushed_with_everything_that_was_read(okta: Provider, ada: dict[str, object]) -> None:
    read = okta.get(f"Users/{ada['id']}")

    replaced = okta.done(okta.ask("PUT", f"Users/{ada['id']}", {**read, "title": "Countess"}), 200)

    assert replaced["title"] == "Countess"
    assert {**replaced, "meta": None} == {**read, "title": "Countess", "meta": None}
    assert Person.objects.get(scim_id=ada["id"]).title == "Countess"


@pytest.mark.parametrize("way", ["PATCH", "PUT"])
def test_unassigning_lets_the_person_leave_and_keeps_the_resource(
    okta: Provider, ada: dict[str, object], way: str
) -> None:
    address = f"Users/{ada['id']}"
    if way == "PATCH":
        answer = okta.patch(address, {"op": "replace", "value": {"active": False}})
    else:
        answer = okta.ask("PUT", address, {**ADA, "active": False})

    assert okta.done(answer, 200)["active"] is False
    assert okta.get(address)["active"] is False
    assert len(okta.find("Users", f'userName eq "{ADA["userName"]}"')) == 1
    assert Person.objects.get(scim_id=ada["id"]).status == Status.LEFT
    assert Pending.objects.filter(body__event="person.left").count() == 1


def test_reassigning_brings_the_same_person_back(okta: Provider, ada: dict[str, object]) -> None:
    okta.patch(f"Users/{ada['id']}", {"op": "replace", "value": {"active": False}})

    answer = okta.done(okta.patch(f"Users/{ada['id']}", {"op": "replace", "value": {"active": True}}), 200)

    assert (answer["id"], answer["active"]) == (ada["id"], True)
    assert Person.objects.get(scim_id=ada["id"]).status == Status.ACTIVE


def test_a_put_that_does_not_mention_active_does_not_bring_a_leaver_back(
    okta: Provider, ada: dict[str, object]
) -> None:
    okta.patch(f"Users/{ada['id']}", {"op": "replace", "value": {"active": False}})

    body = {"schemas": [USER], "userName": ADA["userName"], "displayName": "A. L."}
    answer = okta.done(okta.ask("PUT", f"Users/{ada['id']}", body), 200)

    assert answer["active"] is False
    assert Person.objects.get(scim_id=ada["id"]).status == Status.LEFT


def test_deleting_makes_the_resource_disappear_and_keeps_the_person(okta: Provider, ada: dict[str, object]) -> None:
    ref = Person.objects.get(scim_id=ada["id"]).ref

    assert okta.ask("DELETE", f"Users/{ada['id']}").status_code == 204

    assert okta.refused(okta.ask("GET", f"Users/{ada['id']}"), 404)
    assert okta.refused(okta.ask("DELETE", f"Users/{ada['id']}"), 404)
    assert okta.find("Users", f'userName eq "{ADA["userName"]}"') == []
    assert Person.objects.get(ref=ref).status == Status.LEFT


def test_after_a_delete_the_user_name_can_be_created_again_with_a_new_id(
    okta: Provider, ada: dict[str, object]
) -> None:
    ref = Person.objects.get(scim_id=ada["id"]).ref
    okta.ask("DELETE", f"Users/{ada['id']}")

    again = okta.done(okta.ask("POST", "Users", ADA), 201)

    assert again["id"] != ada["id"]
    assert Person.objects.get(scim_id=again["id"]).ref == ref


def test_a_group_is_pushed_and_its_members_follow(okta: Provider, ada: dict[str, object]) -> None:
    grace = okta.create_user("grace@halden.example")
    assert okta.find("Groups", 'displayName eq "Engineers"') == []
    group = okta.create_group("Engineers")
    address = f"Groups/{group['id']}"

    add = {"op": "add", "path": "members", "value": [{"value": ada["id"], "display": "Ada Lovelace"}]}
    assert okta.patch(address, add).status_code == 204
    assert [member["value"] for member in okta.get(address)["members"]] == [ada["id"]]
    assert [group["display"] for group in okta.get(f"Users/{ada['id']}")["groups"]] == ["Engineers"]

    both = okta.patch(
        address,
        {"op": "replace", "value": {"id": group["id"], "displayName": "Builders"}},
        {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'},
        {"op": "add", "path": "members", "value": [{"value": grace["id"]}]},
    )
    assert both.status_code == 204
    read = okta.get(address)
    assert (read["displayName"], [member["value"] for member in read["members"]]) == ("Builders", [grace["id"]])

    replace = {"op": "replace", "path": "members", "value": [{"value": ada["id"]}, {"value": grace["id"]}]}
    assert okta.patch(address, replace).status_code == 204
    assert len(okta.get(address)["members"]) == 2

    assert okta.ask("DELETE", address).status_code == 204
    assert okta.refused(okta.ask("GET", address), 404)
    assert not Membership.objects.exists()
    assert not Group.objects.get(scim_id=group["id"]).is_listed


def test_a_wizard_application_replaces_the_whole_group(okta: Provider, ada: dict[str, object]) -> None:
    group = okta.create_group("Engineers", [str(ada["id"])])

    body = {"schemas": [GROUP], "id": group["id"], "displayName": "Builders", "members": []}
    replaced = okta.done(okta.ask("PUT", f"Groups/{group['id']}", body), 200)

    assert (replaced["displayName"], replaced["members"]) == ("Builders", [])


def test_removing_with_a_value_array_removes_only_those(okta: Provider, ada: dict[str, object]) -> None:
    grace = okta.create_user("grace@halden.example")
    group = okta.create_group("Engineers", [str(ada["id"]), grace["id"]])

    answer = okta.patch(
        f"Groups/{group['id']}", {"op": "Remove", "path": "members", "value": [{"value": ada["id"], "$ref": None}]}
    )

    assert answer.status_code == 204
    assert [member["value"] for member in okta.get(f"Groups/{group['id']}")["members"]] == [grace["id"]]


def test_the_members_of_a_group_keep_their_membership_while_they_are_inactive(
    okta: Provider, ada: dict[str, object]
) -> None:
    group = okta.create_group("Engineers", [str(ada["id"])])

    okta.patch(f"Users/{ada['id']}", {"op": "replace", "value": {"active": False}})

    assert len(okta.get(f"Groups/{group['id']}")["members"]) == 1


def test_the_journal_names_the_connection_and_holds_no_personal_data(okta: Provider, ada: dict[str, object]) -> None:
    okta.ask(
        "PATCH",
        f"Users/{ada['id']}",
        {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "Countess"}]},
    )

    written = " ".join(str(entry.body) for entry in Pending.objects.all())

    assert "okta" in written
    assert "lovelace" not in written.lower()
    assert "Countess" not in written
