"""The writers of legal holds: placed by one, released by two."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from django.db import transaction

from governance.access.models import Grant
from governance.catalog.models import Application
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.identity.models import Person
from governance.ledger.recording import Subject, record
from governance.privacy import events
from governance.privacy.models import LegalHold
from governance.privacy.rights import check_may_be_one_of_two, check_may_decide

LONGEST = 1000


@transaction.atomic
def place(
    name: str,
    reason: str,
    *,
    people: Collection[Person] = (),
    applications: Collection[Application] = (),
    actor: Actor,
) -> LegalHold:
    """Have something kept until two people release it; naming nothing means everything.

    Raises Invalid naming `name` or `reason`, and NotAllowed.
    """
    check_may_decide(actor)
    problems = {}
    if not name.strip() or len(name) > 120:
        problems["name"] = "Give it a name of 1 to 120 characters."
    if not reason.strip() or len(reason) > LONGEST:
        problems["reason"] = f"Say why in 1 to {LONGEST} characters."
    if problems:
        raise Invalid(problems)
    hold = LegalHold.objects.create(
        name=name.strip(),
        reason=reason.strip(),
        people=sorted(str(one.ref) for one in people),
        applications=sorted(one.slug for one in applications),
        placed_by_ref=actor.ref,
        placed_at=now(),
    )
    data = {"people": len(hold.people), "applications": hold.applications, "everything": hold.is_about_everything}
    subjects = [_subject(hold), *(Subject("person", ref) for ref in hold.people[:50])]
    record(events.HOLD_PLACED, actor=actor, subjects=subjects, data=data)
    return hold


@transaction.atomic
def propose_release(hold: LegalHold, reason: str, *, actor: Actor) -> None:
    """Propose that it ends; somebody else confirms. Raises Invalid naming `reason`, Conflict and NotAllowed."""
    check_may_be_one_of_two(actor)
    if not reason.strip() or len(reason) > LONGEST:
        raise Invalid({"reason": f"Say why in 1 to {LONGEST} characters."})
    _change(
        hold,
        {"released_at__isnull": True, "release_proposed_by_ref": ""},
        {"release_proposed_by_ref": actor.ref, "release_proposed_at": now(), "release_reason": reason.strip()},
        "Its release was proposed or done already.",
    )
    record(events.HOLD_RELEASE_PROPOSED, actor=actor, subjects=[_subject(hold)])


@transaction.atomic
def decline_release(hold: LegalHold, *, actor: Actor) -> None:
    """Take a proposed release back, or say no to it. Raises Conflict and NotAllowed."""
    check_may_decide(actor)
    if hold.release_proposed_at is None:
        raise Conflict("Nobody proposed its release.")
    _change(
        hold,
        {"released_at__isnull": True, "release_proposed_at": hold.release_proposed_at},
        {"release_proposed_by_ref": "", "release_proposed_at": None, "release_reason": ""},
        "This has changed in the meantime.",
    )
    record(events.HOLD_RELEASE_DECLINED, actor=actor, subjects=[_subject(hold)])


@transaction.atomic
def release(hold: LegalHold, *, actor: Actor) -> None:
    """Release it, as the second of two. Raises Conflict for who proposed it or when nobody did, and NotAllowed."""
    check_may_be_one_of_two(actor)
    hold.refresh_from_db()
    if not hold.release_proposed_by_ref:
        raise Conflict("Propose its release first; somebody else then confirms.")
    if hold.release_proposed_by_ref == actor.ref:
        raise Conflict("You proposed it. Somebody else has to confirm.")
    _change(
        hold,
        {"released_at__isnull": True, "release_proposed_by_ref": hold.release_proposed_by_ref},
        {"released_by_ref": actor.ref, "released_at": now()},
        "It was released already.",
    )
    record(events.HOLD_RELEASED, actor=actor, subjects=[_subject(hold)])


def hold_named(ref: uuid.UUID | str) -> LegalHold:
    """Return the hold. Raises NotFound."""
    found = LegalHold.objects.filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such hold.")
    return found


def holds_on(person: Person) -> Sequence[LegalHold]:
    """Return the holds because of which nothing about this person may go."""
    running = list(LegalHold.objects.filter(released_at__isnull=True).order_by("id"))
    if not running:
        return ()
    had = set(Grant.objects.filter(person=person).values_list("application__slug", flat=True).distinct())
    return tuple(
        one
        for one in running
        if one.is_about_everything or str(person.ref) in one.people or had & set(one.applications)
    )


def _change(hold: LegalHold, before: dict[str, object], after: dict[str, object], otherwise: str) -> None:
    if not LegalHold.objects.filter(pk=hold.pk, **before).update(**after):
        raise Conflict(otherwise)
    hold.refresh_from_db()


def _subject(hold: LegalHold) -> Subject:
    return Subject("legal_hold", str(hold.ref))
