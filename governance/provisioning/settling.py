"""How an order comes out, each in one transaction, by conditional update: whoever holds the claim settles.

Functions that may find the application in trouble return until when it must be left alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.recording import Subject, record
from governance.provisioning import backoff, events, observing
from governance.provisioning.connectors.base import Delivered, Permanent, Seen, Transient
from governance.provisioning.models import Connector, Operation, OperationKind, OperationState


@transaction.atomic
def sent(operation: Operation, delivered: Delivered, *, worker: str) -> bool:
    """Write that the application accepted an order; return whether the order was still this worker's."""
    at = now()
    if not _settle(operation, worker, state=OperationState.DELIVERED, delivered_at=at, last_error="", next_step=""):
        return False
    if delivered.account_id:
        observing.note_account(operation, delivered, at=at)
    _record(events.OPERATION_DELIVERED, operation, {"attempts": operation.attempts + 1})
    Operation.objects.filter(pk=operation.pk).update(attempts=F("attempts") + 1)
    return True


@transaction.atomic
def verified(operation: Operation, seen: Seen, *, worker: str) -> None:
    """Write that the application was asked again and showed what was ordered."""
    at = now()
    done = {"state": OperationState.VERIFIED, "verified_at": at, "last_error": "", "next_step": ""}
    if not _settle(operation, worker, claimed_by="", claimed_until=None, **done):
        return
    observing.note_read_back(operation, seen, at=at)
    _works_again(operation)
    ordered_seconds = (at - operation.ordered_at).total_seconds()
    _record(events.OPERATION_VERIFIED, operation, {"milliseconds_since_order": int(ordered_seconds * 1000)})


@transaction.atomic
def not_sent(operation: Operation, outcome: Transient | Permanent, *, worker: str) -> datetime | None:
    """Write that an order did not arrive: tried again later, or failed for good."""
    at = now()
    is_final = isinstance(outcome, Permanent) and not outcome.concerns_everything
    if is_final or at - operation.ordered_at > backoff.TRIED_FOR:
        _fail(operation, outcome.cause, outcome.next_step, at=at, worker=worker)
        return None
    wait = outcome.retry_after_seconds if isinstance(outcome, Transient) else None
    attempts = operation.attempts + 1
    is_mine = _settle(
        operation,
        worker,
        state=OperationState.WAITING,
        claimed_by="",
        claimed_until=None,
        attempts=attempts,
        next_attempt_at=backoff.next_attempt(at, attempts, wait),
        last_error=outcome.cause[:500],
        next_step=outcome.next_step[:300],
    )
    if is_mine:
        _record(events.OPERATION_PUT_OFF, operation, {"attempts": attempts})
    return _note_trouble(operation, outcome, at=at)


@transaction.atomic
def not_shown(operation: Operation, answer: Seen | Transient | Permanent, *, worker: str) -> datetime | None:
    """Write that an accepted order does not show yet, or that the application could not be asked."""
    at = now()
    delivered_at = Operation.objects.values_list("delivered_at", flat=True).get(pk=operation.pk) or at
    cause, next_step = _why_not_shown(operation, answer)
    limit = backoff.ASKED_FOR if isinstance(answer, Seen) else backoff.TRIED_FOR
    if at - delivered_at > limit or (isinstance(answer, Permanent) and not answer.concerns_everything):
        _fail(operation, cause, next_step, at=at, worker=worker)
        return None
    wait = answer.retry_after_seconds if isinstance(answer, Transient) else None
    _settle(
        operation,
        worker,
        claimed_by="",
        claimed_until=None,
        next_attempt_at=backoff.next_question(at, delivered_at, wait),
        last_error=cause[:500],
        next_step=next_step[:300],
    )
    return None if isinstance(answer, Seen) else _note_trouble(operation, answer, at=at)


def _why_not_shown(operation: Operation, answer: Seen | Transient | Permanent) -> tuple[str, str]:
    if not isinstance(answer, Seen):
        return answer.cause, answer.next_step
    name = operation.application.name
    if operation.kind == OperationKind.GIVE:
        return f"{name} accepted it and does not show it.", f"Look in {name} whether something else takes it away."
    return f"{name} accepted it and still shows the access.", f"Remove it in {name} by hand, then try again."


def _settle(operation: Operation, worker: str, **change: Any) -> bool:
    mine = Operation.objects.filter(pk=operation.pk, claimed_by=worker, claimed_until__gt=now() - timedelta(hours=1))
    return bool(mine.filter(state__in=(OperationState.SENDING, OperationState.DELIVERED)).update(**change))


def _fail(operation: Operation, cause: str, next_step: str, *, at: datetime, worker: str) -> None:
    change = {"state": OperationState.FAILED, "failed_at": at, "claimed_by": "", "claimed_until": None}
    said = {"last_error": cause[:500], "next_step": next_step[:300], "attempts": operation.attempts + 1}
    if _settle(operation, worker, **change, **said):
        _record(events.OPERATION_FAILED, operation, {"attempts": operation.attempts + 1})


def _note_trouble(operation: Operation, outcome: Transient | Permanent, *, at: datetime) -> datetime | None:
    """Count a failure of the application; open its circuit after several in a row, or when nothing can work."""
    row = Connector.objects.select_for_update(no_key=True).get(application_id=operation.application_id)
    row.failures_in_a_row += 1
    row.last_error, row.next_step = outcome.cause[:500], outcome.next_step[:300]
    if isinstance(outcome, Permanent) or row.failures_in_a_row >= backoff.FAILURES_TO_OPEN:
        if row.circuit_opened_at is None:
            row.circuit_opened_at = at
            _record_circuit(events.CIRCUIT_OPENED, operation)
        row.circuit_retry_at = backoff.circuit_retry(at, row.failures_in_a_row)
    row.save(update_fields=["failures_in_a_row", "last_error", "next_step", "circuit_opened_at", "circuit_retry_at"])
    return row.circuit_retry_at


def _works_again(operation: Operation) -> None:
    row = operation.application.connector
    if not (row.failures_in_a_row or row.circuit_opened_at):
        return
    healed = {"failures_in_a_row": 0, "last_error": "", "next_step": "", "circuit_retry_at": None}
    troubled = Connector.objects.filter(pk=row.pk)
    if troubled.filter(circuit_opened_at__isnull=False).update(circuit_opened_at=None, **healed):
        _record_circuit(events.CIRCUIT_CLOSED, operation)
    else:
        troubled.update(**healed)
    row.failures_in_a_row, row.circuit_opened_at = 0, None


def _record(event: str, operation: Operation, data: dict[str, object]) -> None:
    record(
        event,
        actor=Actor.system("delivery").caused_by(operation.correlation_id),
        subjects=subjects_of(operation),
        data={"kind": operation.kind, "origin": operation.origin, **data},
    )


def _record_circuit(event: str, operation: Operation) -> None:
    record(
        event,
        actor=Actor.system("delivery").caused_by(operation.correlation_id),
        subjects=[Subject("application", str(operation.application_id))],
    )


def subjects_of(operation: Operation) -> list[Subject]:
    """Return how the ledger names an order, whom it is about and what."""
    return [
        Subject("operation", str(operation.pk)),
        Subject("person", str(operation.person.ref)),
        Subject("application", str(operation.application_id)),
        Subject("entitlement", str(operation.entitlement_id)),
    ]
