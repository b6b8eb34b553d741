"""Other systems that are told: who they are, and what waits to be sent to them. Delivery is in `calling.py`.

Messages follow the Standard Webhooks specification (standardwebhooks.com), so that receivers can verify them with its
libraries: an id, a time, and an HMAC-SHA256 over both and the body.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.notices import events
from governance.notices.kinds import INSIDE, KINDS, path_of
from governance.notices.models import LetterState, Webhook, WebhookMessage
from governance.provisioning.connectors.addresses import base_url_problem
from governance.provisioning.secrets import decrypt, encrypt

#: The kind of the message that an administrator sends to try a webhook.
TEST_KIND = "webhook.tested"
#: Messages shown of each webhook.
SHOWN = 50
#: So long the secret before signs as well, after a new one was made.
OVERLAP = timedelta(hours=24)
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Message:
    """One person is told one thing; those with one cause and kind become one message."""

    kind: str
    cause: str
    person_id: int
    facts: Mapping[str, object]
    at: datetime


def enqueue(messages: Sequence[Message], people: Mapping[int, Person], *, at: datetime) -> None:
    """Write what webhooks are told about these people, each once. Joins the caller's transaction."""
    hooks = list(live()) if messages else []
    if not hooks:
        return
    grouped: dict[tuple[str, str], list[Message]] = {}
    for one in messages:
        if one.person_id in people:
            grouped.setdefault((one.kind, one.cause), []).append(one)
    bodies = {key: _body(told, people) for key, told in grouped.items()}
    WebhookMessage.objects.bulk_create(
        [
            WebhookMessage(webhook=hook, kind=kind, cause=cause, body=body, created_at=at, next_attempt_at=at)
            for (kind, cause), body in bodies.items()
            for hook in hooks
            if not hook.kinds or kind in hook.kinds
        ],
        ignore_conflicts=True,
    )


def live() -> Iterable[Webhook]:
    """Return the webhooks that are told; those that are paused are not."""
    return Webhook.objects.filter(ended_at__isnull=True, paused_at__isnull=True).order_by("pk")


@transaction.atomic
def add(name: str, url: str, kinds: Sequence[str], *, actor: Actor) -> tuple[Webhook, str]:
    """Return a new webhook and its secret, which is shown once. Raises Invalid."""
    name, url = name.strip(), url.strip()
    _refuse(_problems(name, url, kinds, but=None))
    secret = new_secret()
    row = Webhook.objects.create(
        name=name, url=url, kinds=sorted(kinds), secret_encrypted=encrypt(secret), created_at=now()
    )
    _record(events.WEBHOOK_ADDED, row, {"kinds": row.kinds}, actor=actor)
    return row, secret


@transaction.atomic
def change(hook: Webhook, *, name: str, url: str, kinds: Sequence[str], is_paused: bool, actor: Actor) -> Webhook:
    """Keep what a webhook wants. Raises Invalid, and Conflict for one that was ended."""
    name, url = name.strip(), url.strip()
    row = _locked(hook)
    _refuse(_problems(name, url, kinds, but=row.pk))
    row.name, row.url, row.kinds = name, url, sorted(kinds)
    row.paused_at = (row.paused_at or now()) if is_paused else None
    row.save(update_fields=["name", "url", "kinds", "paused_at"])
    _record(events.WEBHOOK_CHANGED, row, {"kinds": row.kinds, "is_paused": is_paused}, actor=actor)
    return row


@transaction.atomic
def renew_secret(hook: Webhook, *, actor: Actor) -> str:
    """Return a new secret, which is shown once. Messages are signed with it from now on.

    For `OVERLAP` they are signed with the one before as well, so that the other system loses none while it is changed.
    """
    row, secret = _locked(hook), new_secret()
    row.former_secret_encrypted, row.former_until = row.secret_encrypted, now() + OVERLAP
    row.secret_encrypted = encrypt(secret)
    row.save(update_fields=["secret_encrypted", "former_secret_encrypted", "former_until"])
    data: dict[str, object] = {"secret": "renewed", "former_until": row.former_until.isoformat()}
    _record(events.WEBHOOK_CHANGED, row, data, actor=actor)
    return secret


@transaction.atomic
def end_former_secret(hook: Webhook, *, actor: Actor) -> None:
    """Sign with the new secret only from now on, as when the one before became known to others; again is fine."""
    row = _locked(hook)
    if row.former_until is not None:
        _forget_former(row, actor=actor)


@transaction.atomic
def drop_former_secrets() -> int:
    """Delete the secrets before that sign nothing any more; return how many."""
    over = list(Webhook.objects.select_for_update(skip_locked=True, no_key=True).filter(former_until__lte=now()))
    for row in over:
        _forget_former(row, actor=Actor.system("notices"))
    return len(over)


def _forget_former(row: Webhook, *, actor: Actor) -> None:
    row.former_secret_encrypted, row.former_until = "", None
    row.save(update_fields=["former_secret_encrypted", "former_until"])
    _record(events.WEBHOOK_CHANGED, row, {"secret": "former ended"}, actor=actor)


@transaction.atomic
def end(hook: Webhook, *, actor: Actor) -> None:
    """Tell a webhook nothing more; what waits is dropped. Again is fine."""
    at = now()
    row = Webhook.objects.select_for_update(no_key=True).get(pk=hook.pk)
    if row.ended_at is not None:
        return
    row.ended_at, row.former_secret_encrypted, row.former_until = at, "", None
    # Its name is free again.
    row.name = f"{row.name[:60]} (ended {at:%Y%m%d%H%M%S})"
    row.save(update_fields=["ended_at", "name", "former_secret_encrypted", "former_until"])
    WebhookMessage.objects.filter(webhook=hook, state=LetterState.WAITING).update(
        state=LetterState.DROPPED, settled_at=at
    )
    _record(events.WEBHOOK_ENDED, hook, {}, actor=actor)


@transaction.atomic
def send_test(hook: Webhook, *, actor: Actor) -> WebhookMessage:
    """Have a message sent that says it is a test."""
    at = now()
    row = _locked(hook)
    body = {"type": TEST_KIND, "timestamp": at.isoformat(), "data": {"title": "This is a test of the webhook."}}
    _record(events.WEBHOOK_TESTED, row, {}, actor=actor)
    return WebhookMessage.objects.create(
        webhook=row,
        kind=TEST_KIND,
        cause=f"act:{actor.correlation_id}",
        body=body,
        created_at=at,
        next_attempt_at=at,
    )


@transaction.atomic
def try_again(message: WebhookMessage, *, actor: Actor) -> None:
    """Have a message that failed for good sent again now; again is fine."""
    at = now()
    failed = WebhookMessage.objects.filter(pk=message.pk, state=LetterState.FAILED)
    if failed.update(state=LetterState.WAITING, settled_at=None, attempts=0, created_at=at, next_attempt_at=at):
        _record(events.WEBHOOK_RETRIED, message.webhook, {"message": str(message.ref)}, actor=actor)


def new_secret() -> str:
    """Return a secret as the specification writes it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(hook: Webhook) -> bytes:
    """Return the secret to sign with. Raises SecretUnreadable."""
    return _bytes(hook.secret_encrypted)


def signing_secrets(hook: Webhook, *, at: datetime) -> list[bytes]:
    """Return the secrets to sign with at an instant, the newest first. Raises SecretUnreadable."""
    former = hook.former_secret_encrypted if hook.former_until is not None and hook.former_until > at else ""
    return [secret_bytes(hook), *([_bytes(former)] if former else [])]


def _bytes(encrypted: str) -> bytes:
    return base64.b64decode(decrypt(encrypted).removeprefix(_PREFIX))


def _body(told: Sequence[Message], people: Mapping[int, Person]) -> dict[str, Any]:
    first = told[0]
    facts = {name: fact for name, fact in first.facts.items() if name not in INSIDE}
    to = [people[one.person_id] for one in told]
    return {
        "type": first.kind,
        "timestamp": first.at.isoformat(),
        "data": {
            **facts,
            "title": KINDS[first.kind].name,
            "url": f"{settings.PUBLIC_URL}{path_of(first.kind, first.facts)}",
            "to": [{"ref": str(one.ref), "name": one.display_name, "email": one.email} for one in to],
        },
    }


def _problems(name: str, url: str, kinds: Sequence[str], *, but: int | None) -> dict[str, str]:
    problems = {}
    if not name or len(name) > 80:
        problems["name"] = "Give it a name of 1 to 80 characters."
    elif Webhook.objects.filter(name=name).exclude(pk=but or 0).exists():
        problems["name"] = "There is a webhook with this name already."
    if problem := _address_problem(url):
        problems["url"] = problem
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        problems["kinds"] = f"There is nothing called {', '.join(unknown)}."
    return problems


def _address_problem(url: str) -> str | None:
    if len(url) > 500:
        return "The address has at most 500 characters."
    return base_url_problem(url.partition("?")[0], requires_tls=settings.ENVIRONMENT.is_production)


def _refuse(problems: Mapping[str, str]) -> None:
    if problems:
        raise Invalid(problems)


def _locked(hook: Webhook) -> Webhook:
    row = Webhook.objects.select_for_update(no_key=True).get(pk=hook.pk)
    if row.ended_at is not None:
        raise Conflict(f"The webhook {row.name} was ended.")
    return row


def _record(event: str, row: Webhook, data: dict[str, object], *, actor: Actor) -> None:
    record(event, actor=actor, subjects=[Subject("webhook", str(row.pk))], data={"name": row.name, **data})
