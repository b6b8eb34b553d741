"""Carries messages to webhooks: claimed, called outside of any transaction, settled; tried again for a day.

Only addresses that a connector may reach are called; a redirect is not followed, it is a failure like any other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

import httpx
import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from governance.core.clock import now
from governance.notices.models import LetterState, Webhook, WebhookMessage
from governance.notices.webhooks import signing_secrets
from governance.provisioning.connectors.addresses import AddressRefused, GuardedTransport
from governance.provisioning.secrets import SecretUnreadable

CLAIMED = 50
CLAIM = timedelta(minutes=5)
TIMEOUT_SECONDS = 5.0
_LONGEST_SECONDS = 60.0
#: Pauses between the tries, in seconds; the last one is repeated until `TRIED_FOR` is over.
PAUSES = (5, 30, 120, 600, 1_800, 3_600)
TRIED_FOR = timedelta(days=1)


def call_due() -> int:
    """Send the messages that are due; return how many were settled or put off."""
    done, start = 0, time.monotonic()
    while time.monotonic() - start < _LONGEST_SECONDS:
        until = now() + CLAIM
        claimed = claim(until)
        if not claimed:
            break
        for _, batch in groupby(claimed, key=lambda one: one.webhook_id):
            done += _call(list(batch), until, start)
    return done


@transaction.atomic
def claim(until: datetime) -> list[WebhookMessage]:
    """Return due messages, which are this worker's until the claim ends; those of one webhook together."""
    at = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=at)
    due = WebhookMessage.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        free, state=LetterState.WAITING, next_attempt_at__lte=at, webhook__paused_at__isnull=True
    )
    found = list(due.select_related("webhook").order_by("next_attempt_at", "id")[:CLAIMED])
    WebhookMessage.objects.filter(pk__in=[one.pk for one in found]).update(claimed_until=until)
    return sorted(found, key=lambda one: (one.webhook_id, one.pk))


def signature(secret: bytes, ref: str, seconds: int, body: bytes) -> str:
    """Return what `webhook-signature` says: HMAC-SHA256 over id, time and body (Standard Webhooks, "Signature scheme").

    A receiver refuses a time that is too far from its own clock, so that a message that was listened to is of no use.
    """
    signed = f"{ref}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def _call(batch: Sequence[WebhookMessage], until: datetime, start: float) -> int:
    """Send messages of one webhook until it fails once; the rest waits for the same time."""
    hook = batch[0].webhook
    transport = GuardedTransport(allows_loopback=not settings.ENVIRONMENT.is_production, max_connections=1)
    with httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
        for number, message in enumerate(batch):
            if time.monotonic() - start > _LONGEST_SECONDS:
                _release(batch[number:], until, at=now())
                return number
            status, cause = _send(client, hook, message)
            if cause:
                _release(batch[number + 1 :], until, at=_put_off(message, status, cause, until))
                return number + 1
            _settle(message, until, LetterState.SENT, status, "")
    return len(batch)


def _send(client: httpx.Client, hook: Webhook, message: WebhookMessage) -> tuple[int | None, str]:
    """Send one message; return the status, and why that is no success, else nothing."""
    at = now()
    body, seconds, ref = orjson.dumps(message.body), int(at.timestamp()), str(message.ref)
    try:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Gatehouse",
            "webhook-id": ref,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signature(one, ref, seconds, body) for one in signing_secrets(hook, at=at)),
        }
        with client.stream("POST", hook.url, content=body, headers=headers) as answer:
            status = answer.status_code
    except SecretUnreadable:
        return None, "The key of this secret is not in FIELD_KEYS. Make a new secret."
    except AddressRefused as refused:
        return None, str(refused)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return None, f"It could not be reached: {str(error) or type(error).__name__}"[:500]
    if 300 <= status < 400:
        return status, f"It answered {status}: redirects are not followed. Enter the address it leads to."
    return status, "" if status < 300 else f"It answered {status}."


def _settle(message: WebhookMessage, until: datetime, state: LetterState, status: int | None, cause: str) -> None:
    mine = WebhookMessage.objects.filter(pk=message.pk, state=LetterState.WAITING, claimed_until=until)
    mine.update(
        state=state,
        settled_at=now(),
        claimed_until=None,
        attempts=F("attempts") + 1,
        status=status,
        last_error=cause[:500],
    )


def _put_off(message: WebhookMessage, status: int | None, cause: str, until: datetime) -> datetime:
    """Have a message tried again later, or give it up after a day; return when its webhook is tried again."""
    at = now()
    again = at + timedelta(seconds=PAUSES[min(message.attempts, len(PAUSES) - 1)])
    if at - message.created_at > TRIED_FOR:
        _settle(message, until, LetterState.FAILED, status, cause)
        return again
    mine = WebhookMessage.objects.filter(pk=message.pk, state=LetterState.WAITING, claimed_until=until)
    mine.update(
        claimed_until=None,
        attempts=message.attempts + 1,
        next_attempt_at=again,
        status=status,
        last_error=cause[:500],
    )
    return again


def _release(batch: Sequence[WebhookMessage], until: datetime, *, at: datetime) -> None:
    mine = WebhookMessage.objects.filter(pk__in=[one.pk for one in batch], claimed_until=until)
    mine.update(claimed_until=None, next_attempt_at=at)
