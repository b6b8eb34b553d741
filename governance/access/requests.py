"""The writers of requests: ask, change, remind, withdraw, lapse, close. `access.deciding` answers them.

Everything stays on record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from governance.access import events, facts, subjects
from governance.access.deciding import approve_by_policy, decline_by_policy
from governance.access.models import AccessRequest, Grant, RequestSet, RequestState
from governance.access.receipts import receipt
from governance.access.waiting import close, locked_pending, locked_person, said_at, stage_begins
from governance.catalog.models import AccessPolicyVersion, Entitlement
from governance.catalog.queries import policy_in_force
from governance.catalog.risk_weights import weights_in_force
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Invalid, Reason, Refused
from governance.identity.models import Person
from governance.ledger.recording import record
from governance.policy.durations import whole_seconds
from governance.policy.facts import Ask, RequestFacts
from governance.policy.risk import Risk, score
from governance.policy.verdicts import Verdict, decide_request
from governance.provisioning.tickets import look_up, system_for

#: So many roles can be asked for together; each costs a verdict in the one transaction.
MOST_TOGETHER = 50
#: Who decides is reminded at most this often.
BETWEEN_REMINDERS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entitlement that is asked for together with others."""

    entitlement: Entitlement
    ask: Ask


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who asks for whom (locked), when, and together with what."""

    requester: Person
    person: Person
    at: datetime
    actor: Actor
    together: RequestSet | None = None
    beside: tuple[Entitlement, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdict on what is asked for, with what it looked at."""

    seen: RequestFacts
    verdict: Verdict
    risk: Risk


@transaction.atomic
def submit(
    requester: Person,
    entitlement: Entitlement,
    ask: Ask,
    *,
    person: Person | None = None,
    extends: Grant | None = None,
    actor: Actor,
) -> AccessRequest:
    """Return a new request for oneself or somebody else; approved at once when the policy says so.

    `extends` is a running grant whose end should move by `ask.duration` from its present end.
    Raises Refused with every reason why it cannot be asked for.
    """
    asking = _Asking(requester, locked_person(person or requester), now(), actor)
    # As it is now that its person is locked: another extension may just have moved its end.
    return _submit(asking, entitlement, ask, Grant.objects.get(pk=extends.pk) if extends else None)


@transaction.atomic
def submit_together(
    requester: Person, wanted: Sequence[Wanted], *, person: Person | None = None, actor: Actor
) -> RequestSet:
    """Return what was asked for together: a request for each entitlement, each under its own policy, or none at all.

    Raises Invalid when it is nothing, too much or twice the same, and Refused with every reason for every entitlement:
    the sentence begins with its name, and the field is its key (`application/slug`) and what the reason is about.
    """
    _check_together([one.entitlement for one in wanted])
    person, at = locked_person(person or requester), now()
    together = RequestSet.objects.create(
        number=_next_number(),
        requester=requester,
        person=person,
        reason=wanted[0].ask.reason.strip(),
        created_at=at,
        correlation_id=actor.correlation_id,
    )
    asking = _Asking(requester, person, at, actor, together, tuple(one.entitlement for one in wanted))
    if reasons := [reason for one in wanted for reason in _submit_or_say_why(asking, one)]:
        raise Refused(reasons)
    return together


@transaction.atomic
def change(
    request: AccessRequest, entitlement: Entitlement, ask: Ask, *, requester: Person, actor: Actor
) -> AccessRequest:
    """Take back one's own request while it waits and ask anew in its place; both or neither.

    Raises what `withdraw` and `submit` do.
    """
    withdrawn = withdraw(request, person=requester, actor=actor)
    return submit(requester, entitlement, ask, person=withdrawn.person, extends=withdrawn.extends, actor=actor)


@transaction.atomic
def withdraw(request: AccessRequest, *, person: Person, actor: Actor) -> AccessRequest:
    """Take back one's own request while it waits.

    Raises Conflict when it no longer waits and Refused when it is somebody else's.
    """
    request = locked_pending(request)
    _refuse_others(request, person, "Only who asked can withdraw a request.")
    close(request, RequestState.WITHDRAWN, at=now())
    record(events.REQUEST_WITHDRAWN, actor=actor, subjects=subjects.of_request(request))
    return request


@transaction.atomic
def remind(request: AccessRequest, *, person: Person, actor: Actor) -> AccessRequest:
    """Have those who decide one's own request told again that it waits, at most once an hour.

    Raises Conflict when it no longer waits or was asked about within the hour, and Refused when it is somebody else's.
    """
    at = now()
    request = locked_pending(request)
    _refuse_others(request, person, "Only who asked can remind those who decide.")
    if at < may_remind_at(request):
        raise Conflict(
            f"They were told less than an hour ago. Remind them again from {said_at(may_remind_at(request))}."
        )
    request.reminded_at = at
    request.save(update_fields=["reminded_at"])
    record(events.REQUEST_REMINDED, actor=actor, subjects=subjects.of_request(request), data={"stage": request.stage})
    return request


def may_remind_at(request: AccessRequest) -> datetime:
    """Return from when on those who decide may be reminded: they are told when it is sent, and once an hour."""
    return (request.reminded_at or request.created_at) + BETWEEN_REMINDERS


@transaction.atomic
def lapse(request: AccessRequest, *, actor: Actor) -> bool:
    """Close a request that nobody answered in time; return whether it still waited."""
    try:
        request = locked_pending(request)
    except Conflict:
        return False
    close(request, RequestState.LAPSED, at=now())
    record(events.REQUEST_LAPSED, actor=actor, subjects=subjects.of_request(request))
    return True


@transaction.atomic
def close_for_retired(request: AccessRequest, *, actor: Actor) -> bool:
    """Close a request whose role or application is gone; return whether it still waited."""
    try:
        request = locked_pending(request)
    except Conflict:
        return False
    _close_because(request, "retired", at=now(), actor=actor)
    return True


def close_for_leaver(person: Person, *, at: datetime, actor: Actor) -> None:
    """Close what a person who leaves asked for or was to get. Joins the caller's transaction."""
    waiting = AccessRequest.objects.select_for_update(no_key=True, of=("self",)).filter(
        state=RequestState.PENDING, person=person
    ) | AccessRequest.objects.select_for_update(no_key=True, of=("self",)).filter(
        state=RequestState.PENDING, requester=person
    )
    for request in waiting.select_related("person", "entitlement").order_by("pk"):
        _close_because(request, "left", at=at, actor=actor)


def waiting_for_what_is_gone(limit: int) -> list[AccessRequest]:
    """Return requests that wait for a role or an application that was retired."""
    gone = Q(entitlement__retired_at__isnull=False) | Q(entitlement__application__retired_at__isnull=False)
    return list(AccessRequest.objects.filter(gone, state=RequestState.PENDING).order_by("pk")[:limit])


def with_ticket(ask: Ask) -> Ask:
    """Return what is asked for with what the ticket system says of its ticket. For doors, before a transaction."""
    answer = look_up(ask.ticket)
    return replace(ask, ticket_state=answer.state.value, ticket_sentence=answer.sentence)


def _refuse_unlooked(ask: Ask) -> None:
    """Refuse a ticket that a system keeps and nobody looked up: no door passes it by."""
    if ask.ticket.strip() and not ask.ticket_state and system_for(ask.ticket) is not None:
        raise Refused([Reason("ticket_not_looked_up", "The ticket was not looked up. Send it again.", "ticket")])


def _check_together(wanted: Sequence[Entitlement]) -> None:
    if not wanted:
        raise Invalid({"roles": "Choose at least one role."})
    if len(wanted) > MOST_TOGETHER:
        raise Invalid({"roles": f"At most {MOST_TOGETHER} roles at a time; these are {len(wanted)}."})
    if len({one.pk for one in wanted}) < len(wanted):
        raise Invalid({"roles": "A role is named twice."})


def _submit_or_say_why(asking: _Asking, one: Wanted) -> Iterator[Reason]:
    """Write the request of a set, or return why not, said for its role."""
    try:
        _submit(asking, one.entitlement, one.ask, None)
    except Refused as refusal:
        role, application = one.entitlement, one.entitlement.application
        for reason in refusal.reasons:
            field = f"{application.slug}/{role.slug} {reason.field}".strip()
            yield Reason(reason.code, f"{role.name} in {application.name}: {reason.sentence}", field)


def _submit(asking: _Asking, entitlement: Entitlement, ask: Ask, extends: Grant | None) -> AccessRequest:
    _refuse_unlooked(ask)
    version = policy_in_force(entitlement.policy_id, asking.at)
    seen = facts.of_request(
        asking.requester,
        asking.person,
        entitlement,
        version,
        ask,
        extends=extends,
        beside=asking.beside,
        at=asking.at,
    )
    risk = score(seen, weights_in_force())
    verdict = decide_request(seen, risk)
    reasons = (*verdict.reasons, *_extension_problems(extends, asking.person, entitlement, asking.at))
    if reasons:
        raise Refused(reasons)
    request = _write(asking, entitlement, extends, version, _Judged(seen, verdict, risk))
    if verdict.is_automatic:
        approve_by_policy(request, version, at=asking.at, actor=asking.actor)
    elif verdict.is_denied:
        decline_by_policy(request, version, at=asking.at, actor=asking.actor)
    return request


def _write(
    asking: _Asking,
    entitlement: Entitlement,
    extends: Grant | None,
    version: AccessPolicyVersion,
    judged: _Judged,
) -> AccessRequest:
    ask = judged.seen.ask
    request = AccessRequest(
        number=_next_number(),
        requester=asking.requester,
        person=asking.person,
        entitlement=entitlement,
        request_set=asking.together,
        extends=extends,
        duration=ask.duration,
        starts_at=ask.starts_at,
        purpose=ask.purpose,
        reason=ask.reason.strip(),
        ticket=ask.ticket.strip(),
        policy_version=version,
        verdict=receipt(judged.seen, judged.verdict, judged.risk),
        created_at=asking.at,
        lapses_at=asking.at + version.lapses_after,
        correlation_id=asking.actor.correlation_id,
    )
    stage_begins(request, 0, at=asking.at)
    request.save()
    _record_submitted(request, judged.verdict, actor=asking.actor)
    return request


def _record_submitted(request: AccessRequest, verdict: Verdict, *, actor: Actor) -> None:
    owner = str(request.person.ref)
    record(
        events.REQUEST_SUBMITTED,
        actor=actor,
        subjects=subjects.of_request(request),
        data={
            "duration_seconds": whole_seconds(request.duration),
            "purpose": request.purpose,
            "policy_version": request.policy_version_id,
            "extends": request.extends_id,
            "automatic": verdict.is_automatic,
            "on_behalf": request.requester_id != request.person_id,
            "starts_at": request.starts_at.isoformat() if request.starts_at else None,
            "together": request.request_set.number if request.request_set else None,
        },
        private={"reason": (owner, request.reason), "ticket": (owner, request.ticket)},
    )


def _close_because(request: AccessRequest, because: str, *, at: datetime, actor: Actor) -> None:
    close(request, RequestState.CLOSED, at=at, because=because)
    record(events.REQUEST_CLOSED, actor=actor, subjects=subjects.of_request(request), data={"because": because})


def _refuse_others(request: AccessRequest, person: Person, sentence: str) -> None:
    if person.pk not in (request.requester_id, request.person_id):
        raise Refused([Reason("not_yours", sentence)])


def _extension_problems(extends: Grant | None, person: Person, entitlement: Entitlement, at: datetime) -> list[Reason]:
    if extends is None:
        return []
    if extends.person_id != person.pk or extends.entitlement_id != entitlement.pk:
        return [Reason("not_this_access", "This is not the access you want to extend.")]
    if extends.ends_at <= at:
        return [Reason("ended", "This access has ended already. Ask for it again.")]
    if extends.ends_at == OPEN_END:
        return [Reason("open_ended", "This access has no end, so there is nothing to extend.")]
    return []


def _next_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('access_request_number')")
        return int(cursor.fetchone()[0])
