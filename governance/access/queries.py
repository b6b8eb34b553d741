"""Questions about access: who has what, since when, until when, why, and how its start and end went."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from governance.access import end_questions
from governance.access.approvers import deciders
from governance.access.models import AccessRequest, Approval, EndQuestion, Grant, RequestSet
from governance.access.waiting_sql import waiting, waits_for
from governance.core.any_of import any_of, found_first
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.core.statements import rows
from governance.identity.models import Person

#: Everything a page says about a grant, without a further statement.
WITH_GRANT = (
    "person",
    "entitlement",
    "application",
    "request",
    "rule_version__rule",
    "give_operation",
    "take_operation",
)
WITH_REQUEST = (
    "person__manager__manager",
    "requester",
    "entitlement__application",
    "policy_version__policy",
    "extends",
    "request_set",
)


def covering(at: datetime) -> Q:
    """Return the condition that a grant covers an instant: it has begun and not ended (half-open)."""
    return Q(starts_at__lte=at, ends_at__gt=at)


def grants_at(at: datetime) -> QuerySet[Grant]:
    """Return the grants that cover an instant, past or present, with all a page says about them."""
    return Grant.objects.filter(covering(at)).select_related(*WITH_GRANT)


def few_grants(found: QuerySet[Grant]) -> QuerySet[Grant]:
    """Return the same grants, found before they are joined with what a page says: quicker in any order for few."""
    return Grant.objects.filter(found_first(found)).select_related(*WITH_GRANT)


def access_of(person: Person, *, at: datetime) -> list[Grant]:
    """Return why a person can reach what at an instant: what ends first comes first."""
    return list(grants_at(at).filter(person=person).order_by("ends_at", "application__name", "entitlement__name", "id"))


def upcoming_access_of(person: Person, *, at: datetime) -> list[Grant]:
    """Return the grants of a person that begin later."""
    later = Grant.objects.filter(person=person, starts_at__gt=at, ends_at__gt=F("starts_at"))
    return list(later.select_related(*WITH_GRANT).order_by("starts_at", "id"))


def past_access_of(person: Person, *, at: datetime, limit: int = 50) -> list[Grant]:
    """Return the grants of a person that ended, the latest first."""
    ended = Grant.objects.filter(person=person, ends_at__lte=at)
    return list(ended.select_related(*WITH_GRANT).order_by("-ends_at", "-id")[:limit])


def who_has_access(
    *, at: datetime, entitlement_id: int | None = None, application_id: int | None = None
) -> QuerySet[Grant]:
    """Return the grants at an instant for an entitlement or a whole application, by name of the person."""
    found = grants_at(at)
    if entitlement_id is not None:
        found = found.filter(entitlement_id=entitlement_id)
    if application_id is not None:
        found = found.filter(application_id=application_id)
    return found.order_by("person__display_name", "person_id", "entitlement__name", "id")


def known_interval(grant: Grant, *, known_at: datetime) -> tuple[datetime, datetime] | None:
    """Return what we believed at `known_at` about when a grant starts and ends; None when we did not know it."""
    revision = grant.revisions.filter(recorded_at__lte=known_at).order_by("-number").first()
    return (revision.starts_at, revision.ends_at) if revision else None


def grant(grant_id: int) -> Grant:
    """Return a grant with all a page says about it. Raises NotFound."""
    found = Grant.objects.select_related(*WITH_GRANT).filter(pk=grant_id).first()
    if found is None:
        raise NotFound("There is no such access.")
    return found


def request(number: int) -> AccessRequest:
    """Return the request R-`number`. Raises NotFound."""
    found = AccessRequest.objects.select_related(*WITH_REQUEST).filter(number=number).first()
    if found is None:
        raise NotFound(f"There is no request R-{number}.")
    return found


def asked_together(request: AccessRequest) -> list[AccessRequest]:
    """Return the other requests of the set a request was sent in, in their order; none when it was sent alone."""
    if request.request_set_id is None:
        return []
    others = AccessRequest.objects.filter(request_set=request.request_set_id).exclude(pk=request.pk)
    return list(others.select_related(*WITH_REQUEST).order_by("id"))


def request_set(number: int) -> RequestSet:
    """Return what was asked for together as R-`number`. Raises NotFound."""
    found = RequestSet.objects.select_related("requester", "person").filter(number=number).first()
    if found is None:
        raise NotFound(f"There is no request R-{number}.")
    return found


def open_end_questions(person: Person) -> list[EndQuestion]:
    """Return what ended, runs on for its grace and waits for this person's answer; what is over first comes first.

    Owners are asked, and security for an application without an owner. Three statements.
    """
    waiting = EndQuestion.objects.filter(answered_at__isnull=True, kept_until=F("grant__ends_at"), kept_until__gt=now())
    found = waiting.exclude(grant__person=person).select_related(
        *(f"grant__{name}" for name in WITH_GRANT), "grant__entitlement__application", "grant__request__policy_version"
    )
    questions = list(found.order_by("kept_until", "id")[:MOST_QUESTIONS])
    if not questions:
        return []
    known = deciders({one.grant.application_id for one in questions})
    return [one for one in questions if person in end_questions.who_is_asked(one.grant, known)]


#: More questions than this are not a list any more.
MOST_QUESTIONS = 200


def requests_of(person: Person, *, state: str | None = None) -> QuerySet[AccessRequest]:
    """Return what a person asked for or is to get, the latest first."""
    found = AccessRequest.objects.filter(Q(person=person) | Q(requester=person)).select_related(*WITH_REQUEST)
    return (found.filter(state=state) if state else found).order_by("-id")


def waiting_for(approver: Person) -> QuerySet[AccessRequest]:
    """Return the requests that wait for this person's decision now, the oldest first. Two statements, however many."""
    return waiting_among(waiting(approver))


def waiting_among(keys: Collection[int]) -> QuerySet[AccessRequest]:
    """Return these requests, the oldest first."""
    return AccessRequest.objects.filter(any_of(keys)).select_related(*WITH_REQUEST).order_by("created_at", "id")


def decided_by(approver: Person, *, limit: int = 20) -> list[Approval]:
    """Return what a person decided, the latest first."""
    decided = Approval.objects.filter(approver=approver).select_related(
        "request__person", "request__entitlement__application"
    )
    return list(decided.order_by("-decided_at", "-id")[:limit])


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """How long people took to decide: half were quicker than `median`, all but one in twenty than `p95`."""

    median: timedelta
    p95: timedelta


def answer_times(entitlement_id: int, *, at: datetime) -> dict[str, AnswerTimes]:
    """Return how long people took to decide about a role in the last 90 days, by as whom they were asked.

    Each answer counts from when its own stage began, so that nobody is slow for those who were asked before. Who gave
    fewer than three answers is left out.
    """
    found = rows(_ANSWER_TIMES, {"entitlement": entitlement_id, "since": at - timedelta(days=90)})
    return {asked: AnswerTimes(median, p95) for asked, median, p95 in found}


_ANSWER_TIMES = """
WITH taken AS (
    SELECT given.asked, given.decided_at - coalesce(
        (SELECT max(before.decided_at) FROM access_approval before
            WHERE before.request_id = given.request_id AND before.stage < given.stage),
        request.created_at) AS span
    FROM access_approval given JOIN access_accessrequest request ON request.id = given.request_id
    WHERE request.entitlement_id = %(entitlement)s AND given.approver_id IS NOT NULL AND given.decided_at > %(since)s
)
SELECT asked, percentile_cont(0.5) WITHIN GROUP (ORDER BY span), percentile_cont(0.95) WITHIN GROUP (ORDER BY span)
FROM taken GROUP BY asked HAVING count(*) >= 3
"""


def first_answer_times(application_ids: Sequence[int], *, at: datetime) -> dict[int, AnswerTimes]:
    """Return how long the first answer by a person took in the last 90 days, by application.

    Where fewer than three were given nothing is said. One statement.
    """
    found = rows(_FIRST_ANSWERS, {"applications": list(application_ids), "since": at - timedelta(days=90)})
    return {application_id: AnswerTimes(median, p95) for application_id, median, p95 in found}


_FIRST_ANSWERS = """
WITH taken AS (
    SELECT role.application_id, given.decided_at - request.created_at AS span
    FROM access_approval given
    JOIN access_accessrequest request ON request.id = given.request_id
    JOIN catalog_entitlement role ON role.id = request.entitlement_id
    WHERE role.application_id = ANY(%(applications)s::bigint[]) AND given.stage = 0 AND given.approver_id IS NOT NULL
        AND given.decided_at > %(since)s
)
SELECT application_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY span),
    percentile_cont(0.95) WITHIN GROUP (ORDER BY span)
FROM taken GROUP BY application_id HAVING count(*) >= 3
"""


def is_asked_about(reader: Person, grant: Grant) -> bool:
    """Tell whether a request of the same person in the same application waits for this reader."""
    asked = AccessRequest.objects.filter(
        waits_for(reader), person_id=grant.person_id, entitlement__application_id=grant.application_id
    )
    return asked.exists()
