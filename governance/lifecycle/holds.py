"""Deciding about what the brake held: release or refuse, all of it or the people who are named.

A release is written at once for everybody named and carried out in batches, so that it survives a kill: an item that is
released and not done is work that the clock finds.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction

from governance.access import birthright, keeping
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotAllowed, NotFound, Reason, Refused
from governance.core.transactions import whole
from governance.core.wakeup import wake
from governance.identity.models import Person, Status
from governance.identity.queries import roles_of
from governance.lifecycle import brake, events, holding, leaving, planning
from governance.lifecycle.models import HeldItem, Hold, HoldState, ItemState, Kind

#: So many released items are carried out in one transaction.
BATCH = 100
#: So many are carried out before the one who released is answered; the clock does the rest.
AT_ONCE = 25
SHORTEST_REASON = 10


@whole
def release(
    ref: uuid.UUID | str, item_ids: Collection[int] | None = None, *, by: Person, reason: str, actor: Actor
) -> int:
    """Let what is held happen, for everybody or for those whose items are named; return for how many people.

    Somebody else than who gave the signal has to do it. The source starts to count anew. Raises NotFound, NotAllowed,
    Conflict when nothing of it waits any more, and Refused with every reason why not.
    """
    at = now()
    found, items = _chosen(ref, item_ids)
    _require_admin(by)
    _refuse_unless_explained(reason, [*_own_signals(items, by)])
    holding.settle(
        items, ItemState.RELEASED, events.HOLD_RELEASED, at=at, actor=actor, by=by, reason=reason, done=False
    )
    brake.forget(found.source)
    wake("lifecycle.sweep")
    return len(items)


@whole
def refuse(
    ref: uuid.UUID | str, item_ids: Collection[int] | None = None, *, by: Person, reason: str, actor: Actor
) -> int:
    """Decide that what is held must not happen: these people stay as they are; return how many.

    Raises NotFound, NotAllowed, Conflict when nothing of it waits any more, and Refused without a reason.
    """
    at = now()
    _, items = _chosen(ref, item_ids)
    _require_admin(by)
    _refuse_unless_explained(reason, [])
    holding.settle(items, ItemState.REFUSED, events.HOLD_REFUSED, at=at, actor=actor, by=by, reason=reason)
    return len(items)


def carry_out_released(limit: int | None = None) -> int:
    """Carry out what was released, in batches, each a transaction; return how many items. May run twice at once."""
    done = 0
    while limit is None or done < limit:
        batch = _carry_out_batch(BATCH if limit is None else min(BATCH, limit - done))
        if not batch:
            break
        done += batch
    return done


@transaction.atomic
def _carry_out_batch(size: int) -> int:
    at = now()
    to_do = HeldItem.objects.select_for_update(of=("self",), skip_locked=True).filter(
        state=ItemState.RELEASED, done_at__isnull=True
    )
    items = list(to_do.select_related("hold", "decided_by").order_by("pk")[:size])
    if not items:
        return 0
    _lose([item for item in items if item.kind == Kind.LOSS], at)
    for item in items:
        if item.kind != Kind.LOSS:
            _carry_out(item, at)
    HeldItem.objects.filter(pk__in=[item.pk for item in items]).update(done_at=at)
    return len(items)


def _carry_out(item: HeldItem, at: datetime) -> None:
    person = Person.objects.select_for_update(no_key=True).get(pk=item.person_id)
    if person.status == Status.LEFT:
        return
    actor = _actor_of(item)
    if item.kind == Kind.PLAN:
        planning.write(person, item.effective_at, source=item.hold.source, note="", at=at, actor=actor)
        return
    seen = leaving.look(person, source=None, at=at)
    leaving.carry_out(
        person,
        seen,
        source=item.hold.source,
        unlist=item.unlist,
        effective_at=item.effective_at or item.signalled_at,
        at=at,
        actor=actor,
    )


def _lose(items: Sequence[HeldItem], at: datetime) -> None:
    """Look at the rules again for these people: what a rule gives by now stays."""
    if not items:
        return
    keeping.let_go({grant_id for item in items for grant_id in item.grant_ids})
    birthright.apply([item.person_id for item in items], at=at, actor=_actor_of(items[0]))


def _actor_of(item: HeldItem) -> Actor:
    """Return Gatehouse carrying out what somebody released, tied to the signal that began it."""
    return Actor.system("brake", correlation_id=item.correlation_id)


def withdraw_what_is_over() -> int:
    """Withdraw held losses of which nothing is kept any more, because a rule gives it again or it ended otherwise."""
    at = now()
    waiting = HeldItem.objects.filter(state=ItemState.WAITING, kind=Kind.LOSS).order_by("pk")
    kept = keeping.still_kept(
        {grant_id for ids in waiting.values_list("grant_ids", flat=True) for grant_id in ids}, at=at
    )
    over = [item.pk for item in waiting if not kept & set(item.grant_ids)]
    if not over:
        return 0
    with transaction.atomic():
        items = [item for item in holding.waiting_items(_people_of(over), [Kind.LOSS]) if item.pk in set(over)]
        holding.settle(items, ItemState.WITHDRAWN, events.HOLD_WITHDRAWN, at=at, actor=Actor.system("brake"), done=True)
    return len(over)


def _people_of(item_ids: Collection[int]) -> list[int]:
    return list(HeldItem.objects.filter(pk__in=item_ids).values_list("person_id", flat=True))


def _chosen(ref: uuid.UUID | str, item_ids: Collection[int] | None) -> tuple[Hold, list[HeldItem]]:
    found = Hold.objects.select_for_update(no_key=True).filter(ref=ref).first()
    if found is None:
        raise NotFound("There is nothing held by that id.")
    waiting = HeldItem.objects.select_for_update(no_key=True, of=("self",)).filter(hold=found, state=ItemState.WAITING)
    chosen = waiting if item_ids is None else waiting.filter(pk__in=list(item_ids))
    items = list(chosen.select_related("hold").order_by("pk"))
    if not items:
        raise Conflict(_who_was_faster(found))
    return found, items


def _who_was_faster(found: Hold) -> str:
    last = found.items.exclude(state=ItemState.WAITING).select_related("decided_by").order_by("-decided_at").first()
    if last is None or last.decided_at is None:
        return "Nobody of these people is held."
    who = last.decided_by.display_name if last.decided_by else "Gatehouse"
    return f"{who} settled this at {last.decided_at:%H:%M on %d %B %Y} UTC."


def _own_signals(items: Sequence[HeldItem], by: Person) -> list[Reason]:
    if any(item.signalled_by_ref == str(by.ref) for item in items):
        return [Reason("your_own_signal", "You gave this signal yourself. Somebody else has to release it.")]
    return []


def _require_admin(by: Person) -> None:
    if not by.is_active or "security_admin" not in roles_of(by.pk):
        raise NotAllowed("This is for security administrators.")


def _refuse_unless_explained(reason: str, reasons: list[Reason]) -> None:
    if len(reason.strip()) < SHORTEST_REASON:
        reasons.append(Reason("needs_reason", "Write in a sentence why.", "reason"))
    if len(reason.strip()) > 2000:
        reasons.append(Reason("reason_too_long", "Keep it under 2000 characters.", "reason"))
    if reasons:
        raise Refused(reasons)


def is_open(found: Hold) -> bool:
    """Tell whether a hold still waits for a decision."""
    return found.state == HoldState.OPEN
