"""The writers of questions at the end: where the policy says so, an owner is asked before access is taken away.

The access runs on for the grace of the policy, by a revision that says so. Unanswered, it ends then, and never later.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from governance.access import endings, events, subjects
from governance.access.approvers import Deciders, deciders
from governance.access.endings import columns, revise_many
from governance.access.grants import locked
from governance.access.models import EndCause, EndQuestion, Grant
from governance.catalog.models import AtEnd
from governance.catalog.stages import OWNER, Approvers, Stage
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, Reason, Refused
from governance.core.statements import rows
from governance.core.tables import insert_rows, update_rows
from governance.identity.models import Person
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, record, record_many
from governance.policy.durations import spoken

#: Owners answer; security when an application has none who is active and somebody else.
_ASKED = Stage(Approvers(OWNER))


def ask_at_end(due: Collection[int], *, at: datetime, actor: Actor) -> set[int]:
    """Ask about those of these grants whose policy says so and let them run on; return their keys.

    Joins the caller's transaction, the people locked. One statement when there is nothing to ask.
    """
    kept = dict(rows(_TO_ASK, {"ids": list(due), "at": at, "ask": AtEnd.ASK.value})) if due else {}
    if not kept:
        return set()
    grants = list(Grant.objects.filter(pk__in=kept).order_by("pk"))
    asked = [_question(grant, kept[grant.pk], at=at, actor=actor) for grant in grants]
    for grant in grants:
        grant.ends_at = kept[grant.pk]
        grant.revision += 1
    update_rows(Grant, [columns(grant, ("id", "ends_at", "revision")) for grant in grants])
    revise_many(grants, "kept", at=at, actor=actor)
    insert_rows(EndQuestion, asked)
    _record_asked(grants, asked, actor=actor)
    return set(kept)


#: Once for each end: nobody who was asked and did not answer is asked again. What would be over by now is not kept.
_TO_ASK = """
SELECT due.id, due.ends_at + said.kept_for
FROM access_grant due JOIN access_accessrequest asked ON asked.id = due.request_id
JOIN catalog_accesspolicyversion said ON said.id = asked.policy_version_id
JOIN identity_person person ON person.id = due.person_id AND person.status = 'active'
JOIN catalog_entitlement role ON role.id = due.entitlement_id AND role.retired_at IS NULL
JOIN catalog_application application ON application.id = due.application_id AND application.retired_at IS NULL
WHERE due.id = ANY(%(ids)s::bigint[]) AND due.end_ordered_at IS NULL AND due.ends_at <= %(at)s AND due.end_cause = ''
    AND said.at_end = %(ask)s AND due.ends_at + said.kept_for > %(at)s
    AND NOT EXISTS (
        SELECT FROM access_endquestion open
        WHERE open.grant_id = due.id AND open.kept_until = due.ends_at AND open.answered_at IS NULL
    )
"""


def who_is_asked(grant: Grant, known: Deciders | None = None) -> list[Person]:
    """Return who may answer whether a grant lasts longer: never the person who has it."""
    known = known or deciders([grant.application_id])
    return known.eligible(
        _ASKED, person=grant.person, application_id=grant.application_id, excluded_ids=[grant.person_id]
    )


def open_question(grant: Grant) -> EndQuestion | None:
    """Return the question about a grant that waits for an answer; an end that was moved asks nothing any more."""
    return EndQuestion.objects.filter(grant=grant, kept_until=grant.ends_at, answered_at__isnull=True).first()


@transaction.atomic
def keep(grant: Grant, *, lasts: timedelta, reason: str, answerer: Person, actor: Actor) -> EndQuestion:
    """Let access last for `lasts` from the end that was due, at most the longest of its policy.

    Raises Conflict when nothing is asked any more, Invalid for a time that does not fit, Refused for who is not asked.
    """
    at = now()
    grant, question = _locked(grant, answerer, at)
    longest = grant.request.policy_version.max_duration if grant.request else lasts
    ends_at = question.due_at + lasts
    if lasts > longest:
        raise Invalid({"lasts": f"The longest is {spoken(longest)}."})
    if ends_at <= at:
        raise Invalid({"lasts": "That would have ended already."})
    grant.ends_at = ends_at
    grant.revision += 1
    grant.save(update_fields=["ends_at", "revision"])
    revise_many([grant], "extended", at=at, actor=actor)
    return _answer(grant, question, answerer, reason, lasts_until=ends_at, at=at, actor=actor)


@transaction.atomic
def end(grant: Grant, *, reason: str, answerer: Person, actor: Actor) -> EndQuestion:
    """Have access that was asked about taken away now.

    Raises Conflict when nothing is asked any more, and Refused for who is not asked.
    """
    at = now()
    grant, question = _locked(grant, answerer, at)
    answered = _answer(grant, question, answerer, reason, lasts_until=None, at=at, actor=actor)
    endings.end_many([grant], cause=EndCause.EXPIRED, at=at, actor=actor)
    return answered


def _locked(grant: Grant, answerer: Person, at: datetime) -> tuple[Grant, EndQuestion]:
    grant = locked(grant)
    question = open_question(grant)
    if question is None or grant.ends_at <= at:
        raise Conflict("Nobody is asked about this access any more.")
    if answerer.pk not in {one.pk for one in who_is_asked(grant)}:
        raise Refused([Reason("not_asked", "Only an owner of the application answers this, and not for themselves.")])
    return grant, question


def _answer(
    grant: Grant,
    question: EndQuestion,
    answerer: Person,
    reason: str,
    *,
    lasts_until: datetime | None,
    at: datetime,
    actor: Actor,
) -> EndQuestion:
    question.answered_at, question.answered_by = at, answerer
    question.lasts_until, question.reason = lasts_until, reason.strip()[:2000]
    question.save(update_fields=["answered_at", "answered_by", "lasts_until", "reason"])
    refs = refs_of([grant.person_id])
    record(
        events.END_ANSWERED,
        actor=actor,
        subjects=subjects.of_grant(grant, refs[grant.person_id]),
        data={"lasts_until": lasts_until.isoformat() if lasts_until else None},
        private={"reason": (refs[grant.person_id], question.reason)} if question.reason else {},
    )
    return question


def _question(grant: Grant, kept_until: datetime, *, at: datetime, actor: Actor) -> dict[str, object]:
    return {
        "grant_id": grant.pk,
        "due_at": grant.ends_at,
        "asked_at": at,
        "kept_until": kept_until,
        "reason": "",
        "correlation_id": actor.correlation_id,
    }


def _record_asked(grants: Collection[Grant], asked: Collection[dict[str, object]], *, actor: Actor) -> None:
    refs = refs_of({grant.person_id for grant in grants})
    due = {one["grant_id"]: one["due_at"] for one in asked}
    record_many(
        Record(
            events.END_ASKED,
            actor=actor,
            subjects=subjects.of_grant(grant, refs[grant.person_id]),
            data={"due_at": due[grant.pk].isoformat(), "kept_until": grant.ends_at.isoformat()},  # type: ignore[attr-defined]
        )
        for grant in grants
    )
