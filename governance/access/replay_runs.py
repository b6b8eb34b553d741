"""Replays of the last 90 days that are kept: asked for once, worked off in batches, wherever a worker was killed.

A batch and its mark are one transaction, so nothing is counted twice. What is kept of a request that would have gone
another way is its number: why is worked out anew for the few that are named, so that no name stays behind here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from governance.access.models import ProposedWith, ReplayRun
from governance.access.replay import (
    NAMED,
    REPLAYED,
    Replay,
    Tally,
    Unknown,
    asked_between,
    by_number,
    made_under,
    tally,
)
from governance.catalog.models import PolicyProposal
from governance.catalog.policy_terms import PolicyTerms, terms_from_json
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.core.wakeup import wake
from governance.identity.models import Person

WAKE = "access.replay"
#: So many requests are decided again in one transaction, and so few while somebody waits for a page.
BATCH = AT_ONCE = 500
#: The same draft is not decided again within this time.
FRESH = timedelta(minutes=10)
#: A run with which nothing was proposed is forgotten after this.
KEPT = timedelta(days=30)
PAUSE, FAILURES_TO_STOP = timedelta(seconds=5), 3

logger = logging.getLogger(__name__)


@transaction.atomic
def ask(draft: PolicyTerms, slug: str, *, person: Person, anew: bool = False) -> ReplayRun:
    """Return the run of a draft for the policy: one that is under way or fresh, or a new one.

    A new one with at most `AT_ONCE` requests is done when this returns; workers do the others. `anew` takes no
    fresh one.
    """
    at, digest = now(), digest_of(draft, slug)
    known = ReplayRun.objects.filter(digest=digest, stopped_at=None)
    usable = Q(finished_at=None) if anew else Q(finished_at=None) | Q(until__gt=at - FRESH)
    found = known.filter(usable).order_by("-id").first()
    if found is not None:
        return found
    run = ReplayRun.objects.create(
        slug=slug,
        terms=draft.as_json(),
        digest=digest,
        asked_by=person,
        since=at - REPLAYED,
        until=at,
        total=asked_between(slug, at - REPLAYED, at).count(),
        tally=_EMPTY,
    )
    if run.total <= AT_ONCE:
        _batch(run)
    else:
        wake(WAKE)
    return run


def keep_with(proposal: PolicyProposal, *, person: Person) -> None:
    """Keep with a proposal how the last 90 days would have gone under it, as whoever proposes could see."""
    run = ask(terms_from_json(proposal.terms), proposal.slug, person=person)
    ProposedWith.objects.create(proposal=proposal, run=run)


def one(run_id: int) -> ReplayRun:
    """Return a run. Raises NotFound."""
    found = ReplayRun.objects.select_related("asked_by").filter(pk=run_id).first()
    if found is None:
        raise NotFound(f"There is no replay {run_id}.")
    return found


def latest_of(proposal: PolicyProposal) -> ReplayRun | None:
    """Return the newest run of what a proposal says; none when nobody asked."""
    digest = digest_of(terms_from_json(proposal.terms), proposal.slug)
    return ReplayRun.objects.select_related("asked_by").filter(digest=digest).order_by("-id").first()


def outcome(run: ReplayRun) -> Replay | None:
    """Return what a run that is done came to; none before. Four statements for the requests that are named."""
    if run.finished_at is None:
        return None
    draft, kept = terms_from_json(run.terms), run.tally
    again = tally(draft, by_number([number for _, number in kept["different"]]))
    return Replay(
        since=run.since,
        made=run.total,
        total=run.done,
        counts=kept["counts"],
        differences=again.named(),
        unknown_count=kept["unknown_count"],
        unknown=tuple(Unknown(number, why) for number, why in kept["unknown"]),
    )


def digest_of(draft: PolicyTerms, slug: str) -> str:
    """Return what stands for a draft: equal when it says the same about the same policy."""
    return hashlib.sha256(json.dumps([slug, draft.as_json()], sort_keys=True).encode()).hexdigest()


def work() -> int:
    """Work off the runs that no other worker is at; return how many requests were decided again."""
    decided = 0
    while (did := _step()) is not None:
        decided += did
    return decided


def forget() -> int:
    """Delete runs that nothing was proposed with and that are old; return how many."""
    old = ReplayRun.objects.filter(until__lt=now() - KEPT, proposed=None)
    return old.delete()[0]


def _step() -> int | None:
    """Do one batch of the oldest run that is due and return of how many requests; None when there is nothing to do."""
    taken: list[int] = []
    try:
        return _take_step(taken)
    except Exception as error:  # Whatever it is, the other runs must not wait for it.
        if not taken:
            raise
        _note_failure(taken[0], error)
        return 0


@transaction.atomic
def _take_step(taken: list[int]) -> int | None:
    open_runs = ReplayRun.objects.filter(finished_at=None, stopped_at=None)
    due = open_runs.filter(Q(retry_at=None) | Q(retry_at__lte=now()))
    run = due.select_for_update(skip_locked=True, of=("self",)).order_by("id").first()
    if run is None:
        return None
    taken.append(run.pk)
    return _batch(run)


def _batch(run: ReplayRun) -> int:
    """Decide the next requests again, the latest first. Joins the transaction of whoever holds the run."""
    at = now()
    made = made_under(run.slug, since=run.since, until=run.until, before=run.reached, most=BATCH)
    run.tally = _added(run.tally, tally(terms_from_json(run.terms), made))
    run.done += len(made)
    run.reached = made[-1].pk if made else run.reached
    run.started_at = run.started_at or at
    if len(made) < BATCH:
        # A role may have come under the policy, or have left it, while the run went on.
        run.total, run.finished_at = run.done, at
    else:
        run.total = max(run.total, run.done)
    run.failures, run.retry_at, run.cause = 0, None, ""
    run.save()
    return len(made)


_EMPTY: Mapping[str, Any] = {"counts": {}, "different": [], "unknown_count": 0, "unknown": []}


def _added(kept: Mapping[str, Any], more: Tally) -> dict[str, Any]:
    """Return what is kept of a run after a batch: how many of each, and the first `NAMED` by number."""
    counts = {name: kept["counts"].get(name, 0) + more.counts[name] for name in {*kept["counts"], *more.counts}}
    different = [*kept["different"], *([one.change, one.number] for one in more.differences)]
    different.sort(key=lambda each: Tally.place(*each))
    unknown = [*kept["unknown"], *([one.number, one.why] for one in more.unknown)]
    return {
        "counts": counts,
        "different": different[:NAMED],
        "unknown_count": kept["unknown_count"] + more.unknown_count,
        "unknown": unknown[:NAMED],
    }


def _note_failure(run_id: int, error: Exception) -> None:
    """Write that a batch failed: it is tried again after a pause, and the run stops after some in a row."""
    at = now()
    open_runs = ReplayRun.objects.filter(pk=run_id, finished_at=None, stopped_at=None)
    # Not the sentence: it may name somebody.
    open_runs.update(failures=F("failures") + 1, cause=type(error).__name__, retry_at=at + PAUSE)
    stopped = open_runs.filter(failures__gte=FAILURES_TO_STOP).update(stopped_at=at, retry_at=None)
    logger.error("Replay %s %s.", run_id, "stopped" if stopped else "is tried again", exc_info=error)
