"""What is held: one hold a source, one item a person. Written while the brake is on, settled when it is let go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef

from governance.core.actor import Actor
from governance.identity.models import Person
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, Subject, record, record_many
from governance.lifecycle import events
from governance.lifecycle.brake import Reading
from governance.lifecycle.models import HeldItem, Hold, HoldState, ItemState, Kind


@dataclass(frozen=True, slots=True)
class Held:
    """One person whom a held change is about."""

    person_id: int
    unlist: bool = False
    effective_at: datetime | None = None
    grant_ids: Sequence[int] = field(default=())


def hold(reading: Reading, held: Iterable[Held], *, at: datetime, actor: Actor) -> Hold:
    """Hold a change of these people. The caller waited for its turn (`brake.passes`); joins its transaction.

    Somebody of whom the same is held already keeps the first item; grants are added to it.
    """
    named = {one.person_id: one for one in held}
    found = _open_hold(reading, at=at, actor=actor)
    known = _already(named, reading.kind)
    for person_id, item in known.items():
        item.grant_ids = sorted({*item.grant_ids, *named[person_id].grant_ids})
        item.unlist = item.unlist or named[person_id].unlist
        item.save(update_fields=["grant_ids", "unlist"])
    fresh = [one for person_id, one in sorted(named.items()) if person_id not in known]
    HeldItem.objects.bulk_create(
        [
            HeldItem(
                hold=found,
                person_id=one.person_id,
                kind=reading.kind,
                unlist=one.unlist,
                effective_at=one.effective_at,
                grant_ids=sorted(one.grant_ids),
                signalled_at=at,
                signalled_by_ref=actor.ref,
                correlation_id=actor.correlation_id,
            )
            for one in fresh
        ],
        batch_size=5_000,
    )
    event = events.LOSS_HELD if reading.kind == Kind.LOSS else events.LEAVING_HELD
    record_about(event, found, [one.person_id for one in fresh], {"kind": reading.kind}, actor=actor)
    return found


def _open_hold(reading: Reading, *, at: datetime, actor: Actor) -> Hold:
    found, is_new = Hold.objects.get_or_create(
        source=reading.source,
        state=HoldState.OPEN,
        defaults={
            "opened_at": at,
            "limit": reading.limit,
            "people": reading.people,
            "window_hours": reading.window_hours,
            "correlation_id": actor.correlation_id,
        },
    )
    if is_new:
        data = {"limit": reading.limit, "people": reading.people, "window_hours": reading.window_hours}
        record(events.HOLD_OPENED, actor=actor, subjects=subjects(found), data=data)
    return found


def _already(named: Mapping[int, Held], kind: str) -> dict[int, HeldItem]:
    waiting = HeldItem.objects.select_for_update(no_key=True, of=("self",)).filter(
        person_id__in=list(named), kind=kind, state=ItemState.WAITING
    )
    return {item.person_id: item for item in waiting.order_by("pk")}


def waiting_items(person_ids: Collection[int], kinds: Collection[str] = tuple(Kind.values)) -> list[HeldItem]:
    """Return what is held about these people, locked until the transaction ends."""
    waiting = HeldItem.objects.select_for_update(no_key=True, of=("self",)).filter(
        person_id__in=list(person_ids), kind__in=list(kinds), state=ItemState.WAITING
    )
    return list(waiting.select_related("hold").order_by("pk"))


def settle(
    items: Sequence[HeldItem],
    state: str,
    event: str,
    *,
    at: datetime,
    actor: Actor,
    by: Person | None = None,
    source: str = "",
    reason: str = "",
    done: bool = True,
) -> None:
    """Write what became of waiting items, record it, and close the holds that have none left."""
    if not items:
        return
    ids = [item.pk for item in items]
    HeldItem.objects.filter(pk__in=ids, state=ItemState.WAITING).update(
        state=state,
        decided_at=at,
        decided_by=by,
        confirmed_by=source,
        reason=reason.strip(),
        done_at=at if done else None,
    )
    holds = {item.hold_id: item.hold for item in items}
    for hold_id, found in holds.items():
        about = [item.person_id for item in items if item.hold_id == hold_id]
        record_about(event, found, about, {"other_source": source} if source else {}, actor=actor, reason=reason)
    close_settled(holds, at=at)


def close_settled(hold_ids: Iterable[int], *, at: datetime) -> None:
    """Close these holds as far as nothing of them waits any more."""
    waiting = HeldItem.objects.filter(hold=OuterRef("pk"), state=ItemState.WAITING)
    Hold.objects.filter(~Exists(waiting), pk__in=list(hold_ids), state=HoldState.OPEN).update(
        state=HoldState.DECIDED, decided_at=at
    )


def record_about(
    event: str,
    about: Hold,
    person_ids: Collection[int],
    data: Mapping[str, object],
    *,
    actor: Actor,
    reason: str = "",
) -> None:
    """Record an entry for each of these people."""
    refs = refs_of(person_ids)
    record_many(
        Record(
            event,
            actor,
            [*subjects(about), Subject("person", refs[person_id])],
            data,
            {"reason": (refs[person_id], reason.strip())} if reason.strip() else {},
        )
        for person_id in person_ids
    )


def subjects(about: Hold) -> list[Subject]:
    """Return how the ledger names a hold."""
    return [Subject("hold", str(about.ref)), Subject("source", about.source)]
