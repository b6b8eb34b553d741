"""From one ledger entry to who is told what: the next actor, those who were asked before, and whom it is about. Pure.

Nobody is told about what they did themselves, and the same thing at most once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from governance.notices.happenings import Asked, Audit, Happening, Told, What, Who

#: Somebody who was asked is reminded again after this long at the earliest.
BETWEEN_REMINDERS = timedelta(hours=1)

Decider = Callable[[Happening], Iterable[Told]]


def decide(seen: Happening) -> list[Told]:
    """Return who is told what because of an entry."""
    decider = DECIDERS.get(seen.event)
    told = {} if decider is None else {(one.person_id, one.kind): one for one in decider(seen)}
    return [one for one in told.values() if seen.actor is None or one.person_id != seen.actor.id]


def facts_of(seen: Happening) -> dict[str, object]:
    """Return the names and instants that words about a happening need."""
    request, grant = seen.request, seen.grant
    person = request.person if request else grant.person if grant else seen.person
    known: dict[str, object] = {}
    if request is not None or (grant is not None and grant.number is not None):
        known["number"] = request.number if request else grant.number if grant else None
    if grant is not None:
        known |= {"grant": grant.id, "until": grant.ends_at.isoformat() if grant.ends_at else ""}
    if person is not None:
        known |= {"person": person.name, "person_ref": person.ref}
    if seen.actor is not None:
        known["actor"] = seen.actor.name
    return known | _what_facts(request.what if request else grant.what if grant else seen.what)


def _what_facts(what: What | None) -> dict[str, object]:
    if what is None:
        return {}
    return {"application": what.application, "application_slug": what.application_slug, "role": what.role}


def about(request: Asked) -> str:
    """Return what notices about a request are settled with."""
    return f"request:{request.number}"


def asking(request: Asked) -> str:
    """Return what a question to approvers comes from: the stage that waits, whichever entry led to it."""
    return f"{about(request)}:stage:{request.stage}"


def ending(grant_id: int, ends_at: datetime) -> str:
    """Return what warnings before an end come from: another end has other warnings."""
    return f"{about_grant(grant_id)}:ends:{ends_at:%Y%m%dT%H%M%S}"


def about_grant(grant_id: int) -> str:
    """Return what notices about a grant are settled with."""
    return f"grant:{grant_id}"


def _submitted(seen: Happening) -> Iterator[Told]:
    if seen.request is not None:
        yield from _next_actors(seen.request, "approval.wanted")


def _reminded(seen: Happening) -> Iterator[Told]:
    request = seen.request
    for person_id in request.tell_ids if request else ():
        asked_at = request.asked_at.get(person_id) if request else None
        if request and (asked_at is None or seen.at - asked_at >= BETWEEN_REMINDERS):
            yield Told(person_id, "approval.reminded", about(request), cause=f"{asking(request)}:{seen.index}")


def _escalated(seen: Happening) -> Iterator[Told]:
    request = seen.request
    for person_id in request.tell_ids if request else ():
        if request and person_id not in request.asked_at:
            yield Told(person_id, "approval.escalated", about(request), cause=asking(request))


def _stage_approved(seen: Happening) -> Iterator[Told]:
    request = seen.request
    if request is None:
        return
    yield from _others(request, but=request.approver_ids)
    yield from _next_actors(request, "approval.wanted")
    yield Told(request.requester.id, "request.stage_approved", about(request))


def _approved(seen: Happening) -> Iterator[Told]:
    request = seen.request
    if request is None:
        return
    yield from _others(request)
    yield from _concerned(request.requester, request.person, "request.approved", about(request))


def _denied(seen: Happening) -> Iterator[Told]:
    request = seen.request
    if request is None:
        return
    yield from _others(request)
    yield Told(request.requester.id, "request.denied", about(request), {"reason": request.reason})


def _lapsed(seen: Happening) -> Iterator[Told]:
    if seen.request is not None:
        yield Told(seen.request.requester.id, "request.lapsed", about(seen.request))


def _closed(seen: Happening) -> Iterator[Told]:
    request = seen.request
    if request is not None:
        yield from _concerned(request.requester, request.person, "request.closed", about(request))


def _verified(seen: Happening) -> Iterator[Told]:
    grant = seen.grant
    if grant is not None and seen.data.get("kind") == "give" and grant.number is not None:
        yield from _concerned(grant.requester, grant.person, "request.ready", about_grant(grant.id))


def _failed(seen: Happening) -> Iterator[Told]:
    grant = seen.grant
    is_give = seen.data.get("kind") == "give"
    if is_give and grant is not None and grant.number is not None:
        yield from _concerned(grant.requester, grant.person, "request.failed", about_grant(grant.id))
    yield from _answerable(seen, "giving.failed" if is_give else "removal.failed")


def _stopped(seen: Happening) -> Iterator[Told]:
    yield from _answerable(seen, "connector.stopped")


def _works_again(seen: Happening) -> Iterator[Told]:
    yield from _answerable(seen, "connector.works_again")


def _started(seen: Happening) -> Iterator[Told]:
    grant = seen.grant
    if grant is None:
        return
    if grant.cause == "break_glass":
        for person_id in dict.fromkeys((*grant.what.owner_ids, *seen.security_ids)):
            yield Told(person_id, "break_glass.used", about_grant(grant.id))
    if grant.cause == "manual":
        yield Told(grant.person.id, "access.given", about_grant(grant.id))


def _shortened(seen: Happening) -> Iterator[Told]:
    if seen.grant is not None:
        yield Told(seen.grant.person.id, "access.shortened", about_grant(seen.grant.id))


def _ended(seen: Happening) -> Iterator[Told]:
    if seen.grant is not None and seen.data.get("cause") == "revoked":
        yield Told(seen.grant.person.id, "access.revoked", about_grant(seen.grant.id))


def _withheld(seen: Happening) -> Iterator[Told]:
    """Tell security once for all that one signal caused: a rule may hold back something from thousands."""
    grant = seen.grant
    if grant is not None:
        yield from _concerned(grant.requester, grant.person, "request.withheld", about_grant(grant.id))
    for person_id in seen.security_ids:
        yield Told(person_id, "duties.withheld", cause=f"act:{seen.correlation}")


def _owners_changed(seen: Happening) -> Iterator[Told]:
    for person_id in seen.what.new_owner_ids if seen.what else ():
        yield Told(person_id, "ownership.received")


def _excepted(seen: Happening) -> Iterator[Told]:
    owner = seen.by_ref.get(str(seen.data.get("owner")))
    if owner is not None:
        yield Told(owner.id, "duties.excepted", facts={"until": seen.data.get("ends_at") or ""})


def _handed_over(seen: Happening) -> Iterator[Told]:
    """Ask who may decide now and was not asked, or had been told that it is over; others keep the notice they have."""
    request = seen.request
    for person_id in request.tell_ids if request else ():
        if request and person_id not in request.holding_ids:
            yield Told(person_id, "approval.wanted", about(request), cause=f"{asking(request)}:{seen.index}")


def _asked_back(seen: Happening) -> Iterator[Told]:
    if seen.request is not None:
        yield Told(seen.request.requester.id, "request.question", about(seen.request))


def _replied(seen: Happening) -> Iterator[Told]:
    for person_id in seen.request.tell_ids if seen.request else ():
        yield Told(person_id, "approval.replied", about(seen.request) if seen.request else "")


def _absent(seen: Happening) -> Iterator[Told]:
    deputy = seen.by_ref.get(str(seen.data.get("deputy")))
    if deputy is not None:
        span = {"since": seen.data.get("starts_at") or "", "until": seen.data.get("ends_at") or ""}
        yield Told(deputy.id, "absence.deputy", facts=span)


def _called_off(seen: Happening) -> Iterator[Told]:
    grant = seen.grant
    if grant is not None:
        yield from _concerned(grant.requester, grant.person, "request.called_off", about_grant(grant.id))


def _end_asked(seen: Happening) -> Iterator[Told]:
    grant = seen.grant
    if grant is None or grant.ends_at is None:
        return
    owners = [person_id for person_id in grant.what.owner_ids if person_id != grant.person.id]
    for person_id in owners or seen.security_ids:
        if person_id != grant.person.id:
            yield Told(person_id, "end.asked", about_grant(grant.id), cause=ending(grant.id, grant.ends_at))
    yield Told(grant.person.id, "access.kept", about_grant(grant.id))


def _end_answered(seen: Happening) -> Iterator[Told]:
    until = seen.data.get("lasts_until")
    if seen.grant is not None and until:
        yield Told(seen.grant.person.id, "access.extended", about_grant(seen.grant.id), {"until": until})


def _hold_opened(seen: Happening) -> Iterator[Told]:
    for person_id in seen.security_ids:
        yield Told(person_id, "hold.opened", facts={"source": seen.refs.get("source", "")})


def _stream_stopped(seen: Happening) -> Iterator[Told]:
    for person_id in seen.security_ids:
        yield Told(person_id, "stream.stopped", facts={"stream_ref": seen.refs.get("stream", "")})


def _rule_parked(seen: Happening) -> Iterator[Told]:
    """Tell security once for each time a run is put aside: it stays aside until somebody looks."""
    said = {"rule": seen.refs.get("rule", ""), "done": seen.data.get("done"), "total": seen.data.get("total")}
    for person_id in seen.security_ids:
        yield Told(person_id, "rule.parked", about_rule(seen), said)


def about_rule(seen: Happening) -> str:
    """Return what notices about a birthright rule are settled with: short, however long its name is."""
    return f"rule:{hashlib.sha256(seen.refs.get('rule', '').encode()).hexdigest()[:32]}"


def _handed_on(seen: Happening) -> Iterator[Told]:
    """Tell an heir once for each leaver, and security once of what has none. New owners are told as such."""
    heir = seen.named[-1] if len(seen.named) > 1 else None
    cause = f"act:{seen.correlation}"
    if heir is None or seen.data.get("rule") in ("security", "nobody"):
        for person_id in seen.security_ids:
            yield Told(person_id, "handover.undecided", cause=cause)
    elif "application" not in seen.refs:
        yield Told(heir.id, "handover.received", cause=cause)


def _glass_opened(seen: Happening) -> Iterator[Told]:
    for person_id in seen.reviewer_ids:
        yield Told(person_id, "break_glass.review_wanted", about_glass(seen), _glass(seen))


def _glass_overdue(seen: Happening) -> Iterator[Told]:
    for person_id in dict.fromkeys((*seen.reviewer_ids, *seen.security_ids)):
        yield Told(person_id, "break_glass.overdue", about_glass(seen), _glass(seen))


def _glass_reviewed(seen: Happening) -> Iterator[Told]:
    """Tell whose access it was; security as well when it was not justified."""
    justified = bool(seen.data.get("justified"))
    said = {**_glass(seen), "answer": "was justified" if justified else "was not justified"}
    concerned = [seen.person.id] if seen.person else []
    for person_id in dict.fromkeys((*concerned, *(() if justified else seen.security_ids))):
        yield Told(person_id, "break_glass.reviewed", about_glass(seen), said)


def about_glass(seen: Happening) -> str:
    """Return what notices about a break-glass are settled with."""
    return f"break_glass:{seen.refs.get('break_glass', '')}"


def _glass(seen: Happening) -> dict[str, object]:
    return {"glass": seen.refs.get("break_glass", ""), "until": seen.data.get("review_due_at") or ""}


def _reading_finished(seen: Happening) -> Iterator[Told]:
    """Tell everybody once what a reading found of theirs, and once a day what is due; security what is nobody's."""
    day = f"exceptions:{seen.at:%Y-%m-%d}"
    for person_id, mine in seen.exceptions.items():
        if mine.new:
            yield Told(person_id, "exceptions.found", facts={"found": mine.new})
        if mine.overdue or mine.near:
            yield Told(person_id, "exceptions.due", facts={"overdue": mine.overdue, "near": mine.near}, cause=day)
    rest = seen.exceptions_of_nobody
    for person_id in seen.security_ids if rest.new or rest.overdue else ():
        yield Told(person_id, "exceptions.unowned", facts={"found": rest.new, "overdue": rest.overdue})


def _exception_answered(seen: Happening) -> Iterator[Told]:
    owner = seen.by_ref.get(str(seen.data.get("owner")))
    if owner is not None and seen.data.get("is_new_owner"):
        yield Told(owner.id, "exception.given", facts={"exception": seen.refs.get("exception", "")})


def _proposed(seen: Happening) -> Iterator[Told]:
    # Alone is who has no second person: it is in force at once and waits for nobody.
    for person_id in () if seen.data.get("alone") else seen.security_ids:
        yield Told(person_id, "policy.proposed", f"proposal:{seen.data.get('proposal')}", _proposal(seen))


def _proposal_answered(seen: Happening) -> Iterator[Told]:
    if seen.person is not None:
        yes = seen.event == "policy.proposal_approved"
        said = {**_proposal(seen), "answer": "approved" if yes else "declined"}
        yield Told(seen.person.id, "policy.answered", f"proposal:{seen.data.get('proposal')}", said)


def _proposal(seen: Happening) -> dict[str, object]:
    return {"proposal": seen.data.get("proposal"), "policy": seen.refs.get("policy", "")}


def _guest_came(seen: Happening) -> Iterator[Told]:
    yield from _to(seen, "audit.came", hosts=True)


def _audit_asked(seen: Happening) -> Iterator[Told]:
    if seen.audit is not None and seen.audit.waits_for_host:
        yield from _to(seen, "audit.flagged" if seen.event == "audit_request.flagged" else "audit.asked", hosts=True)


def _audit_answered(seen: Happening) -> Iterator[Told]:
    if seen.audit is not None and seen.audit.waits_for_auditor:
        yield from _to(seen, "audit.answered", hosts=False)


def _audit_said(seen: Happening) -> Iterator[Told]:
    """Tell the other side: the auditors what the company said, the company what they said."""
    by_host = seen.actor is not None and seen.actor.id in seen.security_ids
    yield from _to(seen, "audit.said", hosts=not by_host)


def _to(seen: Happening, kind: str, *, hosts: bool) -> Iterator[Told]:
    audit = seen.audit
    if audit is None:
        return
    facts = {"audit": audit.name, "audit_ref": audit.ref, "asked": audit.number, "until": audit.ends_at.isoformat()}
    for person_id in audit.host_ids if hosts else audit.auditor_ids:
        yield Told(person_id, kind, about_asked(audit) if audit.number else about_audit(audit), facts)


def about_audit(audit: Audit) -> str:
    """Return what notices about an audit are settled with."""
    return f"audit:{audit.ref}"


def about_asked(audit: Audit) -> str:
    """Return what notices about a request of an audit are settled with."""
    return f"{about_audit(audit)}:{audit.number}"


def about_log_review(review: str) -> str:
    """Return what notices about a review of the log are settled with."""
    return f"log_review:{review}"


def _next_actors(request: Asked, kind: str) -> Iterator[Told]:
    for person_id in request.tell_ids:
        yield Told(person_id, kind, about(request), cause=asking(request))


def _others(request: Asked, *, but: Iterable[int] = ()) -> Iterator[Told]:
    """Tell those who had been asked that it was answered."""
    for person_id in request.asked_at:
        if person_id not in request.answered_ids.union(but):
            yield Told(person_id, "approval.taken", about(request))


def _concerned(first: Who | None, second: Who, kind: str, subject: str) -> Iterator[Told]:
    """Tell who asked, and whom it is for."""
    for who in (first, second):
        if who is not None:
            yield Told(who.id, kind, subject)


def _answerable(seen: Happening, kind: str) -> Iterator[Told]:
    """Tell the owners of the application; security when there is none."""
    what = seen.grant.what if seen.grant else seen.what
    for person_id in (what.owner_ids if what else ()) or seen.security_ids:
        yield Told(person_id, kind)


#: Every event that somebody is told about. Others are read over.
DECIDERS: dict[str, Decider] = {
    "request.submitted": _submitted,
    "request.reminded": _reminded,
    "request.escalated": _escalated,
    "request.stage_approved": _stage_approved,
    "request.approved": _approved,
    "request.denied": _denied,
    "request.lapsed": _lapsed,
    "request.closed": _closed,
    "operation.verified": _verified,
    "operation.failed": _failed,
    "connector.circuit_opened": _stopped,
    "connector.circuit_closed": _works_again,
    "grant.started": _started,
    "grant.shortened": _shortened,
    "grant.ended": _ended,
    "grant.withheld": _withheld,
    "application.owners_changed": _owners_changed,
    "sod_exception.granted": _excepted,
    "request.handed_over": _handed_over,
    "request.asked_back": _asked_back,
    "request.replied": _replied,
    "absence.planned": _absent,
    "grant.called_off": _called_off,
    "grant.end_asked": _end_asked,
    "grant.end_answered": _end_answered,
    "break_glass.opened": _glass_opened,
    "break_glass.overdue": _glass_overdue,
    "break_glass.reviewed": _glass_reviewed,
    "hold.opened": _hold_opened,
    "stream.stopped": _stream_stopped,
    "rule.parked": _rule_parked,
    "handover.made": _handed_on,
    "control_reading.finished": _reading_finished,
    "exception.answered": _exception_answered,
    "policy.proposed": _proposed,
    "policy.proposal_approved": _proposal_answered,
    "policy.proposal_declined": _proposal_answered,
    "invitation.accepted": _guest_came,
    "audit_request.added": _audit_asked,
    "audit_request.answered": _audit_answered,
    "audit_request.flagged": _audit_asked,
    "audit_request.said": _audit_said,
}
#: After these, what asked for an answer to the request is over, but for those who may still give it.
SETTLING_REQUESTS = frozenset(
    {
        "request.stage_approved",
        "request.approved",
        "request.denied",
        "request.withdrawn",
        "request.lapsed",
        "request.closed",
        "request.handed_over",
        "request.escalated",
    }
)
#: After these, a warning that the grant ends is over.
SETTLING_GRANTS = frozenset({"grant.extended", "grant.shortened", "grant.ended", "grant.end_answered"})
#: After these, a proposal waits for nobody.
SETTLING_PROPOSALS = frozenset({"policy.proposal_approved", "policy.proposal_declined", "policy.proposal_withdrawn"})
#: After this, what was put aside of a rule waits for nobody.
SETTLING_RULES = frozenset({"rule.tried_again"})
#: After these, what was told of a request of an audit is over: the event, and of which kinds.
SETTLING_ASKED = {
    "audit_request.answered": ("audit.asked", "audit.flagged"),
    "audit_request.accepted": ("audit.answered",),
    "audit_request.flagged": ("audit.answered",),
}
#: After these, a warning that an audit ends is over.
SETTLING_AUDITS = frozenset({"engagement.extended", "engagement.closed"})
#: After this, nobody has to look through that stretch of the log any more.
SETTLING_LOG_REVIEWS = frozenset({"log_review.signed"})
#: What is read of the ledger.
EVENTS = (
    frozenset(DECIDERS)
    | SETTLING_REQUESTS
    | SETTLING_GRANTS
    | SETTLING_PROPOSALS
    | SETTLING_RULES
    | frozenset(SETTLING_ASKED)
    | SETTLING_AUDITS
    | SETTLING_LOG_REVIEWS
)
