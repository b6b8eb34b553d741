"""Several connections at once: each sees and writes what it brought, and what nobody has; the rest is a conflict."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection as database
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from governance.core.errors import Conflict
from governance.identity.connections import actions, ownership, queries
from governance.identity.models import Connection, ConnectionConflict, Group, Membership, Person
from governance.identity.tasks import settle_conflicts
from governance.ledger.models import Pending
from tests.cast import TESTING, hire
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, USER, Provider


@pytest.fixture
def first(connected: Callable[..., Provider]) -> Provider:
    return connected("strict", "first")


@pytest.fixture
def second(connected: Callable[..., Provider]) -> Provider:
    return connected("strict", "second")


def _events() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("pk")]


def _conflict() -> ConnectionConflict:
    return ConnectionConflict.objects.select_related("connection", "holder").get()


def test_what_another_connection_brought_is_not_there(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example", externalId="1")
    crew = first.create_group("Crew", [ada["id"]])

    for path in (f"Users/{ada['id']}", f"Groups/{crew['id']}"):
        Provider.refused(second.ask("GET", path), 404)
        Provider.refused(second.patch(path, {"op": "replace", "path": "externalId", "value": "x"}), 404)
        Provider.refused(second.ask("DELETE", path), 404)
        assert first.ask("GET", path).status_code == 200
    assert second.get("Users")["totalResults"] == second.get("Groups")["totalResults"] == 0
    assert second.find("Users", 'userName eq "ada@halden.example"') == []
    assert second.find("Users", 'externalId eq "1"') == []
    assert second.find("Groups", 'displayName eq "Crew"') == []
    assert [user["id"] for user in first.find("Users", 'externalId eq "1"')] == [ada["id"]]


def test_an_external_id_is_the_clients_own(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example", externalId="1")
    bob = second.create_user("bob@halden.example", externalId="1")

    assert [user["id"] for user in first.find("Users", 'externalId eq "1"')] == [ada["id"]]
    assert [user["id"] for user in second.find("Users", 'externalId eq "1"')] == [bob["id"]]


def test_somebody_of_another_connection_cannot_be_put_into_a_group(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example")
    add = {"op": "add", "path": "members", "value": [{"value": ada["id"]}]}
    group = second.create_group("Theirs")

    detail = Provider.refused(second.patch(f"Groups/{group['id']}", add), 400, "invalidValue")

    assert "no user with the id" in detail
    assert not Membership.objects.exists()


def test_members_of_another_connection_are_neither_shown_nor_found_nor_taken_out(
    first: Provider, second: Provider
) -> None:
    crew = first.create_group("Crew", [first.create_user(f"{name}@halden.example")["id"] for name in ("ada", "bob")])
    Person.objects.filter(user_name="bob@halden.example").update(source="scim:second")
    ada, bob = Person.objects.order_by("id")

    shown = first.get(f"Groups/{crew['id']}")
    replaced = first.ask("PUT", f"Groups/{crew['id']}", {"schemas": [GROUP], "displayName": "Crew", "members": []})

    assert [member["value"] for member in shown["members"]] == [str(ada.scim_id)]
    assert first.find("Groups", f'members.value eq "{bob.scim_id}"') == []
    assert second.find("Users", 'groups.display eq "Crew"') == []
    assert "groups" not in second.get(f"Users/{bob.scim_id}")
    assert replaced.status_code == 200
    assert list(Membership.objects.values_list("person_id", flat=True)) == [bob.pk]


def test_a_name_that_another_connection_holds_is_a_conflict_that_stays_visible(
    first: Provider, second: Provider
) -> None:
    first.create_user("ada@halden.example")
    body = {"schemas": [USER], "userName": "ADA@halden.example"}

    for _ in range(3):
        detail = Provider.refused(second.ask("POST", "Users", body), 409, "uniqueness")

    assert detail.startswith("The user name ADA@halden.example belongs to somebody whom the connection first brought.")
    assert Person.objects.count() == 1
    line = queries.open_conflicts()[0]
    assert (line.kind, line.connection_name, line.holder_name, line.count) == ("person", "second", "first", 3)
    assert line.first_seen_at < line.last_seen_at


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_renaming_to_a_name_of_another_connection_is_a_conflict_too(
    first: Provider, second: Provider, method: str
) -> None:
    first.create_user("ada@halden.example")
    bob = second.create_user("bob@halden.example")

    if method == "PUT":
        answer = second.ask("PUT", f"Users/{bob['id']}", {"schemas": [USER], "userName": "ada@halden.example"})
    else:
        change = {"op": "replace", "path": "userName", "value": "ada@halden.example"}
        answer = second.patch(f"Users/{bob['id']}", change)

    Provider.refused(answer, 409, "uniqueness")
    assert _conflict().name == "ada@halden.example"
    assert second.get(f"Users/{bob['id']}")["userName"] == "bob@halden.example"


def test_a_group_name_is_a_conflict_as_well(first: Provider, second: Provider) -> None:
    first.create_group("Crew")

    detail = Provider.refused(
        second.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "crew"}), 409, "uniqueness"
    )

    assert "connection first" in detail
    assert _conflict().group == Group.objects.get()


def test_a_name_that_ones_own_people_have_is_no_conflict(first: Provider, second: Provider) -> None:
    first.create_user("ada@halden.example")

    Provider.refused(
        first.ask("POST", "Users", {"schemas": [USER], "userName": "ada@halden.example"}), 409, "uniqueness"
    )

    assert not ConnectionConflict.objects.exists()


def test_what_nobody_has_is_seen_by_all_and_claimed_by_the_first_that_writes(first: Provider, second: Provider) -> None:
    grace = hire("Grace Hopper")
    Person.objects.update(source="page")
    assert [one.get("Users")["totalResults"] for one in (first, second)] == [1, 1]

    second.patch(f"Users/{grace.scim_id}", {"op": "replace", "path": "title", "value": "Admiral"})

    assert Person.objects.get().source == "scim:second"
    assert [one.get("Users")["totalResults"] for one in (first, second)] == [0, 1]
    assert "person.claimed" in _events()


@pytest.mark.parametrize("write", ["members", "rename", "delete"])
def test_a_group_that_nobody_has_is_claimed_by_any_write(first: Provider, second: Provider, write: str) -> None:
    crew, ada = first.create_group("Crew"), second.create_user("ada@halden.example")
    Group.objects.update(source="demo")
    change = {
        "members": {"op": "add", "path": "members", "value": [{"value": ada["id"]}]},
        "rename": {"op": "replace", "path": "displayName", "value": "Team"},
    }

    if write == "delete":
        second.ask("DELETE", f"Groups/{crew['id']}")
    else:
        second.patch(f"Groups/{crew['id']}", change[write])

    assert Group.objects.get().source == "scim:second"
    assert "group.claimed" in _events()


def test_what_a_revoked_connection_brought_can_be_taken_up_by_the_next(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example")
    actions.revoke_connection(Connection.objects.get(name="first").ref, actor=TESTING)

    found = second.find("Users", 'userName eq "ada@halden.example"')
    second.patch(f"Users/{found[0]['id']}", {"op": "replace", "path": "active", "value": False})

    person = Person.objects.get()
    assert (str(person.scim_id), person.source, person.status) == (ada["id"], "scim:second", "left")


def test_a_write_that_changes_only_what_is_ones_own_records_no_claim(first: Provider) -> None:
    ada = first.create_user("ada@halden.example")

    first.patch(f"Users/{ada['id']}", {"op": "replace", "path": "title", "value": "Engineer"})

    assert "person.claimed" not in _events()


def test_handing_over_gives_the_person_to_the_one_that_asks(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example")
    second.ask("POST", "Users", {"schemas": [USER], "userName": "ada@halden.example"})

    ownership.hand_over(_conflict().pk, actor=TESTING)

    Provider.refused(first.ask("GET", f"Users/{ada['id']}"), 404)
    assert second.find("Users", 'userName eq "ada@halden.example"')[0]["id"] == ada["id"]
    assert queries.open_conflicts() == []
    assert "person.handed_over" in _events()


def test_the_other_one_may_ask_back_and_that_is_a_new_question(first: Provider, second: Provider) -> None:
    first.create_user("ada@halden.example")
    body = {"schemas": [USER], "userName": "ada@halden.example"}
    second.ask("POST", "Users", body)
    ownership.hand_over(_conflict().pk, actor=TESTING)

    first.ask("POST", "Users", body)

    assert [(line.connection_name, line.holder_name) for line in queries.open_conflicts()] == [("first", "second")]


def test_what_was_dismissed_is_counted_and_stays_dismissed(first: Provider, second: Provider) -> None:
    first.create_user("ada@halden.example")
    body = {"schemas": [USER], "userName": "ada@halden.example"}
    second.ask("POST", "Users", body)
    ownership.dismiss(_conflict().pk, actor=TESTING)

    second.ask("POST", "Users", body)

    assert (_conflict().resolution, _conflict().count) == ("dismissed", 2)
    assert queries.open_conflicts() == []
    assert "conflict.dismissed" in _events()


@pytest.mark.parametrize("decide", [ownership.hand_over, ownership.dismiss])
def test_a_conflict_is_decided_once(first: Provider, second: Provider, decide: Callable[..., None]) -> None:
    first.create_user("ada@halden.example")
    second.ask("POST", "Users", {"schemas": [USER], "userName": "ada@halden.example"})
    decide(_conflict().pk, actor=TESTING)

    for again in (ownership.hand_over, ownership.dismiss):
        with pytest.raises(Conflict, match="decided at"):
            again(_conflict().pk, actor=TESTING)


@pytest.mark.parametrize("end", ["deleted", "holder revoked", "claimant revoked", "not at all"])
@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_conflict_that_is_none_any_more_settles_by_itself(
    first: Provider, second: Provider, end: str, kind: str
) -> None:
    body = {"schemas": [USER], "userName": "ada"} if kind == "Users" else {"schemas": [GROUP], "displayName": "Crew"}
    made = first.done(first.ask("POST", kind, body), 201)
    second.ask("POST", kind, body)
    match end:
        case "deleted":
            first.ask("DELETE", f"{kind}/{made['id']}")
        case "holder revoked" | "claimant revoked":
            name = "first" if end.startswith("holder") else "second"
            actions.revoke_connection(Connection.objects.get(name=name).ref, actor=TESTING)

    settled = settle_conflicts()

    assert settled == (0 if end == "not at all" else 1)
    assert _conflict().resolution == ("" if end == "not at all" else "settled")
    assert (second.ask("POST", kind, body).status_code == 201) is (end == "deleted")


def test_nothing_is_handed_over_that_the_holder_does_not_have_any_more(first: Provider, second: Provider) -> None:
    ada = first.create_user("ada@halden.example")
    second.ask("POST", "Users", {"schemas": [USER], "userName": "ada@halden.example"})
    first.ask("DELETE", f"Users/{ada['id']}")

    with pytest.raises(Conflict, match="does not belong"):
        ownership.hand_over(_conflict().pk, actor=TESTING)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_write_first_at_once_one_has_the_person_and_the_other_sees_nobody(
    connected: Callable[..., Provider],
) -> None:
    providers = [connected("strict", name) for name in ("first", "second")]
    grace = hire("Grace Hopper")
    Person.objects.update(source="page")
    change = {"op": "replace", "path": "title", "value": "Admiral"}

    answers = at_once([lambda one=one: one.patch(f"Users/{grace.scim_id}", change) for one in providers])

    assert sorted(answer.status_code for answer in answers) == [200, 404]
    assert Person.objects.get().source in {"scim:first", "scim:second"}
    assert _events().count("person.claimed") == 1


@pytest.mark.django_db(transaction=True)
def test_conflicts_noted_at_once_are_one_row(connected: Callable[..., Provider]) -> None:
    first, second = (connected("strict", name) for name in ("first", "second"))
    first.create_user("ada@halden.example")
    body = {"schemas": [USER], "userName": "ada@halden.example"}

    answers = at_once([lambda: second.ask("POST", "Users", body) for _ in range(4)])

    assert [answer.status_code for answer in answers] == [409] * 4
    assert _conflict().count == 4


def at_once(acts: list[Callable[[], HttpResponse]]) -> list[HttpResponse]:
    """Return what several threads got that began together."""

    def run(act: Callable[[], HttpResponse]) -> HttpResponse:
        barrier.wait()
        try:
            return act()
        finally:
            database.close()

    barrier = threading.Barrier(len(acts))
    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_ownership_costs_no_statement(first: Provider, connected: Callable[..., Provider]) -> None:
    ada = first.create_user("ada@halden.example")
    crew = first.create_group("Crew", [ada["id"]])
    bob = first.create_user("bob@halden.example")
    asked: list[Callable[[], object]] = [
        lambda: first.get("Users?count=10"),
        lambda: first.get(f"Users/{ada['id']}"),
        lambda: first.find("Users", 'userName eq "ada@halden.example"'),
        lambda: first.patch(f"Users/{ada['id']}", {"op": "add", "path": "title", "value": "x"}),
        lambda: first.patch(f"Groups/{crew['id']}", {"op": "add", "path": "members", "value": [{"value": bob["id"]}]}),
    ]
    alone = [_cost(ask) for ask in asked]
    first.patch(f"Users/{ada['id']}", {"op": "remove", "path": "title"})
    first.patch(f"Groups/{crew['id']}", {"op": "remove", "path": f'members[value eq "{bob["id"]}"]'})

    for name in ("second", "third"):
        connected("strict", name)

    assert [_cost(ask) for ask in asked] == alone


def _cost(ask: Callable[[], object]) -> int:
    with CaptureQueriesContext(database) as captured:
        ask()
    return len(captured)


@pytest.mark.parametrize("manager_first", [True, False])
@pytest.mark.parametrize(("whose", "is_found"), [("first", True), ("second", False)])
def test_an_external_id_names_a_manager_only_to_the_connection_that_gave_it(
    first: Provider, second: Provider, manager_first: bool, whose: str, is_found: bool
) -> None:
    report = {"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": "g-1"}}}
    asking = first if whose == "first" else second

    if manager_first:
        first.create_user("grace@halden.example", externalId="g-1")
        asking.create_user("ada@halden.example", **report)
    else:
        asking.create_user("ada@halden.example", **report)
        first.create_user("grace@halden.example", externalId="g-1")

    assert (Person.objects.get(user_name="ada@halden.example").manager is not None) is is_found


def test_a_user_name_names_a_manager_of_any_connection(first: Provider, second: Provider) -> None:
    first.create_user("grace@halden.example")

    manager = {"manager": {"value": "grace@halden.example"}}
    second.create_user("ada@halden.example", **{"schemas": [USER, ENTERPRISE], ENTERPRISE: manager})

    manager_of = Person.objects.select_related("manager").get(user_name="ada@halden.example").manager
    assert manager_of is not None
    assert manager_of.user_name == "grace@halden.example"
