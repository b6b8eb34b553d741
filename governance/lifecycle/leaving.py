"""What leaving is: one look at what somebody has, and what ends all of it. Called by `lifecycle.actions`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.access import endings, requests
from governance.core.actor import Actor
from governance.core.statements import row
from governance.identity import events as identity_events
from governance.identity import people
from governance.identity.models import Person, ServiceToken
from governance.identity.roles import revoke_token
from governance.ledger.recording import Subject, record
from governance.lifecycle import brake, events, handing_over, holding
from governance.lifecycle.brake import Reading
from governance.lifecycle.models import HeldItem, ItemState, Kind, LeavePlan

#: A leave date this near names the same leaver as a deactivation today.
ABOUT_NOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Look:
    """What a locked person has that ends with them, and what their source took from others lately."""

    reading: Reading
    #: Something about them waits for a decision.
    is_held: bool
    has_requests: bool
    has_grants: bool
    has_tokens: bool
    #: They answer for something, have reports or a role in Gatehouse.
    has_duties: bool


def look(person: Person, *, source: str | None, at: datetime) -> Look:
    """Return what there is, and count the signal of a source. One statement.

    A directory that is loaded anew brings many who left long ago and have nothing.
    """
    known = {
        "source": source or "",
        "kind": Kind.LEAVE.value,
        "at": at,
        "people": 1,
        "counts": source is not None,
        "person": person.pk,
    }
    found = row(_LOOK, known) or ()
    *counted, is_held, has_requests, has_grants, has_tokens, has_duties = found
    reading = brake.reading_of(source or "", Kind.LEAVE.value, 1, tuple(counted))
    return Look(reading, *map(bool, (is_held, has_requests, has_grants, has_tokens, has_duties)))


_HAS = """
    EXISTS (SELECT FROM lifecycle_helditem WHERE person_id = %(person)s AND state = 'waiting'),
    EXISTS (SELECT FROM access_accessrequest
        WHERE state = 'pending' AND (person_id = %(person)s OR requester_id = %(person)s)),
    EXISTS (SELECT FROM access_grant WHERE person_id = %(person)s AND ends_at > %(at)s),
    EXISTS (SELECT FROM identity_servicetoken WHERE acts_for_id = %(person)s AND revoked_at IS NULL),
    EXISTS (SELECT FROM catalog_applicationowner WHERE person_id = %(person)s)
        OR EXISTS (SELECT FROM identity_roleassignment WHERE person_id = %(person)s)
        OR EXISTS (SELECT FROM identity_person report WHERE report.manager_id = %(person)s)
        OR EXISTS (SELECT FROM catalog_sodruleversion WHERE owner_id = %(person)s)
        OR EXISTS (SELECT FROM catalog_sodexception WHERE owner_id = %(person)s)
        OR EXISTS (SELECT FROM access_absence WHERE deputy_id = %(person)s AND ends_at > %(at)s)
"""
_LOOK = brake.COUNTING + brake.READING.replace(brake.FROM, f", {_HAS} {brake.FROM}")


def is_held_back(person: Person, seen: Look, *, source: str, unlist: bool, at: datetime, actor: Actor) -> bool:
    """Hold the leaving of a locked person when the brake is on for its source; tell whether it is held.

    It is not when another source names the same person: with something held, or with a planned leave date.
    """
    waiting = _held_leaving(person) if seen.is_held else None
    if waiting is not None and not _is_independent(waiting, source, actor):
        if unlist and not waiting.unlist:
            HeldItem.objects.filter(pk=waiting.pk).update(unlist=True)
        return True
    if waiting is not None or is_planned_elsewhere(person, source, at):
        return False
    if brake.passes(seen.reading):
        return False
    holding.hold(seen.reading, [holding.Held(person.pk, unlist=unlist)], at=at, actor=actor)
    return True


def carry_out(
    person: Person,
    seen: Look,
    *,
    source: str | None,
    unlist: bool,
    effective_at: datetime,
    at: datetime,
    actor: Actor,
) -> None:
    """End everything a locked person has and order every removal. Joins the caller's transaction."""
    people.mark_left(person, at=at, effective_at=effective_at, unlist=unlist, actor=actor)
    # Nothing is asked for or granted meanwhile: the person is locked.
    if seen.has_requests:
        requests.close_for_leaver(person, at=at, actor=actor)
    ended = endings.end_all_of_leaver(person, at=at, actor=actor) if seen.has_grants else 0
    if seen.has_tokens:
        _end_tokens(person, actor=actor)
    handed_over = handing_over.hand_over(person, at=at, actor=actor) if seen.has_duties else 0
    if seen.is_held:
        _settle(person, source=source, at=at, actor=actor)
    data = {"grants_ended": ended, "unlisted": unlist, "effective_at": effective_at.isoformat()}
    if handed_over:
        data["handovers"] = handed_over
    record(identity_events.PERSON_LEFT, actor=actor, subjects=[Subject("person", str(person.ref))], data=data)


def _end_tokens(person: Person, *, actor: Actor) -> None:
    """End the tokens that act for somebody, so that they stay ended when the person comes back."""
    live = ServiceToken.objects.select_for_update().filter(acts_for=person, revoked_at__isnull=True)
    for token in live.order_by("pk"):
        revoke_token(token, actor=actor)


def _held_leaving(person: Person) -> HeldItem | None:
    return next(iter(holding.waiting_items([person.pk], [Kind.LEAVE])), None)


def _is_independent(item: HeldItem, source: str, actor: Actor) -> bool:
    """Tell whether a signal comes from another source, and not from the same person through another door."""
    return item.hold.source != source and item.signalled_by_ref != actor.ref


def is_planned_elsewhere(person: Person, source: str, at: datetime) -> bool:
    """Tell whether another source said before that the person leaves about now. No statement when nobody did."""
    if person.leaves_at is None or person.leaves_at > at + ABOUT_NOW:
        return False
    plan = LeavePlan.objects.filter(person=person).order_by("-pk").first()
    return plan is not None and plan.source != source


def _settle(person: Person, *, source: str | None, at: datetime, actor: Actor) -> None:
    """Settle what is held about somebody who leaves now all the same."""
    items = holding.waiting_items([person.pk])
    leaving = [item for item in items if item.kind != Kind.LOSS]
    holding.settle(
        leaving, ItemState.CONFIRMED, events.HOLD_CONFIRMED, at=at, actor=actor, source=source or "gatehouse"
    )
    losses = [item for item in items if item.kind == Kind.LOSS]
    holding.settle(losses, ItemState.WITHDRAWN, events.HOLD_WITHDRAWN, at=at, actor=actor)
