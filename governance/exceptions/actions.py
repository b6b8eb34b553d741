"""The writers of what is said about an exception: who answers for it, why it is there, until when it is fixed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.exceptions import events
from governance.exceptions.days import day_of
from governance.exceptions.models import ControlException, ReportOwner, Statement
from governance.exceptions.rights import check_may_accept, check_may_answer, is_security
from governance.identity.models import Person, Status
from governance.ledger.recording import Subject, record

LONGEST = 4000
#: Nobody promises further ahead, and no risk is carried longer without being looked at again.
FURTHEST = timedelta(days=366)


@transaction.atomic
def answer(
    found: ControlException,
    *,
    owner: Person | None,
    explanation: str,
    fix_by: date | None,
    after: int | None = None,
    actor: Actor,
) -> Statement:
    """Say who answers for an exception (none: whoever does by default), why it is there, and until when it is fixed.

    `after` is how many statements the speaker had seen; none: whatever was said before. A risk was accepted for the
    reason that was given: another explanation ends that.

    Raises Invalid naming `owner`, `explanation` or `fix_by`, Conflict when somebody said something since or nothing is
    different, NotFound and NotAllowed.
    """
    at = now()
    check_may_answer(found, actor)
    locked = _locked(found, after)
    said = explanation.strip()
    problems = _problems(locked, said, fix_by, today=day_of(at))
    if owner is not None and owner.status != Status.ACTIVE and owner.pk != locked.owner_id:
        problems["owner"] = f"{owner.display_name} is not at work here."
    if problems:
        raise Invalid(problems)
    owner_id = owner.pk if owner else None
    if (owner_id, said, fix_by) == (locked.owner_id, locked.explanation, locked.fix_by):
        raise Conflict("Nothing is different from what was said before.")
    accepted_until = locked.accepted_until if said == locked.explanation else None
    statement = _state(locked, owner_id, said, fix_by, accepted_until, at=at, actor=actor)
    subjects = [_subject(locked), *([Subject("person", str(owner.ref))] if owner else [])]
    data = {
        "report": locked.report,
        "number": statement.number,
        "owner": str(owner.ref) if owner else None,
        "is_new_owner": owner_id is not None and owner_id != locked.owner_id,
        "has_explanation": bool(said),
        "fix_by": fix_by.isoformat() if fix_by else None,
    }
    record(
        events.EXCEPTION_ANSWERED,
        actor=actor,
        subjects=subjects,
        data=data,
        private={"explanation": (actor.ref, said)} if said else {},
    )
    return statement


@transaction.atomic
def accept_risk(found: ControlException, *, until: date, why: str, after: int | None = None, actor: Actor) -> Statement:
    """Carry the risk of an exception until a day, which is included. Then it is open again by itself.

    Raises Invalid naming `until` or `why`, Conflict when it is gone or somebody said something since, NotFound and
    NotAllowed: also for whoever it is about.
    """
    at = now()
    check_may_accept(found, actor)
    locked = _locked(found, after)
    if locked.gone_at is not None:
        raise Conflict("The last reading no longer found it: there is no risk to accept.")
    said, today = why.strip(), day_of(at)
    problems = {}
    if not said or len(said) > LONGEST:
        problems["why"] = f"Say why the risk is carried, in 1 to {LONGEST} characters."
    if not today <= until <= today + FURTHEST:
        problems["until"] = f"Give a day from today, {today}, to a year ahead."
    if problems:
        raise Invalid(problems)
    statement = _state(locked, locked.owner_id, said, locked.fix_by, until, at=at, actor=actor)
    record(
        events.EXCEPTION_ACCEPTED,
        actor=actor,
        subjects=[_subject(locked)],
        data={"report": locked.report, "number": statement.number, "until": until.isoformat()},
        private={"explanation": (actor.ref, said)},
    )
    return statement


@transaction.atomic
def set_report_owner(report: str, owner: Person | None, *, actor: Actor) -> ReportOwner:
    """Say who answers for exceptions of a report where nobody is named and no application has an owner.

    None: they fall to security. Raises Invalid naming `owner`, Conflict when it is so already, and NotAllowed.
    """
    if not is_security(actor):
        raise NotAllowed("Who answers for a report is said by security administrators.")
    if owner is not None and owner.status != Status.ACTIVE:
        raise Invalid({"owner": f"{owner.display_name} is not at work here."})
    before = ReportOwner.objects.filter(report=report).order_by("-id").first()
    owner_id = owner.pk if owner else None
    if owner_id == (before.owner_id if before else None):
        raise Conflict("That is so already.")
    said = ReportOwner.objects.create(
        report=report, owner=owner, said_by_ref=actor.ref, said_at=now(), correlation_id=actor.correlation_id
    )
    subjects = [Subject("report", report), *([Subject("person", str(owner.ref))] if owner else [])]
    data = {"report": report, "owner": str(owner.ref) if owner else None}
    record(events.REPORT_OWNER_CHANGED, actor=actor, subjects=subjects, data=data)
    return said


def _locked(found: ControlException, after: int | None) -> ControlException:
    locked = ControlException.objects.select_for_update().get(pk=found.pk)
    if after is not None and locked.statements_made != after:
        raise Conflict("Somebody said something about it since you opened the page. Look at it again.")
    return locked


def _problems(found: ControlException, said: str, fix_by: date | None, *, today: date) -> dict[str, str]:
    problems = {}
    if len(said) > LONGEST:
        problems["explanation"] = f"At most {LONGEST} characters."
    if fix_by is not None and fix_by != found.fix_by and not today <= fix_by <= today + FURTHEST:
        problems["fix_by"] = f"Give a day from today, {today}, to a year ahead."
    return problems


def _state(
    found: ControlException,
    owner_id: int | None,
    explanation: str,
    fix_by: date | None,
    accepted_until: date | None,
    *,
    at: datetime,
    actor: Actor,
) -> Statement:
    now_said = {
        "owner_id": owner_id, "explanation": explanation, "fix_by": fix_by, "accepted_until": accepted_until,
    }  # fmt: skip
    number = found.statements_made + 1
    ControlException.objects.filter(pk=found.pk).update(**now_said, statements_made=number)
    return Statement.objects.create(
        exception=found,
        number=number,
        **now_said,
        said_by_ref=actor.ref,
        said_at=at,
        correlation_id=actor.correlation_id,
    )


def _subject(found: ControlException) -> Subject:
    return Subject("exception", str(found.ref))
