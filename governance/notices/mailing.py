"""Mail to people: what is due for a person goes in one mail; sent outside of any transaction, at least once.

A worker that dies between the answer of the server and its own commit leaves a claim that expires: the mail goes out
again, under the same Message-ID. A server in trouble delays everything and loses nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q

from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.recording import Subject, record
from governance.notices import events
from governance.notices.letters import Letter, address_problem, compose
from governance.notices.models import LetterState, Mail, Notice, PostOffice
from governance.notices.posts import Later, Never, Outcome, Sent, Trouble, post

#: Notices made into mails in one transaction, and mails claimed at once.
BATCH, CLAIMED = 500, 20
#: Longer than a batch may take: it stops by itself after `_LONGEST_SECONDS`.
CLAIM = timedelta(minutes=5)
_LONGEST_SECONDS = 60.0
#: One that the server keeps putting off is given up after this long; a server in trouble gives up nothing.
TRIED_FOR = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that is this worker's until the claim ends; the end names the claim."""

    mail: Mail
    until: datetime


def send_due() -> int:
    """Send the mails that are due; return how many were settled."""
    address_due()
    done, start = 0, time.monotonic()
    while time.monotonic() - start < _LONGEST_SECONDS:
        claimed = claim()
        if not claimed:
            break
        settled = _send(claimed, start)
        done += settled
        if settled < len(claimed):
            break
    return done


@transaction.atomic
def address_due() -> int:
    """Make mails of the notices that are due, one for each person; return how many.

    What was read meanwhile, or is over, goes by no mail.
    """
    at = now()
    locked = Notice.objects.select_for_update(skip_locked=True).filter(mail__isnull=True, mail_due_at__lte=at)
    due = list(locked.order_by("mail_due_at", "id")[:BATCH])
    known = [one.pk for one in due if one.read_at is not None or one.settled_at is not None]
    Notice.objects.filter(pk__in=known).update(mail_due_at=None)
    of_person: dict[int, list[int]] = defaultdict(list)
    for one in due:
        if one.pk not in set(known):
            of_person[one.person_id].append(one.pk)
    mails = Mail.objects.bulk_create(
        Mail(person_id=person_id, created_at=at, next_attempt_at=at) for person_id in of_person
    )
    for mail in mails:
        Notice.objects.filter(pk__in=of_person[mail.person_id]).update(mail=mail)
    return len(mails)


@transaction.atomic
def claim() -> list[Claimed]:
    """Return due mails, which are this worker's until the claim ends; none while the server is in trouble."""
    at = now()
    if PostOffice.objects.filter(retry_at__gt=at).exists():
        return []
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=at)
    due = Mail.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        free, state=LetterState.WAITING, next_attempt_at__lte=at
    )
    mails = list(due.select_related("person").order_by("next_attempt_at", "id")[:CLAIMED])
    until = at + CLAIM
    Mail.objects.filter(pk__in=[mail.pk for mail in mails]).update(claimed_until=until)
    return [Claimed(mail, until) for mail in mails]


@transaction.atomic
def try_again(mail: Mail, *, actor: Actor) -> bool:
    """Have a mail that failed sent again now; return whether it had failed."""
    at = now()
    failed = Mail.objects.filter(pk=mail.pk, state=LetterState.FAILED)
    if not failed.update(
        state=LetterState.WAITING, settled_at=None, attempts=0, created_at=at, next_attempt_at=at, last_error=""
    ):
        return False
    record(
        events.MAIL_RETRIED,
        actor=actor,
        subjects=[Subject("mail", str(mail.ref)), Subject("person", str(mail.person.ref))],
    )
    return True


def _send(claimed: Sequence[Claimed], start: float) -> int:
    """Send claimed mails until the server is in trouble or the time is up; return how many were settled."""
    way = post()
    if way is None:
        _release(claimed)
        return 0
    with way:
        for number, one in enumerate(claimed):
            outcome = _send_one(one, way.deliver)
            if isinstance(outcome, Trouble):
                _note_trouble(outcome.cause)
            if isinstance(outcome, Trouble) or time.monotonic() - start > _LONGEST_SECONDS:
                rest = number if isinstance(outcome, Trouble) else number + 1
                _release(claimed[rest:])
                return rest
    return len(claimed)


def _send_one(one: Claimed, deliver: Callable[[EmailMessage, str], Outcome]) -> Outcome | None:
    """Send one mail and settle it; None: it is not needed any more."""
    letter = compose(one.mail)
    if letter is None:
        _settle(one, LetterState.DROPPED, cause=_why_dropped(one.mail))
        return None
    if problem := address_problem(letter.address):
        _settle(one, LetterState.FAILED, cause=problem)
        return None
    outcome = deliver(letter.message, str(one.mail.ref))
    _after(one, letter, outcome)
    return outcome


def _after(one: Claimed, letter: Letter, outcome: Outcome) -> None:
    if isinstance(outcome, Sent):
        _settle(one, LetterState.SENT, letter=letter)
        _note_works()
    elif isinstance(outcome, Never):
        _settle(one, LetterState.FAILED, cause=outcome.cause, letter=letter)
    elif isinstance(outcome, Later):
        _put_off(one, outcome.cause, letter)


def _settle(one: Claimed, state: LetterState, *, cause: str = "", letter: Letter | None = None) -> None:
    mine = Mail.objects.filter(pk=one.mail.pk, state=LetterState.WAITING, claimed_until=one.until)
    mine.update(
        state=state,
        settled_at=now(),
        claimed_until=None,
        attempts=F("attempts") + (1 if letter else 0),
        last_error=cause[:500],
        address=letter.address if letter else "",
        subject=letter.message.subject[:300] if letter else "",
    )


def _put_off(one: Claimed, cause: str, letter: Letter) -> None:
    at = now()
    if at - one.mail.created_at > TRIED_FOR:
        _settle(one, LetterState.FAILED, cause=cause, letter=letter)
        return
    attempts = one.mail.attempts + 1
    mine = Mail.objects.filter(pk=one.mail.pk, state=LetterState.WAITING, claimed_until=one.until)
    mine.update(
        attempts=attempts,
        claimed_until=None,
        last_error=cause[:500],
        next_attempt_at=at + timedelta(seconds=min(60.0 * 2 ** min(attempts, 10), 3600.0)),
    )


def _release(claimed: Sequence[Claimed]) -> None:
    """Give claimed mails back untried; they are looked at again at once, or when the server is."""
    for one in claimed:
        Mail.objects.filter(pk=one.mail.pk, claimed_until=one.until).update(claimed_until=None)


@transaction.atomic
def _note_trouble(cause: str) -> None:
    at = now()
    office = _office()
    office.failures_in_a_row += 1
    office.trouble_since = office.trouble_since or at
    office.retry_at = at + timedelta(seconds=min(15.0 * 2 ** min(office.failures_in_a_row - 1, 10), 600.0))
    office.last_error = cause[:500]
    office.save()


@transaction.atomic
def _note_works() -> None:
    office = _office()
    office.failures_in_a_row, office.trouble_since, office.retry_at, office.last_error = 0, None, None, ""
    office.last_sent_at = now()
    office.save()


def _office() -> PostOffice:
    PostOffice.objects.get_or_create(pk=1)
    return PostOffice.objects.select_for_update().get(pk=1)


def _why_dropped(mail: Mail) -> str:
    return "They have left." if not mail.person.may_sign_in else "It was read, or was over, before it was sent."
