"""Reading whole applications: what is there, how much of it was read, and what that proves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.provisioning import connecting, secrets
from governance.provisioning.actions import link_account
from governance.provisioning.connecting import request_reading, save_connector
from governance.provisioning.models import Account, Connector, Holding, SyncRun
from governance.provisioning.queries import orphan_accounts, sync_freshness
from governance.provisioning.reading import read_application, read_due
from tests.cast import TESTING, add_role, hire
from tests.provisioning.peers import TOKEN, Peer, Script, UnrulyPeer, listed, scim

pytestmark = pytest.mark.django_db


def test_a_reading_sees_accounts_and_holdings_and_proves_how_much(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    add_role(connected, "Unused")
    group = peer.add_group("not ours")
    mine, stray = peer.add_user(ada.user_name), peer.add_user("svc-backup")
    peer.join(group, stray)
    peer.join(_group_id(peer, analyst), mine)

    run = read_application(connected)

    assert (run.is_complete, run.announced, run.received, run.holdings_received) == (True, 2, 2, 1)
    assert len(run.digest) == 64
    assert Account.objects.get(target_id=mine).person == ada
    assert [account.user_name for account in orphan_accounts()] == ["svc-backup"]
    assert Holding.objects.get().entitlement == analyst


def test_what_a_complete_reading_does_not_show_is_gone_and_may_come_back(
    connected: Application, peer: Peer, ada: Person, analyst: Entitlement
) -> None:
    mine, other = peer.add_user(ada.user_name), peer.add_user("other@halden.example")
    peer.join(_group_id(peer, analyst), other)
    read_application(connected)
    peer.remove_user(other)

    read_application(connected)
    gone = Account.objects.get(target_id=other)
    assert gone.gone_at is not None
    assert Holding.objects.get().gone_at is not None

    peer.add_user("other@halden.example")
    read_application(connected)
    assert Account.objects.filter(gone_at__isnull=True).count() == 2
    assert Account.objects.get(target_id=mine).gone_at is None


@pytest.mark.parametrize(
    "answer",
    [
        scim(200, listed()),
        scim(200, listed({"id": "1", "userName": "a"}, total=9)),
        (500, {}, b""),
        (200, {}, b"{"),
    ],
    ids=["empty", "cut short", "broken", "garbled"],
)
def test_an_answer_that_cannot_be_whole_makes_nothing_gone(
    answer: tuple[int, dict[str, str], bytes],
    unruly: Callable[[Script], UnrulyPeer],
    snowflake: Application,
    analyst: Entitlement,
) -> None:
    for number in range(4):
        Account.objects.create(
            application=snowflake,
            target_id=f"t{number}",
            user_name=f"u{number}",
            first_seen_at=now() - timedelta(days=9),
            confirmed_at=now() - timedelta(days=1),
        )
    unruly(lambda method, path: answer if path.startswith("/Users") else scim(200, listed()))

    run = read_application(snowflake)

    assert not run.is_complete
    assert run.error
    assert Account.objects.filter(gone_at__isnull=False).count() == 0


def test_an_account_is_never_given_to_one_of_two_people(connected: Application, peer: Peer, ada: Person) -> None:
    hire("Ada Byron", user_name="byron@halden.example", external_id="idp-byron", email=ada.email)
    peer.add_user("shared", emails=[{"value": ada.email, "primary": True}])

    read_application(connected)

    assert Account.objects.get().person is None


def test_an_orphan_is_linked_by_hand_once(connected: Application, peer: Peer, ada: Person, grace: Person) -> None:
    peer.add_user("a.lovelace.old")
    read_application(connected)
    account = Account.objects.get()

    link_account(account, ada, actor=TESTING)

    assert Account.objects.get().person == ada
    with pytest.raises(Conflict):
        link_account(account, grace, actor=TESTING)


def test_an_application_is_read_every_quarter_of_an_hour_and_when_somebody_asks(connected: Application) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        assert (read_due(), read_due()) == (1, 0)
        request_reading(connected, actor=TESTING)
        assert (read_due(), read_due()) == (1, 0)
        clock.shift(timedelta(minutes=16))
        assert read_due() == 1

    assert SyncRun.objects.count() == 3
    assert sync_freshness()[0].complete_at is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "ldap"}, "kind"),
        ({"base_url": "ftp://example.com"}, "base_url"),
        ({"base_url": "http://169.254.169.254/latest"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "https://user:pw@example.com"}, "base_url"),
        ({"secret": None}, "secret"),
        ({"secret": "two\nlines"}, "secret"),
        ({"options": {"magic": 1}}, "options"),
        ({"options": {"closes_accounts": "explode"}}, "options"),
    ],
)
def test_a_connector_out_of_order_is_refused_by_field(
    change: dict[str, object], field: str, snowflake: Application
) -> None:
    known = {"kind": "scim2", "base_url": "https://scim.example.com/v2", "secret": TOKEN, "options": {}}

    with pytest.raises(Invalid) as problem:
        save_connector(snowflake, **{**known, **change}, actor=TESTING)  # type: ignore[arg-type]

    assert list(problem.value.fields) == [field]
    assert not Connector.objects.exists()


def test_a_connector_is_tested_without_changing_anything(
    connected: Application, unruly: Callable[[Script], UnrulyPeer], snowflake: Application
) -> None:
    assert connecting.test_connector(connected) is None
    unruly(lambda method, path: scim(401, {"detail": "who are you"}))

    outcome = connecting.test_connector(snowflake)

    assert outcome is not None
    assert outcome.next_step


def test_the_present_token_stays_when_none_is_given(connected: Application, peer: Peer) -> None:
    save_connector(connected, kind="scim2", base_url=peer.base_url, secret=None, actor=TESTING)

    assert secrets.decrypt(Connector.objects.get().secret_encrypted) == TOKEN


def test_field_keys_are_rotated_by_command(connected: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Connector.objects.get().secret_encrypted
    newest = Fernet.generate_key()
    box = secrets.MultiFernet([Fernet(newest), *secrets._box()._fernets])
    monkeypatch.setattr(secrets, "_box", lambda: box)

    call_command("rotate_field_keys")

    rotated = Connector.objects.get().secret_encrypted
    assert rotated != old
    assert Fernet(newest).decrypt(rotated.encode()).decode() == TOKEN


def test_a_secret_whose_key_is_lost_says_what_to_do(connected: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = secrets.MultiFernet([Fernet(Fernet.generate_key())])
    monkeypatch.setattr(secrets, "_box", lambda: lost)

    with pytest.raises(CommandError, match="Enter the token again"):
        call_command("rotate_field_keys")


def _group_id(peer: Peer, role: Entitlement) -> str:
    groups = peer._http.get("/Groups").json()["Resources"]
    return next(str(group["id"]) for group in groups if group["displayName"] == role.target_ref)
