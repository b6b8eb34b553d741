"""The writers of what happens between asking and answering: a question back, the reply, a hand-over."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from governance.access import events, subjects
from governance.access.approvers import Voter, deciders, voters
from governance.access.models import AccessRequest, RequestState, Turn, TurnKind
from governance.access.waiting import locked_pending
from governance.catalog.models import ApplicationOwner
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Reason, Refused
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins
from governance.ledger.recording import record
from governance.policy.words import refuse_words


@transaction.atomic
def ask_back(request: AccessRequest, *, approver: Person, question: str, actor: Actor) -> Turn:
    """Ask who wants the access something before one decides; the silence that escalates is not counted meanwhile.

    Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    _, reasons = _voter_of(request, approver)
    if reasons := [*reasons, *refuse_words(question, field="question")]:
        raise Refused(reasons)
    if request.asked_back_at is None:
        request.asked_back_at = at
        request.silence_left = None if request.escalates_at is None else max(request.escalates_at - at, at - at)
        request.escalates_at = None
        request.save(update_fields=["asked_back_at", "silence_left", "escalates_at"])
    return _take(request, TurnKind.QUESTION, by=approver, text=question, at=at, actor=actor)


@transaction.atomic
def reply(request: AccessRequest, *, person: Person, text: str, actor: Actor) -> Turn:
    """Answer what was asked back, as who asked or who is to get it; the silence counts on from where it was.

    Raises Conflict when the request no longer waits and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    reasons = list(refuse_words(text, field="reply"))
    if person.pk not in (request.requester_id, request.person_id):
        reasons.append(Reason("not_yours", "Only who asked for the access can reply."))
    if not person.is_active:
        reasons.append(Reason("left", "You are not active any more."))
    if reasons:
        raise Refused(reasons)
    if request.asked_back_at is not None:
        request.escalates_at = None if request.silence_left is None else at + request.silence_left
        request.asked_back_at = request.silence_left = None
        request.save(update_fields=["asked_back_at", "silence_left", "escalates_at"])
    return _take(request, TurnKind.REPLY, by=person, text=text, at=at, actor=actor)


@transaction.atomic
def hand_over(request: AccessRequest, *, approver: Person, to: Person, reason: str, actor: Actor) -> Turn:
    """Let somebody else answer this one request in one's place. They must be among those the policy could ask.

    Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    voter, reasons = _voter_of(request, approver)
    reasons += [*refuse_words(reason, field="reason"), *_refuse_heir(request, approver, to)]
    if reasons or voter is None:
        raise Refused(reasons)
    holder_of = voter.on_behalf_of or voter.person
    return _take(
        request, TurnKind.HANDED_OVER, by=approver, text=reason, at=at, actor=actor, holder_of=holder_of, to=to
    )


def heirs(request: AccessRequest, approver: Person) -> list[Person]:
    """Return who could answer a request in somebody's place, by name: nobody concerned, nobody who answered.

    They are those whom some stage of the policy asks, the owners of the application and security.
    """
    known = deciders([request.entitlement.application_id])
    barred = {request.requester_id, request.person_id, approver.pk, *answered_ids(request)}
    found: dict[int, Person] = {}
    for stage in request.route:
        for is_escalated in (False, True):
            asked = known.eligible(
                stage,
                person=request.person,
                application_id=request.entitlement.application_id,
                excluded_ids=barred,
                is_escalated=is_escalated,
            )
            found |= {one.pk: one for one in asked}
    owners = ApplicationOwner.objects.filter(
        application=request.entitlement.application_id, person__status=Status.ACTIVE
    ).select_related("person")
    found |= {one.person_id: one.person for one in owners} | {one.pk: one for one in security_admins()}
    return sorted((one for key, one in found.items() if key not in barred), key=lambda one: one.display_name)


def answered_ids(request: AccessRequest) -> set[int]:
    """Return who answered a request so far, and in whose place."""
    given = request.approvals.all()
    return {key for one in given for key in (one.approver_id, one.on_behalf_of_id) if key is not None}


def conversation(request: AccessRequest) -> list[Turn]:
    """Return what happened to a request between asking and answering, in order. One statement."""
    return list(request.turns.select_related("by", "holder_of", "to").order_by("pk"))


def _voter_of(request: AccessRequest, approver: Person) -> tuple[Voter | None, list[Reason]]:
    voter = next((one for one in voters(request) if one.person.pk == approver.pk), None)
    if voter is None:
        return None, [Reason("not_asked", "This request does not wait for you.")]
    return voter, []


def _refuse_heir(request: AccessRequest, approver: Person, to: Person) -> list[Reason]:
    name = to.display_name
    if to.pk == approver.pk:
        return [Reason("to_yourself", "It waits for you already. Choose somebody else.", "to")]
    if to.pk in (request.requester_id, request.person_id):
        return [Reason("own_request", f"{name} would decide about their own access.", "to")]
    if not to.is_active:
        return [Reason("to_left", f"{name} is not active any more.", "to")]
    if to.pk in answered_ids(request):
        return [Reason("to_answered", f"{name} has answered this already.", "to")]
    if to.pk not in {one.pk for one in heirs(request, approver)}:
        return [Reason("to_not_eligible", f"The policy could not ask {name} about this.", "to")]
    return []


def _take(
    request: AccessRequest,
    kind: TurnKind,
    *,
    by: Person,
    text: str,
    at: datetime,
    actor: Actor,
    holder_of: Person | None = None,
    to: Person | None = None,
) -> Turn:
    assert request.state == RequestState.PENDING
    turn = Turn.objects.create(
        request=request, stage=request.stage, kind=kind, by=by, holder_of=holder_of, to=to, text=text.strip(), at=at
    )
    data: dict[str, object] = {"stage": request.stage, "turn": turn.pk}
    if holder_of is not None and to is not None:
        data |= {"to": str(to.ref), "in_place_of": str(holder_of.ref)}
    record(
        _EVENTS[kind],
        actor=actor,
        subjects=subjects.of_request(request),
        data=data,
        private={"text": (str(by.ref), turn.text)} if turn.text else {},
    )
    return turn


_EVENTS = {
    TurnKind.QUESTION: events.REQUEST_ASKED_BACK,
    TurnKind.REPLY: events.REQUEST_REPLIED,
    TurnKind.HANDED_OVER: events.REQUEST_HANDED_OVER,
}
