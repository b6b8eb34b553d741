"""The writers of connectors: how an application is reached. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from governance.catalog.models import Application
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.core.wakeup import wake
from governance.ledger.recording import Subject, record
from governance.provisioning import events
from governance.provisioning.connectors.addresses import base_url_problem
from governance.provisioning.connectors.base import Permanent, Transient
from governance.provisioning.models import Connector, ConnectorKind, Operation, OperationState
from governance.provisioning.reaching import connector_for
from governance.provisioning.secrets import SecretUnreadable, encrypt

CLOSES = ("deactivate", "delete", "keep")
KNOWN_OPTIONS = frozenset({"closes_accounts", "creates_missing_groups"})
LONGEST_SECRET = 4000


@transaction.atomic
def save_connector(
    application: Application,
    *,
    kind: str,
    base_url: str = "",
    secret: str | None = None,
    options: Mapping[str, Any] | None = None,
    actor: Actor,
) -> Connector:
    """Say how an application is reached; `secret` None keeps the present one.

    A closed circuit and a new try for what waits follow at once. Raises Invalid naming each wrong field.
    """
    _check(kind, base_url, secret, options or {})
    row = Connector.objects.select_for_update(no_key=True).filter(application=application).first()
    row = row or Connector(application=application, created_at=now())
    if kind == ConnectorKind.SCIM2 and not secret and not row.secret_encrypted:
        raise Invalid({"secret": "Enter the token the application gave you."})
    row.kind = kind
    row.base_url = base_url.strip().rstrip("/")
    row.options = dict(options or {})
    if secret:
        row.secret_encrypted = encrypt(secret.strip())
    row.circuit_opened_at = row.circuit_retry_at = None
    row.failures_in_a_row, row.last_error, row.next_step = 0, "", ""
    row.save()
    waiting = Operation.objects.filter(application=application, state=OperationState.WAITING)
    waiting.update(next_attempt_at=now(), next_step="")
    record(
        events.CONNECTOR_SAVED,
        actor=actor,
        subjects=[Subject("application", str(application.pk))],
        data={"kind": kind, "new_secret": bool(secret)},
    )
    wake("provisioning.deliver_due")
    return row


def test_connector(application: Application) -> Transient | Permanent | None:
    """Ask an application whether it answers; return what stands in the way, or None. Changes nothing.

    Raises Conflict when it is worked by hand.
    """
    row = Connector.objects.filter(application=application).first()
    if row is None or row.kind == ConnectorKind.MANUAL:
        raise Conflict(f"{application.name} is worked by hand; there is nothing to test.")
    try:
        return connector_for(row).probe()
    except SecretUnreadable as unreadable:
        return Permanent(str(unreadable), "Enter the token again.", concerns_everything=True)


@transaction.atomic
def request_reading(application: Application, *, actor: Actor) -> None:
    """Have an application read soon.

    Raises Conflict when it is worked by hand.
    """
    changed = (
        Connector.objects.filter(application=application)
        .exclude(kind=ConnectorKind.MANUAL)
        .update(read_requested_at=now())
    )
    if not changed:
        raise Conflict(f"{application.name} is worked by hand; Gatehouse cannot read it.")
    record(events.READING_REQUESTED, actor=actor, subjects=[Subject("application", str(application.pk))])
    wake("provisioning.sync_due")


def _check(kind: str, base_url: str, secret: str | None, options: Mapping[str, Any]) -> None:
    problems: dict[str, str] = {}
    if kind not in ConnectorKind.values:
        problems["kind"] = f"Choose one of {', '.join(ConnectorKind.values)}."
    elif kind == ConnectorKind.SCIM2:
        problem = base_url_problem(base_url.strip(), requires_tls=settings.ENVIRONMENT.is_production)
        if problem:
            problems["base_url"] = problem
        elif len(base_url) > 500:
            problems["base_url"] = "At most 500 characters."
    if secret and (len(secret) > LONGEST_SECRET or not secret.isprintable()):
        problems["secret"] = f"A token has at most {LONGEST_SECRET} printable characters."
    if unknown := set(options) - KNOWN_OPTIONS:
        problems["options"] = f"Unknown: {', '.join(sorted(unknown))}."
    elif options.get("closes_accounts", "deactivate") not in CLOSES:
        problems["options"] = f"closes_accounts is one of {', '.join(CLOSES)}."
    if problems:
        raise Invalid(problems)
