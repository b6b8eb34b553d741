"""The brake over the wire: a held deactivation is answered as the RFC says, read as it was said, and takes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from pytest_django.live_server_helper import LiveServer

from governance.core.actor import Actor, Door
from governance.identity.models import Person, Status
from governance.lifecycle import brake, holds, tasks
from governance.lifecycle.brake import Limits
from governance.lifecycle.models import HeldItem, Hold, ItemState
from scim_bridge.connections import open_connection
from tests.cast import TESTING, acting, hire, make_security_admin
from tests.scim_bridge.conftest import PATCH, USER, Provider
from tests.scim_bridge.test_concurrency import Wire

OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


@pytest.fixture
def braked(connected: Callable[..., Provider]) -> Provider:
    """Return Okta, of whose people two may leave at once."""
    provider = connected("okta")
    brake.set_limits("scim:okta", Limits(at_least=2, share_percent=0), actor=TESTING)
    return provider


def joined(provider: Provider, count: int) -> list[dict[str, Any]]:
    return [provider.create_user(f"person{number}", externalId=f"e{number}") for number in range(count)]


def left() -> int:
    return Person.objects.filter(status=Status.LEFT).count()


def test_a_held_deactivation_answers_200_and_reads_as_the_directory_said(braked: Provider) -> None:
    people = joined(braked, 4)

    for person in people:
        said = braked.done(braked.patch(f"Users/{person['id']}", OFF), 200)
        assert said["active"] is False

    assert left() == 2
    held = braked.get(f"Users/{people[3]['id']}")
    assert held["active"] is False
    assert held["meta"]["version"] != people[3]["meta"]["version"]
    assert [one["id"] for one in braked.find("Users", 'userName eq "person3"')] == [people[3]["id"]]


def test_a_held_put_keeps_what_else_it_says(braked: Provider) -> None:
    people = joined(braked, 3)

    for person in people:
        body = {"schemas": [USER], "userName": person["userName"], "title": "Former", "active": False}
        assert braked.done(braked.ask("PUT", f"Users/{person['id']}", body), 200)["active"] is False

    assert left() == 2
    assert Person.objects.get(scim_id=people[2]["id"]).title == "Former"
    # A PUT that does not mention it does not take back what was said.
    again = braked.ask("PUT", f"Users/{people[2]['id']}", {"schemas": [USER], "userName": people[2]["userName"]})
    assert braked.done(again, 200)["active"] is False
    assert HeldItem.objects.get().state == ItemState.WAITING


def test_the_provider_may_say_it_again_and_take_it_back(braked: Provider) -> None:
    people = joined(braked, 3)
    for person in people:
        braked.patch(f"Users/{person['id']}", OFF)

    assert braked.patch(f"Users/{people[2]['id']}", OFF).status_code == 200
    assert HeldItem.objects.count() == 1

    assert braked.done(braked.patch(f"Users/{people[2]['id']}", ON), 200)["active"] is True
    assert HeldItem.objects.get().state == ItemState.WITHDRAWN
    assert left() == 2


def test_a_held_deletion_answers_204_and_the_user_is_gone_for_the_provider(braked: Provider) -> None:
    people = joined(braked, 3)

    for person in people:
        assert braked.ask("DELETE", f"Users/{person['id']}").status_code == 204

    assert left() == 2
    assert braked.ask("GET", f"Users/{people[2]['id']}").status_code == 404
    assert braked.find("Users", 'userName eq "person2"') == []
    # Made again under another id, it is the same person, who has lost nothing.
    again = braked.create_user("person2", externalId="e2")
    assert again["id"] != people[2]["id"]
    assert Person.objects.filter(user_name="person2").count() == 1
    assert HeldItem.objects.get().state == ItemState.WITHDRAWN


def test_after_the_release_the_deactivated_are_inactive_and_the_deleted_stay_gone(braked: Provider) -> None:
    people = joined(braked, 4)
    for person in people[:3]:
        braked.patch(f"Users/{person['id']}", OFF)
    braked.ask("DELETE", f"Users/{people[3]['id']}")
    sam = make_security_admin(hire("Sam Okoro"))

    holds.release(Hold.objects.get().ref, by=sam, reason="Confirmed by telephone.", actor=acting(sam))
    tasks.sweep()

    assert left() == 4
    assert braked.get(f"Users/{people[2]['id']}")["active"] is False
    assert braked.ask("GET", f"Users/{people[3]['id']}").status_code == 404


def test_after_a_refusal_what_the_provider_repeats_is_no_new_signal_and_a_new_one_is(braked: Provider) -> None:
    people = joined(braked, 3)
    for person in people:
        braked.patch(f"Users/{person['id']}", OFF)
    sam = make_security_admin(hire("Sam Okoro"))
    holds.refuse(Hold.objects.get().ref, by=sam, reason="The provider was wrong.", actor=acting(sam))

    braked.patch(f"Users/{people[2]['id']}", OFF)
    braked.patch(f"Users/{people[2]['id']}", {"op": "replace", "path": "title", "value": "Engineer"})
    assert not HeldItem.objects.filter(state=ItemState.WAITING).exists()

    braked.patch(f"Users/{people[2]['id']}", ON)
    braked.patch(f"Users/{people[2]['id']}", OFF)
    assert HeldItem.objects.filter(state=ItemState.WAITING).count() == 1


def test_a_bulk_of_leavers_is_held_beyond_the_limit(braked: Provider) -> None:
    people = joined(braked, 6)
    operations = [
        {"method": "PATCH", "path": f"/Users/{one['id']}", "data": {"schemas": [PATCH], "Operations": [OFF]}}
        for one in people
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}

    answers = braked.done(braked.ask("POST", "Bulk", body), 200)["Operations"]

    assert {one["status"] for one in answers} <= {"200", "204"}
    assert left() == 2
    assert HeldItem.objects.filter(state=ItemState.WAITING).count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(170)
def test_many_at_once_never_pass_the_limit_by_more_than_were_in_flight(live_server: LiveServer) -> None:
    token = open_connection("corp", dialect="default", actor=Actor.system("test", door=Door.COMMAND))
    brake.set_limits("scim:corp", Limits(at_least=10, share_percent=0), actor=TESTING)
    wire = Wire(live_server.url, token)
    people = [wire.create_user(f"person{number}") for number in range(30)]
    ready = threading.Barrier(4)

    def take(mine: list[str]) -> None:
        ready.wait()
        try:
            for one in mine:
                assert wire.patch(f"Users/{one}", OFF).status_code in (200, 204)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, [people[number::4] for number in range(4)]))
    wire.client.close()

    # From half the limit on they count one by one, so that here not even one is too many.
    assert left() == 10
    assert HeldItem.objects.filter(state=ItemState.WAITING).count() == 20
    assert Hold.objects.count() == 1
