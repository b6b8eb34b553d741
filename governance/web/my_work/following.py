"""One request as its page shows it: sent, decided, ordered, ready, ended. Nothing is said before it is true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Prefetch, Q, QuerySet

from governance.access.deciding import eligible_approvers
from governance.access.end_questions import open_question, who_is_asked
from governance.access.models import AccessRequest, Approval, EndCause, Grant, RequestState, Turn
from governance.access.queries import WITH_GRANT, WITH_REQUEST, answer_times, asked_together
from governance.access.requests import may_remind_at
from governance.catalog import stages
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.policy.durations import spoken
from governance.provisioning.models import Operation, OperationState
from governance.web import clock_words
from governance.web.roles import Standing

#: The answers to a request and what happened between, each read once.
ANSWERED = (
    Prefetch("approvals", Approval.objects.select_related("approver", "on_behalf_of")),
    Prefetch("turns", Turn.objects.select_related("by", "holder_of", "to").order_by("pk")),
)
_ENDED = {
    EndCause.EXPIRED: "Time was up",
    EndCause.RETURNED: "Given back",
    EndCause.REVOKED: "Taken away",
    EndCause.LEFT: "Ended, because they left",
    EndCause.RULE: "Ended by a rule",
    EndCause.RETIRED: "Ended, because the role is gone",
    EndCause.CONFLICT: "Not opened: it would break a rule",
    EndCause.INELIGIBLE: "Not opened: what it was allowed by no longer held",
}


_CLOSED = {
    "left": "The person left.",
    "retired": "The role or its application is gone.",
    "not_eligible": "The policy no longer lets them have it.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `done`, `now`, `bad`, or empty for what is still to come."""

    state: str
    icon: str
    title: str
    at: datetime | None = None
    note: str = ""
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Followed:
    """The whole page. It asks again by itself until it is settled."""

    request: AccessRequest
    steps: tuple[Step, ...]
    is_mine: bool
    is_settled: bool
    grant: Grant | None
    #: What it was asked for together with.
    together: tuple[AccessRequest, ...] = ()
    #: From when on those who decide may be reminded; none when nobody is to be.
    remind_at: datetime | None = None
    at: datetime | None = None
    turns: tuple[Turn, ...] = ()

    @property
    def is_over(self) -> bool:
        """Tell whether it was answered with no, or what it gave has ended: it may be asked for again."""
        if self.grant is None:
            return self.request.state not in (RequestState.PENDING, RequestState.APPROVED)
        return self.at is not None and self.grant.ends_at <= self.at

    @property
    def can_remind(self) -> bool:
        """Tell whether those who decide may be reminded now."""
        return self.remind_at is not None and self.at is not None and self.remind_at <= self.at

    @property
    def can_be_withdrawn(self) -> bool:
        """Tell whether the reader can take it back."""
        return self.is_mine and self.request.state == RequestState.PENDING


def visible_requests(person: Person, standing: Standing) -> QuerySet[AccessRequest]:
    """Return the requests this person may see: their own, those they were asked about, all for security and audit."""
    if standing.is_security_admin or standing.is_auditor:
        return AccessRequest.objects.all()
    mine = Q(person=person) | Q(requester=person)
    asked = Q(person__manager=person) | Q(entitlement__application__ownerships__person=person)
    return AccessRequest.objects.filter(mine | asked | Q(approvals__approver=person)).distinct()


def visible_request(person: Person, standing: Standing, number: int) -> AccessRequest:
    """Return one request this person may see. Raises NotFound, also for one they may not know of."""
    found = (
        visible_requests(person, standing)
        .filter(number=number)
        .select_related(*WITH_REQUEST)
        .prefetch_related(*ANSWERED)
        .first()
    )
    if found is None:
        raise NotFound(f"There is no request R-{number} that you may see.")
    return found


def followed(person: Person, standing: Standing, number: int, at: datetime) -> Followed:
    """Return the page of one request. Raises NotFound."""
    request = visible_request(person, standing, number)
    grant = request.grants.select_related(*WITH_GRANT).first()
    steps = (_sent(request), *_decisions(request, at), *_closing(request), *_opening(request, grant, at))
    return Followed(
        request=request,
        steps=steps,
        is_mine=person.pk in (request.person_id, request.requester_id),
        is_settled=_is_settled(request, grant, at),
        grant=grant,
        together=tuple(asked_together(request)),
        remind_at=may_remind_at(request) if request.state == RequestState.PENDING else None,
        at=at,
        turns=tuple(request.turns.all()),
    )


@dataclass(frozen=True, slots=True)
class Member:
    """One role of a set, with the step it has come to."""

    request: AccessRequest
    step: Step


def member(request: AccessRequest, at: datetime) -> Member:
    """Return a request of a set with where it stands: the step that waits or failed, else the last that is done."""
    grant = next(iter(request.grants.all()), None)
    steps = [_sent(request), *_decisions(request, at), *_closing(request), *_opening(request, grant, at)]
    reached = [step for step in steps if step.state]
    waiting = [step for step in reached if step.state in ("now", "bad")]
    return Member(request, (waiting or reached)[-1])


def names(people: list[Person]) -> str:
    """Return who is asked, in words: one, one or another, one or so many others."""
    if not people:
        return "Security"
    first = people[0].display_name
    if len(people) == 1:
        return first
    return f"{first} or {people[1].display_name}" if len(people) == 2 else f"{first} or {len(people) - 1} others"


def _sent(request: AccessRequest) -> Step:
    by = "" if request.requester_id == request.person_id else f"by {request.requester.display_name}"
    return Step("done", "check", "Sent", request.created_at, by)


def _decisions(request: AccessRequest, at: datetime) -> Iterator[Step]:
    given = {approval.stage: approval for approval in request.approvals.all()}
    if any(approval.approver_id is None for approval in given.values()):
        yield _by_policy(request)
        return
    for stage in range(len(request.route)):
        if stage in given:
            yield _decided(given[stage], request)
        elif request.state == RequestState.PENDING:
            yield _waiting(request, at) if stage == request.stage else _later(request.route[stage].kind)


def _by_policy(request: AccessRequest) -> Step:
    name = request.policy_version.policy.name
    if request.state == RequestState.DENIED:
        return Step("bad", "x", "Declined at once by policy", request.closed_at, name)
    return Step("done", "zap", "Approved at once by policy", request.closed_at, name)


def _decided(approval: Approval, request: AccessRequest) -> Step:
    who = approval.approver.display_name if approval.approver else "The policy"
    note = f"{clock_words.short_length(approval.decided_at - request.created_at)} after the request"
    if not approval.approved:
        return Step("bad", "x", f"{who} declined", approval.decided_at, note, approval.reason)
    if approval.on_behalf_of is not None:
        who = f"{who} for {approval.on_behalf_of.display_name}"
    shorter = f", for {spoken(approval.duration)}" if approval.duration else ""
    return Step("done", "check", f"{who} approved{shorter}", approval.decided_at, note, approval.reason)


def _waiting(request: AccessRequest, at: datetime) -> Step:
    usual = answer_times(request.entitlement_id, at=at).get(request.route[request.stage].kind)
    note = f"Waiting for {clock_words.short_length(at - (request.stage_since or request.created_at))}."
    if usual is not None:
        median, p95 = clock_words.short_length(usual.median), clock_words.short_length(usual.p95)
        note += f" Usually answered in {median}; nearly always within {p95}."
    note += f" It lapses {clock_words.moment(request.lapses_at, at)} if nobody answers."
    return Step("now", "hourglass", f"{names(eligible_approvers(request))} decides", note=note)


_LATER = {
    stages.MANAGER: "the manager",
    stages.MANAGERS_MANAGER: "the manager of the manager",
    stages.OWNER: "the application owner",
    stages.SECURITY: "security",
    stages.GROUP: "one of a group",
    stages.PEOPLE: "somebody the policy names",
}


def _later(kind: str) -> Step:
    return Step("", "user", f"Then {_LATER[kind]} decides")


def _closing(request: AccessRequest) -> Iterator[Step]:
    words = {
        RequestState.WITHDRAWN: ("undo-2", "Taken back", ""),
        RequestState.LAPSED: (
            "timer-off",
            "Nobody answered in time",
            "Ask again, or ask the owner.",
        ),
        RequestState.CLOSED: ("ban", "Closed", _CLOSED.get(request.closed_because, "")),
    }.get(RequestState(request.state))
    if words:
        yield Step("bad", words[0], words[1], request.closed_at, words[2])


def _opening(request: AccessRequest, grant: Grant | None, at: datetime) -> Iterator[Step]:
    name = request.entitlement.application.name
    if request.extends is not None and grant is None:
        yield from _extension(request)
    elif request.state == RequestState.PENDING:
        yield Step("", "send", f"Ordered at {name}")
        yield Step("", "check-check", "Ready to use", note=f"We say so once {name} shows it to us.")
    elif grant is not None:
        yield from _giving(grant, at)
        yield from _ending(grant, at)


def _extension(request: AccessRequest) -> Iterator[Step]:
    if request.state == RequestState.PENDING:
        yield Step("", "timer-reset", "The end moves", note="Until then the present end stays.")
    elif request.state == RequestState.APPROVED:
        yield Step("done", "timer-reset", "The end has moved", request.closed_at)


def _giving(grant: Grant, at: datetime) -> Iterator[Step]:
    name, operation = grant.application.name, grant.give_operation
    if operation is None and grant.end_cause in (EndCause.INELIGIBLE, EndCause.CONFLICT):
        return
    if operation is None:
        yield Step("now", "calendar-clock", "Begins later", grant.starts_at)
        return
    yield Step("done", "send", f"Ordered at {name}", operation.ordered_at)
    yield _arrival(operation, name)


def _arrival(operation: Operation, name: str) -> Step:
    if operation.state == OperationState.VERIFIED:
        return Step("done", "check-check", f"Ready: {name} shows it", operation.verified_at)
    if operation.state == OperationState.FAILED:
        return Step("bad", "circle-alert", f"It did not reach {name}", operation.failed_at, _cause(operation))
    if operation.state == OperationState.DELIVERED:
        return Step("now", "eye", f"Sent. We ask {name} whether it is there", operation.delivered_at)
    tries = f"Tried {operation.attempts} times: {operation.last_error}" if operation.last_error else ""
    return Step("now", "hourglass", f"We are opening it in {name}", note=tries)


def _ending(grant: Grant, at: datetime) -> Iterator[Step]:
    name, operation = grant.application.name, grant.take_operation
    if grant.ends_at > at:
        yield from _asked_at_end(grant, at)
        return
    if grant.end_cause == EndCause.INELIGIBLE:
        why = " ".join(one["sentence"] for one in grant.called_off.reasons)
        yield Step("bad", "ban", _ENDED[EndCause.INELIGIBLE], grant.starts_at, why)
        return
    yield Step("done", "timer-off", _ENDED.get(EndCause(grant.end_cause or "expired"), "Ended"), grant.ends_at)
    if operation is None:
        if grant.end_ordered_at:
            yield Step("done", "layers", "Nothing was taken away", note="Other access to the same role still stands.")
    elif operation.state == OperationState.VERIFIED:
        yield Step("done", "check-check", f"Gone: {name} was read again", operation.verified_at)
    elif operation.state == OperationState.FAILED:
        yield Step("bad", "circle-alert", f"The removal did not reach {name}", operation.failed_at, _cause(operation))
    else:
        yield Step("now", "send", f"Removal ordered at {name}", operation.ordered_at)


def _asked_at_end(grant: Grant, at: datetime) -> Iterator[Step]:
    question = open_question(grant)
    if question is not None:
        kept = clock_words.moment(question.kept_until, at)
        note = f"Kept until {kept} while {names(who_is_asked(grant))} is asked. Unanswered, it is taken away then."
        yield Step("now", "hourglass", "Time was up", question.due_at, note)


def _cause(operation: Operation) -> str:
    return " ".join(filter(None, [operation.last_error, operation.next_step]))


def _is_settled(request: AccessRequest, grant: Grant | None, at: datetime) -> bool:
    if request.state == RequestState.PENDING:
        return False
    if grant is None:
        return True
    ended = grant.ends_at <= at
    operation = grant.take_operation if ended else grant.give_operation
    if operation is None:
        return ended and grant.end_ordered_at is not None
    settled = {OperationState.VERIFIED.value, OperationState.FAILED.value}
    is_over_soon = not ended and grant.ends_at - at < timedelta(minutes=5)
    return operation.state in settled and not is_over_soon
