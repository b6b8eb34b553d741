"""Webhooks over real HTTP to a real peer: signed, tried again, called once by two workers, and only where they may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connections, transaction

from governance.access import deciding
from governance.catalog.models import Entitlement
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.ledger.models import ConfigurationChange, Pending
from governance.notices import calling, forgetting, webhooks
from governance.notices.models import Webhook, WebhookMessage
from tests.cast import TESTING, acting
from tests.notices.test_reading import Tell, submit


@dataclass
class Listener:
    """What arrived, with its headers, and what is answered."""

    url: str = ""
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def listener() -> Iterator[Listener]:
    peer = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            peer.arrived.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(peer.status)
            for name, value in peer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.url = f"http://127.0.0.1:{server.server_address[1]}/hook?channel=7"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield peer
        server.shutdown()


def add(listener: Listener, *kinds: str, name: str = "Chat") -> tuple[Webhook, str]:
    return webhooks.add(name, listener.url, kinds, actor=TESTING)


def acting_anew() -> Actor:
    return Actor.system("test")


def messages() -> list[tuple[str, str]]:
    return list(WebhookMessage.objects.order_by("id").values_list("kind", "state"))


@pytest.mark.django_db
def test_a_message_says_what_happened_and_can_be_verified(
    listener: Listener, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    tell()
    _, secret = add(listener)
    request = submit(ada, analyst)
    tell()

    assert calling.call_due() == 1

    ((headers, body),) = listener.arrived
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    said = json.loads(body)
    assert said["type"] == "approval.wanted"
    assert said["data"]["url"].endswith(f"/approvals/?item=R-{request.number}")
    assert said["data"]["to"] == [{"ref": str(linus.ref), "name": "Linus Berg", "email": "linus@halden.example"}]
    assert messages() == [("approval.wanted", "sent")]


@pytest.mark.django_db
def test_reasons_stay_in_the_house(
    listener: Listener, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    add(listener, "request.denied")
    deciding.deny(submit(ada, analyst), approver=linus, reason="A secret reason.", actor=acting(linus))
    tell()

    calling.call_due()

    assert len(listener.arrived) == 1
    assert b"A secret reason" not in listener.arrived[0][1]


@pytest.mark.django_db
def test_a_webhook_gets_only_the_kinds_it_wants(
    listener: Listener, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    add(listener, "break_glass.used")
    submit(ada, analyst)
    tell()

    assert messages() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (500, {}, "It answered 500."),
        (302, {"Location": "http://127.0.0.1:1/"}, "It answered 302: redirects are not followed."),
    ],
    ids=["an error", "a redirect"],
)
def test_what_did_not_arrive_is_tried_again_with_pauses(
    status: int, headers: dict[str, str], said: str, listener: Listener, noon: time_machine.Traveller
) -> None:
    hook, _ = add(listener)
    listener.status, listener.headers = status, headers
    webhooks.send_test(hook, actor=TESTING)

    tries = []
    for seconds in (0, 4, 1, 29, 1, 60, 60):
        noon.shift(timedelta(seconds=seconds))
        calling.call_due()
        tries.append(len(listener.arrived))

    assert tries == [1, 1, 2, 2, 3, 3, 4]
    message = WebhookMessage.objects.get()
    assert message.state == "waiting"
    assert message.last_error.startswith(said)
    assert message.status == status
    listener.status, listener.headers = 200, {}
    noon.shift(timedelta(hours=1))
    calling.call_due()
    assert messages() == [("webhook.tested", "sent")]
    ids = {arrived["webhook-id"] for arrived, _ in listener.arrived}
    assert ids == {str(message.ref)}


@pytest.mark.django_db
def test_a_message_is_given_up_after_a_day_and_can_be_sent_again(
    listener: Listener, noon: time_machine.Traveller
) -> None:
    hook, _ = add(listener)
    listener.status = 500
    webhooks.send_test(hook, actor=TESTING)
    calling.call_due()
    noon.shift(timedelta(hours=25))
    calling.call_due()
    assert messages() == [("webhook.tested", "failed")]
    listener.status = 200

    webhooks.try_again(WebhookMessage.objects.get(), actor=TESTING)
    calling.call_due()

    assert messages() == [("webhook.tested", "sent")]


@pytest.mark.django_db
def test_a_webhook_in_trouble_is_called_once_and_holds_up_no_other(
    listener: Listener, noon: time_machine.Traveller
) -> None:
    dead, _ = webhooks.add("Dead", "http://127.0.0.1:1/", [], actor=TESTING)
    hook, _ = add(listener)
    for _ in range(3):
        with transaction.atomic():
            webhooks.send_test(dead, actor=acting_anew())
            webhooks.send_test(hook, actor=acting_anew())

    calling.call_due()

    assert len(listener.arrived) == 3
    assert sum(WebhookMessage.objects.filter(webhook=dead).values_list("attempts", flat=True)) == 1
    assert "could not be reached" in WebhookMessage.objects.filter(webhook=dead, attempts=1).get().last_error


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("http://169.254.169.254/latest", "url"),
        ("ftp://example.com/", "url"),
        ("https://user:secret@example.com/", "url"),
        ("nothing", "url"),
        ("https://example.com/" + "x" * 500, "url"),
    ],
)
def test_an_address_that_must_not_be_called_is_refused(url: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        webhooks.add("Chat", url, [], actor=TESTING)

    assert list(refused.value.fields) == [field]


@pytest.mark.django_db
def test_production_wants_https_and_calls_nothing_on_its_own_machine(settings: object, listener: Listener) -> None:
    hook, _ = add(listener)
    webhooks.send_test(hook, actor=TESTING)
    settings.ENVIRONMENT = SimpleNamespace(is_production=True)  # type: ignore[attr-defined]

    with pytest.raises(Invalid, match="https"):
        webhooks.add("Other", "http://example.com/", [], actor=TESTING)
    calling.call_due()

    assert listener.arrived == []
    assert WebhookMessage.objects.get().last_error == "The address is the machine Gatehouse runs on."


@pytest.mark.django_db
def test_a_name_is_taken_once_and_free_again_after_the_end(listener: Listener) -> None:
    hook, _ = add(listener)
    with pytest.raises(Invalid):
        add(listener)
    webhooks.send_test(hook, actor=TESTING)

    webhooks.end(hook, actor=TESTING)

    add(listener)
    assert messages() == [("webhook.tested", "dropped")]
    with pytest.raises(Conflict):
        webhooks.renew_secret(hook, actor=TESTING)


@pytest.mark.django_db
def test_a_paused_webhook_is_called_when_it_goes_on(listener: Listener) -> None:
    hook, _ = add(listener)
    webhooks.send_test(hook, actor=TESTING)
    known = {"name": "Chat", "url": listener.url, "kinds": [], "actor": TESTING}
    webhooks.change(hook, is_paused=True, **known)  # type: ignore[arg-type]
    assert calling.call_due() == 0

    webhooks.change(hook, is_paused=False, **known)  # type: ignore[arg-type]

    assert calling.call_due() == 1


@pytest.mark.django_db
def test_the_secret_and_the_address_are_nowhere_in_clear(listener: Listener) -> None:
    hook, secret = add(listener)
    renewed = webhooks.renew_secret(hook, actor=TESTING)

    kept = str(list(Webhook.objects.values())) + str(list(Pending.objects.values_list("body", flat=True)))
    history = str(list(ConfigurationChange.objects.values_list("changes", flat=True)))

    for hidden in (secret, renewed):
        assert hidden not in kept + history
    assert listener.url not in history
    assert ConfigurationChange.objects.exists()


def _signed_with(headers: Any, body: bytes, secret: str) -> str:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@pytest.mark.django_db
def test_the_secret_before_signs_as_well_for_a_day(listener: Listener) -> None:
    hook, first = add(listener)
    second = webhooks.renew_secret(hook, actor=TESTING)
    third = webhooks.renew_secret(hook, actor=TESTING)

    webhooks.send_test(hook, actor=acting_anew())
    calling.call_due()
    headers, body = listener.arrived[-1]
    assert headers["webhook-signature"].split(" ") == [_signed_with(headers, body, one) for one in (third, second)]
    assert _signed_with(headers, body, first) not in headers["webhook-signature"]

    Webhook.objects.update(former_until=now())
    webhooks.send_test(hook, actor=acting_anew())
    calling.call_due()
    headers, body = listener.arrived[-1]
    assert headers["webhook-signature"] == _signed_with(headers, body, third)

    assert forgetting.forget_old() == 1
    hook.refresh_from_db()
    assert (hook.former_secret_encrypted, hook.former_until) == ("", None)


@pytest.mark.django_db
def test_the_secret_before_is_stopped_at_once_when_it_became_known(listener: Listener) -> None:
    hook, _ = add(listener)
    secret = webhooks.renew_secret(hook, actor=TESTING)

    webhooks.end_former_secret(hook, actor=TESTING)
    webhooks.end_former_secret(hook, actor=TESTING)

    webhooks.send_test(hook, actor=acting_anew())
    calling.call_due()
    headers, body = listener.arrived[-1]
    assert headers["webhook-signature"] == _signed_with(headers, body, secret)
    hook.refresh_from_db()
    assert hook.former_secret_encrypted == ""


@pytest.mark.django_db
def test_secrets_move_to_the_newest_field_key(listener: Listener) -> None:
    hook, _ = add(listener)
    webhooks.renew_secret(hook, actor=TESTING)
    hook.refresh_from_db()
    before, former = hook.secret_encrypted, hook.former_secret_encrypted
    secret = webhooks.secret_bytes(hook)

    call_command("rotate_field_keys")

    hook.refresh_from_db()
    assert hook.secret_encrypted != before
    assert hook.former_secret_encrypted != former
    assert len(webhooks.signing_secrets(hook, at=now())) == 2
    assert webhooks.secret_bytes(hook) == secret


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_call_once_for_each_message(listener: Listener) -> None:
    hook, _ = add(listener)
    for _ in range(10):
        webhooks.send_test(hook, actor=acting_anew())
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        try:
            calling.call_due()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=run) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert len(listener.arrived) == 10
    assert len({headers["webhook-id"] for headers, _ in listener.arrived}) == 10


@pytest.mark.django_db
def test_a_worker_killed_in_the_call_leaves_the_message_to_another(
    listener: Listener, noon: time_machine.Traveller
) -> None:
    hook, _ = add(listener)
    webhooks.send_test(hook, actor=TESTING)
    assert len(calling.claim(now() + calling.CLAIM)) == 1
    assert calling.call_due() == 0
    noon.shift(timedelta(minutes=6))

    assert calling.call_due() == 1
