"""Changing a birthright rule, and bringing everybody in line with it: as a set, in batches, wherever it was killed.

The change itself is one short transaction. Whoever joins or moves afterwards is judged by it at once; everybody else
is listed by one question and done in batches by workers. What fails is put aside (`rule_parking`) and holds up nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from governance.access import birthright, events, rule_parking
from governance.access.birthright_sets import concerned_people, scope_of
from governance.access.models import RuleRun
from governance.catalog import rules
from governance.catalog.models import BirthrightRule, BirthrightRuleVersion
from governance.catalog.rules import RuleTerms
from governance.catalog.rules_queries import rules_in_force
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.statements import row
from governance.core.wakeup import wake
from governance.ledger.recording import Subject, record

#: Small enough that nobody whose row it locks waits long, large enough that the cost of a transaction is shared.
BATCH = 500
#: What is planned begins so much later, so that no server whose clock is behind judges by the version before.
CLOCKS_DIFFER = timedelta(seconds=1)


@transaction.atomic
def change_rule(terms: RuleTerms, *, slug: str = "", actor: Actor) -> BirthrightRuleVersion:
    """Return the new version of a rule, and have everybody brought in line with it when it begins.

    What it raises is that of `catalog.rules.save_rule`.
    """
    version = rules.save_rule(terms, slug=slug, actor=actor)
    planned = version.effective_at > version.created_at
    due_at = version.effective_at + CLOCKS_DIFFER if planned else version.effective_at
    _order(version.rule, version, due_at=due_at, actor=actor)
    return version


@transaction.atomic
def retire_rule(rule: BirthrightRule, *, actor: Actor) -> None:
    """Put a rule out of force for good, and have what only it gave taken away.

    Raises Conflict when it was retired before.
    """
    rules.retire_rule(rule, actor=actor)
    _order(rule, None, due_at=now(), actor=actor)


@transaction.atomic
def call_off(rule: BirthrightRule, number: int, *, actor: Actor) -> None:
    """Take back a version of a rule that has not begun; the one before stays in force, and nobody is looked at.

    What it raises is that of `catalog.rules.call_off`.
    """
    version = rules.call_off(rule, number, before=now() + CLOCKS_DIFFER, actor=actor)
    RuleRun.objects.filter(version=version, listed_at__isnull=True).delete()


def work() -> int:
    """Do what is due of all runs that no other worker is at; return for how many people something was looked at.

    A run is left for the next tick where a transaction that began before its change has not ended: it may judge by the
    old version, so everybody is listed after it. One that fails is left for later. The others go on meanwhile.
    """
    looked_at, turn = 0, _Turn()
    while (did := _step(turn)) is not None:
        looked_at += did
    return looked_at


@dataclass(slots=True)
class _Turn:
    """What one worker is at, and what it leaves for the next tick."""

    run_id: int | None = None
    left: set[int] = field(default_factory=set)

    def put_down(self) -> None:
        """Be at nothing."""
        self.run_id = None


def _step(turn: _Turn) -> int | None:
    """Take one step of the oldest run that is due and return for how many people; None when there is nothing to do."""
    turn.put_down()
    try:
        return _take_step(turn)
    except Exception as error:  # Whatever it is, the other runs must not wait for it.
        if turn.run_id is None:
            raise
        rule_parking.note_failure(turn.run_id, error)
        return 0


@transaction.atomic
def _take_step(turn: _Turn) -> int | None:
    at = now()
    due = RuleRun.objects.select_for_update(skip_locked=True, of=("self",)).select_related("rule").defer("people")
    run = due.filter(rule_parking.is_due(at)).exclude(pk__in=turn.left).order_by("due_at", "id").first()
    if run is None:
        return None
    turn.run_id = run.pk
    if run.seen_at is None:
        RuleRun.objects.filter(pk=run.pk).update(seen_at=_database_clock())
    elif run.listed_at is not None:
        return _batch(run, at)
    elif _somebody_began_before(run):
        turn.left.add(run.pk)
    else:
        _list(run, at)
    return 0


def _list(run: RuleRun, at: datetime) -> None:
    in_force = rules_in_force().rules
    own = next((rule for rule in in_force if rule.rule_id == run.rule_id), None)
    people = concerned_people(scope_of(run.rule_id, in_force, own, at=at), at=at)
    RuleRun.objects.filter(pk=run.pk).update(people=people, total=len(people), listed_at=at)
    if not people:
        _finish(run, at)


def _batch(run: RuleRun, at: datetime) -> int:
    # The mark is moved before anything is judged, so that the transaction has written something.
    RuleRun.objects.filter(pk=run.pk).update(done=min(run.done + BATCH, run.total))
    (people,) = row(_PEOPLE, [run.done + 1, run.done + BATCH, run.pk]) or ([],)
    scope = scope_of(run.rule_id, rules_in_force().rules, None, at=at)
    applied = birthright.apply(people, at=at, actor=_actor(run), judged=scope.judged)
    RuleRun.objects.filter(pk=run.pk).update(
        started=F("started") + applied.started,
        went_on=F("went_on") + applied.went_on,
        ended=F("ended") + applied.ended,
        kept=F("kept") + applied.kept,
        held_back=F("held_back") + applied.held_back,
        **rule_parking.AFRESH,
    )
    if run.done + BATCH >= run.total:
        _finish(run, at)
    return len(people)


def _finish(run: RuleRun, at: datetime) -> None:
    RuleRun.objects.filter(pk=run.pk).update(finished_at=at, people=[], **rule_parking.AFRESH)
    rule_parking.close_parked(run, at=at)
    run.refresh_from_db()
    counted = ("total", "started", "went_on", "ended", "kept", "held_back")
    record(
        events.RULE_APPLIED,
        actor=_actor(run),
        subjects=[Subject("rule", run.rule.slug)],
        data={"version": run.version.number if run.version else None, **{name: getattr(run, name) for name in counted}},
    )


def _order(rule: BirthrightRule, version: BirthrightRuleVersion | None, *, due_at: datetime, actor: Actor) -> None:
    RuleRun.objects.create(
        rule=rule,
        version=version,
        created_at=now(),
        created_by_ref=actor.ref,
        correlation_id=actor.correlation_id,
        due_at=due_at,
    )
    wake(rule_parking.WAKE)


def _actor(run: RuleRun) -> Actor:
    return Actor.system("birthright", correlation_id=run.correlation_id)


def _database_clock() -> datetime:
    found = row("SELECT clock_timestamp()")
    assert found is not None
    moment: datetime = found[0]
    return moment


def _somebody_began_before(run: RuleRun) -> bool:
    """Tell whether a transaction that has written something began before the change was seen here, and still runs."""
    found = row(_OLDER, [run.seen_at])
    return bool(found and found[0])


_PEOPLE = "SELECT people[%s::int:%s::int] FROM access_rulerun WHERE id = %s"
#: Only who may have read rules: an autovacuum worker has a transaction as well, for as long as it takes.
_OLDER = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity other
    WHERE other.datname = current_database() AND other.backend_type = 'client backend'
        AND other.pid <> pg_backend_pid() AND other.backend_xid IS NOT NULL AND other.xact_start < %s
)
"""
