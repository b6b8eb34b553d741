"""Reads the ledger from a bookmark on and writes who is told what: each entry once, however often it is read.

Sealed entries are numbered without gaps, and no lower number appears later: a bookmark is enough to lose nothing. The
bookmark moves in the transaction that writes the notices; where it was moved back, the unique key keeps notices single.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Min, Q, Value
from django.db.models.functions import Coalesce

from governance.core.clock import now
from governance.identity.models import Person, Status
from governance.ledger.models import Checkpoint, Entry
from governance.ledger.queries import SealedEntry, sealed_entries
from governance.notices import preferences, webhooks
from governance.notices.deciding import (
    EVENTS,
    SETTLING_ASKED,
    SETTLING_AUDITS,
    SETTLING_GRANTS,
    SETTLING_LOG_REVIEWS,
    SETTLING_PROPOSALS,
    SETTLING_REQUESTS,
    SETTLING_RULES,
    about,
    about_asked,
    about_audit,
    about_glass,
    about_grant,
    about_log_review,
    about_rule,
    asking,
    decide,
    ending,
    facts_of,
)
from governance.notices.gathering import Gathered
from governance.notices.happenings import Audit, Happening, Told
from governance.notices.kinds import ASKING, ENDING, LOG_REVIEWING, REVIEWING
from governance.notices.models import Bookmark, Notice

#: Numbers of entries looked at in one transaction.
WINDOW = 2_000
#: What happened longer ago than this is no news any more: nobody is told. Long enough for any outage of ours.
NO_NEWS_AFTER = timedelta(days=7)


@dataclass
class _Written:
    """What a window of the ledger comes to."""

    notices: list[Notice] = field(default_factory=list)
    messages: list[webhooks.Message] = field(default_factory=list)


def read_on() -> int:
    """Read the ledger to its end; return how many notices were written. Two readers at once take turns."""
    written = 0
    while True:
        found = read_window()
        if found is None:
            return written
        written += found


@transaction.atomic
def read_window() -> int | None:
    """Read the next entries; return how many notices came of it. None: nothing is left, or somebody else reads."""
    bookmark = _locked_bookmark(now())
    if bookmark is None:
        return None
    start = bookmark.next_index
    last = Entry.objects.aggregate(last=Max("index"))["last"]
    if last is None or last < start:
        return None
    end = min(start + WINDOW, last + 1)
    at = now()
    entries = [one for one in sealed_entries(start, end, events=EVENTS) if one.at >= at - NO_NEWS_AFTER]
    count = _tell(entries, at=at) if entries else 0
    bookmark.next_index = end
    bookmark.moved_at = at
    bookmark.save(update_fields=["next_index", "moved_at"])
    return count


def _locked_bookmark(at: datetime) -> Bookmark | None:
    """Return the bookmark, or None while somebody else reads. One that was lost is put before the oldest news."""
    locked = Bookmark.objects.select_for_update(skip_locked=True).order_by("pk")
    found = locked.first()
    if found is None and not Bookmark.objects.exists():
        oldest = Entry.objects.filter(at__gte=at - NO_NEWS_AFTER).aggregate(index=Min("index"))["index"]
        Bookmark.objects.get_or_create(pk=1, defaults={"next_index": oldest or 0})
        found = locked.first()
    return found


def unread_entries() -> int:
    """Return how many entries of the ledger nobody was told about yet."""
    bookmark = Bookmark.objects.order_by("pk").first()
    last = Entry.objects.aggregate(last=Max("index"))["last"]
    return 0 if bookmark is None or last is None else max(0, last + 1 - bookmark.next_index)


def reading_lag_seconds() -> float:
    """Return for how long the oldest entry that was not read has been sealed; 0 when all are."""
    bookmark = Bookmark.objects.order_by("pk").first()
    read = bookmark.next_index if bookmark else 0
    sealed_at = Checkpoint.objects.filter(size__gt=read).order_by("size").values_list("at", flat=True).first()
    return max(0.0, (now() - sealed_at).total_seconds()) if sealed_at else 0.0


def _tell(entries: Sequence[SealedEntry], *, at: datetime) -> int:
    gathered = Gathered(entries)
    written = _Written()
    for entry in entries:
        seen = gathered.happening(entry)
        _settle(seen, at=at)
        told = decide(seen)
        _keep(seen, told, written, at=at)
        if seen.request is not None:
            asked = {one.person_id: seen.at for one in told if one.kind in ASKING}
            gathered.asked[seen.request.number].update(asked)
            gathered.holding[seen.request.number].update(asked)
    return write(written.notices, written.messages, at=at)


def write(notices: Sequence[Notice], messages: Sequence[webhooks.Message], *, at: datetime) -> int:
    """Write notices to whoever may sign in, each once, and what webhooks are told. Joins the caller's transaction."""
    people = Person.objects.filter(pk__in={one.person_id for one in notices}, status__in=(Status.ACTIVE, Status.GUEST))
    active = {one.pk: one for one in people.only("id", "ref", "display_name", "email", "time_zone")}
    kept = [one for one in notices if one.person_id in active]
    known = preferences.many(active.values())
    goes_by_mail = settings.MAIL_WAY != "none"
    for one in kept:
        one.mail_due_at = preferences.due_at(one.kind, known[one.person_id], at) if goes_by_mail else None
    Notice.objects.bulk_create(kept, ignore_conflicts=True)
    webhooks.enqueue(messages, active, at=at)
    return len(kept)


def _keep(seen: Happening, told: Iterable[Told], written: _Written, *, at: datetime) -> None:
    common = facts_of(seen)
    for one in told:
        facts = {**common, **one.facts}
        cause = one.cause or f"entry:{seen.index}"
        written.notices.append(
            Notice(
                person_id=one.person_id,
                kind=one.kind,
                cause=cause,
                about=one.about,
                facts=facts,
                at=seen.at,
                created_at=at,
            )
        )
        written.messages.append(webhooks.Message(one.kind, cause, one.person_id, facts, seen.at))


def _settle(seen: Happening, *, at: datetime) -> None:
    """Note that what was asked for or warned of is over: it counts as read, and goes by no mail any more.

    What still holds as things stand now is left alone, so that reading an entry again changes nothing.
    """
    subject, kinds, holds = _over(seen)
    if not subject:
        return
    still = Q(cause=holds) | Q(cause__startswith=f"{holds}:")
    if seen.request is not None:
        # Where several have to answer, who did is not asked any more.
        still &= Q(person_id__in=seen.request.approver_ids)
    over = Notice.objects.filter(about=subject, kind__in=kinds, settled_at__isnull=True)
    if holds:
        over = over.exclude(still)
    over.update(settled_at=at, read_at=Coalesce("read_at", Value(at)))


def _over(seen: Happening) -> tuple[str, tuple[str, ...], str]:
    """Return what is over, of which kinds, and the cause of what is not."""
    request, grant = seen.request, seen.grant
    if seen.event in SETTLING_REQUESTS and request is not None:
        return about(request), ASKING, asking(request) if request.is_pending else ""
    if seen.event in SETTLING_GRANTS and grant is not None:
        holds = "" if grant.ends_at is None or seen.event == "grant.ended" else ending(grant.id, grant.ends_at)
        return about_grant(grant.id), ENDING, holds
    if seen.event == "break_glass.reviewed":
        return about_glass(seen), REVIEWING, ""
    if seen.event in SETTLING_PROPOSALS:
        return f"proposal:{seen.data.get('proposal')}", ("policy.proposed",), ""
    if seen.event in SETTLING_RULES:
        return about_rule(seen), ("rule.parked",), ""
    if seen.event in SETTLING_LOG_REVIEWS:
        return about_log_review(seen.refs.get("log_review", "")), LOG_REVIEWING, ""
    return (*_over_in(seen.audit, seen.event), "") if seen.audit is not None else ("", (), "")


def _over_in(audit: Audit, event: str) -> tuple[str, tuple[str, ...]]:
    if event in SETTLING_AUDITS:
        return about_audit(audit), ("audit.ending",)
    return about_asked(audit), SETTLING_ASKED.get(event, ())
