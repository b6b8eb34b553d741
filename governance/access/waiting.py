"""A request that waits: locked for who changes it, and closed. What is written waits for nobody."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from governance.access.models import AccessRequest, RequestState
from governance.core.errors import Conflict
from governance.identity.models import Person


def locked_person(person: Person) -> Person:
    """Return the person as they are now, locked: what they have and wait for cannot change meanwhile."""
    return (
        Person.objects.select_for_update(no_key=True, of=("self",)).select_related("manager__manager").get(pk=person.pk)
    )


def locked_pending(request: AccessRequest) -> AccessRequest:
    """Return the request as it is now, its person and it locked. Raises Conflict when it no longer waits."""
    locked_person(Person(pk=request.person_id))
    found = (
        AccessRequest.objects.select_for_update(no_key=True, of=("self",))
        .select_related(
            "person__manager__manager", "requester", "entitlement__application", "policy_version__policy", "extends"
        )
        .get(pk=request.pk)
    )
    if found.state != RequestState.PENDING:
        raise Conflict(_who_was_faster(found))
    return found


def said_at(moment: datetime) -> str:
    """Return an instant for a sentence, in the zone of who reads it; at the door for scripts that is UTC."""
    return f"{timezone.localtime(moment):%H:%M on %d %B %Y %Z}"


def _who_was_faster(request: AccessRequest) -> str:
    last = request.approvals.select_related("approver").order_by("-stage").first()
    when = said_at(request.closed_at) if request.closed_at else ""
    if last is None or request.state not in (RequestState.APPROVED, RequestState.DENIED):
        return f"This request was {request.get_state_display().lower()} at {when}."
    who = last.approver.display_name if last.approver else "The policy"
    return f"{who} {'declined' if request.state == RequestState.DENIED else 'approved'} this at {when}."


def stage_begins(request: AccessRequest, stage: int, *, at: datetime) -> None:
    """Let a stage of a locked request, or of one that is not written yet, wait from now on."""
    route = request.route
    after = route[stage].escalates_after if stage < len(route) else None
    request.stage = stage
    request.stage_since = at
    request.escalates_at = None if after is None else at + after
    request.escalated_at = None
    request.asked_back_at = None
    request.silence_left = None


#: What `stage_begins` changes.
STAGE_FIELDS = ("stage", "stage_since", "escalates_at", "escalated_at", "asked_back_at", "silence_left")


def close(request: AccessRequest, state: RequestState, *, at: datetime, because: str = "") -> None:
    """Close a locked request."""
    request.state = state
    request.closed_at = at
    request.closed_because = because
    request.escalates_at = None
    request.save(update_fields=["state", "closed_at", "closed_because", "stage", "escalates_at"])
