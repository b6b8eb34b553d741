"""What becomes of a run of a birthright rule that fails: tried again later, then put aside for a person to look at.

The pauses are kept in its row. Nothing else waits for it: other rules go on, and so does a later run of the same rule.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from governance.access import events
from governance.access.models import RuleRun
from governance.catalog.models import BirthrightRule
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, DomainError
from governance.core.wakeup import wake
from governance.ledger.recording import Subject, record

WAKE = "access.apply_rules"
#: So often in a row, over more than a minute: long enough for what passes by itself.
FAILURES_TO_PARK = 5
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_CAUSE = 300
#: What a run that got on says about failing.
AFRESH = {"failures": 0, "retry_at": None, "parked_at": None, "cause": ""}

logger = logging.getLogger(__name__)


def is_due(at: datetime) -> Q:
    """Return what selects the runs that are to be worked on: begun, not finished, not put aside or in a pause."""
    is_open = Q(finished_at__isnull=True, parked_at__isnull=True, due_at__lte=at)
    return is_open & (Q(retry_at__isnull=True) | Q(retry_at__lte=at))


@transaction.atomic
def note_failure(run_id: int, error: Exception) -> None:
    """Write that a step of a run failed: it is tried again after a pause, or put aside after the last of them."""
    at = now()
    run = RuleRun.objects.select_for_update(of=("self",)).select_related("rule").defer("people").get(pk=run_id)
    if run.finished_at is not None or run.parked_at is not None:
        return
    run.failures += 1
    run.cause = _cause(error)
    if run.failures < FAILURES_TO_PARK:
        run.retry_at = at + FIRST_PAUSE * 2 ** (run.failures - 1)
        logger.warning("The rule %s is not applied, trying again: %s", run.rule.slug, run.cause)
    else:
        run.parked_at = at
        logger.error("The rule %s is not applied and waits for a person.", run.rule.slug, exc_info=error)
        # Not the sentence: it may name somebody.
        data = {"version": _number(run), "done": run.done, "total": run.total, "error": type(error).__name__}
        actor = Actor.system("birthright", correlation_id=run.correlation_id)
        record(events.RULE_PARKED, actor=actor, subjects=[Subject("rule", run.rule.slug)], data=data)
    run.save(update_fields=["failures", "cause", "retry_at", "parked_at"])


@transaction.atomic
def try_again(rule: BirthrightRule, *, actor: Actor) -> None:
    """Have what was put aside of a rule tried again, from where it stopped.

    Raises Conflict when nothing of it is put aside.
    """
    parked = RuleRun.objects.select_for_update(of=("self",)).filter(
        rule=rule, parked_at__isnull=False, finished_at__isnull=True
    )
    runs = list(parked.select_related("version").defer("people").order_by("pk"))
    if not runs:
        raise Conflict(f"Nothing of {rule.name} waits to be tried again.")
    RuleRun.objects.filter(pk__in=[run.pk for run in runs]).update(**AFRESH)
    data = {"versions": [_number(run) for run in runs]}
    record(events.RULE_TRIED_AGAIN, actor=actor, subjects=[Subject("rule", rule.slug)], data=data)
    wake(WAKE)


def close_parked(run: RuleRun, *, at: datetime) -> None:
    """Close what was put aside of the same rule before a run that is done: it did what that was to do.

    Joins the caller's transaction. What another worker is at is left; it finds nothing to do.
    """
    before = RuleRun.objects.filter(rule=run.rule_id, pk__lt=run.pk, parked_at__isnull=False, finished_at__isnull=True)
    found = before.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    RuleRun.objects.filter(pk__in=list(found)).update(finished_at=at, people=[])


def _cause(error: Exception) -> str:
    """Return what a person reads: a domain error in its own words, anything else by name and first line."""
    said = str(error).strip().partition("\n")[0]
    text = said if isinstance(error, DomainError) and said else f"{type(error).__name__}: {said}".rstrip(": ")
    return text if len(text) <= LONGEST_CAUSE else f"{text[: LONGEST_CAUSE - 1]}…"


def _number(run: RuleRun) -> int | None:
    return run.version.number if run.version is not None else None
