"""Orders reach the application, are read back, and survive whatever happens in between."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction

from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning import settling
from governance.provisioning.actions import confirm_by_hand, order_selected, retry
from governance.provisioning.claims import claim, name_of, release_of_the_dead, worker_name
from governance.provisioning.connecting import save_connector
from governance.provisioning.delivery import deliver_due
from governance.provisioning.models import Account, Connector, Holding, Operation, OperationKind, OperationState
from governance.provisioning.queries import delivery_lag_seconds
from tests.cast import TESTING, acting, add_application, add_role, hire
from tests.provisioning.peers import TOKEN, Peer, Script, UnrulyPeer, listed, scim

pytestmark = pytest.mark.django_db
GIVE, TAKE = OperationKind.GIVE, OperationKind.TAKE


def order(kind: str, person: Person, role: Entitlement, *, key: str = "", closes: bool = False) -> Operation:
    named = key or f"{kind}:{person.pk}:{role.pk}:{Operation.objects.count()}"
    selection = """
        SELECT %(key)s AS key, 'grant:1' AS origin, %(person)s::bigint AS person_id, %(role)s::bigint AS entitlement_id,
            %(application)s::bigint AS application_id, %(closes)s AS closes_account
    """
    known = {"person": person.pk, "role": role.pk, "application": role.application_id, "closes": closes}
    written = order_selected(kind, selection, {**known, "key": named}, at=now(), actor=TESTING)
    return Operation.objects.get(pk=written[named])


def deliver() -> int:
    return deliver_due(worker="test")


def state_of(operation: Operation) -> str:
    operation.refresh_from_db()
    return operation.state


def recorded() -> list[str]:
    return [entry.body["event"] for entry in Pending.objects.order_by("id") if "operation." in entry.body["event"]]


def test_an_account_is_created_gets_the_group_and_is_read_back(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    operation = order(GIVE, ada, analyst)
    deliver()

    assert state_of(operation) == OperationState.VERIFIED
    assert peer.members(analyst.target_ref) == [ada.user_name]
    account = Account.objects.get(person=ada)
    assert (account.user_name, account.is_active, account.linked_by) == (ada.user_name, True, "created")
    assert Holding.objects.get(account=account).gone_at is None
    assert recorded() == ["operation.claimed", "operation.delivered", "operation.verified"]


def test_an_account_that_is_there_is_adopted_not_doubled(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    existing = peer.add_user(ada.user_name.upper())

    order(GIVE, ada, analyst)
    deliver()

    assert [user["id"] for user in peer.users()] == [existing]
    assert Account.objects.get(person=ada).target_id == existing


def test_the_last_access_taken_away_closes_the_account(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    order(GIVE, ada, analyst)
    taken = order(TAKE, ada, analyst, closes=True)
    deliver()

    assert state_of(taken) == OperationState.VERIFIED
    assert peer.members(analyst.target_ref) == []
    assert [user["active"] for user in peer.users()] == [False]
    assert not Account.objects.get(person=ada).is_active
    assert Holding.objects.get().gone_at is not None


def test_an_account_with_other_access_stays_open(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    order(GIVE, ada, analyst)
    order(TAKE, ada, analyst)
    deliver()

    assert [user.get("active", True) for user in peer.users()] == [True]


def test_a_closed_account_is_opened_again(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    for kind in (GIVE, TAKE, GIVE):
        order(kind, ada, analyst, closes=kind == TAKE)
    deliver()

    assert [user["active"] for user in peer.users()] == [True]
    assert peer.members(analyst.target_ref) == [ada.user_name]


def test_what_is_already_so_is_success(connected: Application, peer: Peer, ada: Person, analyst: Entitlement) -> None:
    operations = [order(kind, ada, analyst) for kind in (TAKE, GIVE, GIVE, TAKE, TAKE)]
    deliver()

    assert {state_of(operation) for operation in operations} == {OperationState.VERIFIED}
    assert peer.members(analyst.target_ref) == []


def test_the_same_key_orders_once(connected: Application, ada: Person, analyst: Entitlement) -> None:
    first = order(GIVE, ada, analyst, key="grant:7:give:1")

    assert order(GIVE, ada, analyst, key="grant:7:give:1") == first
    assert Operation.objects.count() == 1


def test_an_order_rolled_back_was_never_given(ada: Person, analyst: Entitlement) -> None:
    with transaction.atomic():
        order(GIVE, ada, analyst)
        transaction.set_rollback(True)

    assert not Operation.objects.exists()


def test_orders_about_one_account_go_out_one_after_the_other(
    connected: Application, ada: Person, analyst: Entitlement
) -> None:
    first = order(GIVE, ada, analyst)
    order(TAKE, ada, analyst)
    other = order(GIVE, hire("Alan Kay"), analyst)

    assert [claimed.pk for claimed in claim(worker="one", limit=10)] == [first.pk, other.pk]
    assert claim(worker="two", limit=10) == []


def test_the_orders_of_a_killed_worker_are_taken_over_when_its_claim_ends(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        operation = order(GIVE, ada, analyst)
        claim(worker="killed", limit=10)
        assert deliver() == 0

        clock.shift(timedelta(minutes=5))
        deliver()

    assert state_of(operation) == OperationState.VERIFIED
    assert peer.members(analyst.target_ref) == [ada.user_name]


def test_the_orders_of_a_process_that_died_on_this_machine_are_taken_over_at_once(
    connected: Application, ada: Person, analyst: Entitlement
) -> None:
    operation = order(GIVE, ada, analyst)
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    claim(worker=f"{socket.gethostname()}:{int(dead.stdout)}:{int(time.time())}", limit=10)
    order(GIVE, hire("Alan Kay"), analyst)
    claim(worker=name_of(os.getppid()), limit=10)

    assert release_of_the_dead() == 1
    assert deliver() == 1
    assert state_of(operation) == OperationState.VERIFIED


def test_what_this_process_claimed_before_its_delivery_broke_off_is_taken_up_at_once(
    connected: Application, ada: Person, analyst: Entitlement
) -> None:
    operation = order(GIVE, ada, analyst)
    claim(worker=worker_name(), limit=10)

    assert release_of_the_dead() == 1
    assert deliver() == 1
    assert state_of(operation) == OperationState.VERIFIED


def test_a_worker_killed_between_the_call_and_the_settlement_does_nothing_twice(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        operation = order(GIVE, ada, analyst)
        with monkeypatch.context() as patch:
            patch.setattr(settling, "sent", _die)
            with pytest.raises(KeyboardInterrupt):
                deliver()
        assert peer.members(analyst.target_ref) == [ada.user_name]

        clock.shift(timedelta(minutes=5))
        deliver()

    assert state_of(operation) == OperationState.VERIFIED
    assert peer.members(analyst.target_ref) == [ada.user_name]
    assert len(peer.users()) == 1
    claims = ["operation.claimed"] * 2
    assert recorded() == [*claims, "operation.delivered", "operation.verified"]


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_worker_that_lost_its_claim_settles_nothing(
    connected: Application, ada: Person, analyst: Entitlement
) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        order(GIVE, ada, analyst)
        (slow,) = claim(worker="slow", limit=1)
        clock.shift(timedelta(minutes=5))
        deliver()

        settling.not_sent(slow, settling.Transient("It was slow."), worker="slow")

    assert state_of(slow) == OperationState.VERIFIED


@pytest.mark.parametrize("answer", [(500, {}, b"oops"), (429, {"Retry-After": "120"}, b"{}"), (200, {}, b"<html>")])
def test_an_application_in_trouble_is_tried_again_later(
    answer: tuple[int, dict[str, str], bytes],
    unruly: Callable[[Script], UnrulyPeer],
    ada: Person,
    analyst: Entitlement,
) -> None:
    unruly(lambda method, path: answer)
    operation = order(GIVE, ada, analyst)
    deliver()

    assert state_of(operation) == OperationState.WAITING
    assert operation.attempts == 1
    assert operation.last_error
    least = 120 if answer[0] == 429 else 1
    assert (operation.next_attempt_at - now()).total_seconds() > least - 2


def test_a_failing_application_is_left_alone_and_taken_up_again(
    unruly: Callable[[Script], UnrulyPeer], ada: Person, analyst: Entitlement
) -> None:
    peer = unruly(lambda method, path: (503, {}, b""))
    for number in range(8):
        order(GIVE, hire(f"Person{number} Test"), analyst)
    deliver()

    row = Connector.objects.get()
    assert row.circuit_opened_at is not None
    assert row.failures_in_a_row == 5
    assert Operation.objects.filter(attempts=0, state=OperationState.WAITING).count() == 3
    calls = len(peer.calls)
    assert deliver() == 0
    assert len(peer.calls) == calls
    assert delivery_lag_seconds() == 0.0


def test_a_token_that_expired_stops_everything_until_it_is_renewed(
    unruly: Callable[[Script], UnrulyPeer], peer: Peer, ada: Person, analyst: Entitlement, snowflake: Application
) -> None:
    unruly(lambda method, path: scim(401, {"detail": "expired"}))
    operation = order(GIVE, ada, analyst)
    deliver()
    assert state_of(operation) == OperationState.WAITING
    assert "token" in Connector.objects.get().next_step.lower()

    peer.add_group(analyst.target_ref)
    save_connector(snowflake, kind="scim2", base_url=peer.base_url, secret=TOKEN, actor=TESTING)
    deliver()

    assert state_of(operation) == OperationState.VERIFIED


def test_what_cannot_work_fails_with_a_cause_and_a_next_step_and_can_be_tried_again(
    connected: Application, peer: Peer, ada: Person
) -> None:
    lost = add_role(connected, "Lost")
    operation = order(GIVE, ada, lost)
    deliver()
    assert state_of(operation) == OperationState.FAILED
    assert operation.last_error
    assert operation.next_step

    peer.add_group(lost.target_ref)
    retry(operation, actor=acting(ada))
    deliver()

    assert state_of(operation) == OperationState.VERIFIED
    with pytest.raises(Conflict):
        retry(operation, actor=acting(ada))


def test_an_order_is_given_up_after_a_day(
    unruly: Callable[[Script], UnrulyPeer], ada: Person, analyst: Entitlement
) -> None:
    unruly(lambda method, path: (503, {}, b""))
    with time_machine.travel(now(), tick=False) as clock:
        operation = order(GIVE, ada, analyst)
        clock.shift(timedelta(hours=25))
        deliver()

    assert state_of(operation) == OperationState.FAILED


def test_verified_means_that_the_application_showed_it(
    unruly: Callable[[Script], UnrulyPeer], ada: Person, analyst: Entitlement
) -> None:
    shows = [False]
    user = {"id": "u1", "userName": ada.user_name, "active": True}

    def script(method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        group = {"id": "g1", "displayName": analyst.target_ref, "members": [{"value": "u1"}] if shows[0] else []}
        if method == "PATCH":
            return 204, {}, b""
        if path.startswith("/Users/"):
            return scim(200, user)
        if path.startswith("/Users"):
            return scim(200, listed(user))
        if path.startswith("/Groups/"):
            return scim(200, group)
        return scim(200, listed(group))

    with time_machine.travel(now(), tick=False) as clock:
        unruly(script)
        operation = order(GIVE, ada, analyst)
        deliver()
        assert state_of(operation) == OperationState.DELIVERED
        assert "does not show it" in operation.last_error
        assert not Holding.objects.exists()

        shows[0] = True
        clock.shift(timedelta(seconds=1))
        deliver()
        assert state_of(operation) == OperationState.VERIFIED

        shows[0] = False
        late = order(GIVE, ada, analyst)
        deliver()
        for _ in range(20):
            clock.shift(timedelta(minutes=5))
            deliver()
    assert state_of(late) == OperationState.FAILED


def test_a_server_that_ignores_filters_never_makes_us_act_on_somebody_else(
    unruly: Callable[[Script], UnrulyPeer], ada: Person, analyst: Entitlement
) -> None:
    mallory = {"id": "u9", "userName": "mallory@halden.example", "active": True}

    def script(method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        return scim(200, listed(mallory)) if path.startswith("/Users") and method == "GET" else None

    peer = unruly(script)
    order(TAKE, ada, analyst, closes=True)
    deliver()

    assert all("u9" not in path or method == "GET" for method, path in peer.calls)


def test_an_application_worked_by_hand_waits_for_a_person_and_is_never_called_read_back(
    ada: Person, sam: Person, analyst: Entitlement
) -> None:
    operation = order(GIVE, ada, analyst)
    assert operation.next_step
    assert deliver() == 0

    confirm_by_hand(operation, actor=acting(sam))

    assert (state_of(operation), operation.confirmed_by, operation.verified_at) == ("delivered", sam, None)
    assert deliver() == 0
    with pytest.raises(Conflict):
        confirm_by_hand(operation, actor=acting(sam))


def test_the_secret_of_a_connector_is_nowhere_in_clear(connected: Application) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM provisioning_connector AS c")
        kept = cursor.fetchone()[0]

    assert TOKEN not in kept
    assert TOKEN not in json.dumps(list(Pending.objects.values_list("body", flat=True)), default=str)


def test_a_slow_or_broken_application_does_not_hold_up_another(
    connected: Application, unruly: Callable[[Script], UnrulyPeer], ada: Person, analyst: Entitlement
) -> None:
    broken = add_application("Broken", owner=ada)
    role = add_role(broken, "Reader")
    save_connector(broken, kind="scim2", base_url="http://127.0.0.1:9", secret=TOKEN, actor=TESTING)

    stuck, fine = order(GIVE, ada, role), order(GIVE, ada, analyst)
    for operation in (stuck, fine):
        Operation.objects.exclude(pk=operation.pk).update(next_attempt_at=now() + timedelta(days=1))
        Operation.objects.filter(pk=operation.pk).update(next_attempt_at=now())
        deliver()

    assert (state_of(stuck), state_of(fine)) == (OperationState.WAITING, OperationState.VERIFIED)
