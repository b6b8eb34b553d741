"""The writers of anchors: add one, change it, pause it, end it, have it keep a head now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import transaction

from governance.anchors import events
from governance.anchors.models import Anchor
from governance.anchors.ways import WAYS
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.core.wakeup import wake
from governance.ledger.recording import Subject, record
from governance.provisioning.secrets import encrypt

ANCHOR_DUE = "anchors.keep_due"
_LONGEST_SECONDS = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an anchor shall be. `secret` is empty to keep the one that is there; `every_seconds` None for the usual."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    secret: str = ""
    every_seconds: int | None = None
    is_paused: bool = False


@transaction.atomic
def add(kind: str, wanted: Wanted, *, actor: Actor) -> Anchor:
    """Add a place that keeps heads; it gets the first one at once. Raises Invalid."""
    if kind not in WAYS:
        raise Invalid({"kind": f"Choose one of {', '.join(sorted(WAYS))}."})
    said = _checked(kind, wanted, has_secret=False, but=None)
    row = Anchor.objects.create(
        kind=kind,
        name=wanted.name.strip(),
        settings=said,
        secret_encrypted=encrypt(wanted.secret),
        every_seconds=wanted.every_seconds or WAYS[kind].every_seconds,
        created_at=now(),
        paused_at=now() if wanted.is_paused else None,
        next_at=now(),
    )
    _record(events.ANCHOR_ADDED, row, actor=actor, kind=kind)
    wake(ANCHOR_DUE)
    return row


@transaction.atomic
def change(anchor: Anchor, wanted: Wanted, *, actor: Actor) -> Anchor:
    """Change an anchor. What it keeps already stays there. Raises Invalid, and Conflict for one that was ended."""
    row = _live(anchor)
    row.settings = _checked(row.kind, wanted, has_secret=bool(row.secret_encrypted), but=row.pk)
    row.name = wanted.name.strip()
    if wanted.secret:
        row.secret_encrypted = encrypt(wanted.secret)
    row.every_seconds = wanted.every_seconds or WAYS[row.kind].every_seconds
    row.paused_at = (row.paused_at or now()) if wanted.is_paused else None
    row.next_at = now()
    row.save()
    _record(events.ANCHOR_CHANGED, row, actor=actor, is_paused=wanted.is_paused, has_new_secret=bool(wanted.secret))
    wake(ANCHOR_DUE)
    return row


@transaction.atomic
def end(anchor: Anchor, *, actor: Actor) -> None:
    """Send nothing there any more; what came back stays on record. Again is fine."""
    row = Anchor.objects.select_for_update(no_key=True).get(pk=anchor.pk)
    if row.ended_at is not None:
        return
    row.ended_at, row.secret_encrypted = now(), ""
    row.name = f"{row.name[:50]} (ended {row.ended_at:%Y%m%d%H%M%S})"
    row.save()
    _record(events.ANCHOR_ENDED, row, actor=actor)


@transaction.atomic
def keep_now(anchor: Anchor, *, actor: Actor) -> None:
    """Have the anchor keep the newest head as soon as a worker comes to it. Raises Conflict."""
    row = _live(anchor)
    if WAYS[row.kind].keep is None:
        raise Conflict("A witness comes by itself: run it where it lives.")
    row.next_at, row.failures_in_a_row = now(), 0
    row.save(update_fields=["next_at", "failures_in_a_row"])
    _record(events.ANCHOR_CHANGED, row, actor=actor, is_asked_for_now=True)
    wake(ANCHOR_DUE)


def _live(anchor: Anchor) -> Anchor:
    row = Anchor.objects.select_for_update(no_key=True).get(pk=anchor.pk)
    if row.ended_at is not None:
        raise Conflict("This anchor was ended.")
    return row


def _checked(kind: str, wanted: Wanted, *, has_secret: bool, but: int | None) -> dict[str, str]:
    """Return the settings of the kind, without what it does not know. Raises Invalid."""
    way, problems = WAYS[kind], {}
    said = {one.name: wanted.settings.get(one.name, "").strip() for one in way.fields if not one.is_secret}
    for one in way.fields:
        is_there = bool(wanted.secret) or has_secret if one.is_secret else bool(said[one.name])
        if one.is_needed and not is_there:
            problems[one.name] = "This is needed."
    for name, reason in way.problems(said, wanted.secret):
        problems.setdefault(name, reason)
    name = wanted.name.strip()
    if not 0 < len(name) <= 80:
        problems["name"] = "Give a name of up to 80 characters."
    elif Anchor.objects.filter(name=name).exclude(pk=but or 0).exists():
        problems["name"] = "Another anchor has this name."
    if wanted.every_seconds is not None and not 60 <= wanted.every_seconds <= _LONGEST_SECONDS:
        problems["every_seconds"] = "Give a minute to 31 days."
    if problems:
        raise Invalid(problems)
    return said


def _record(event: str, row: Anchor, *, actor: Actor, **data: object) -> None:
    record(event, actor=actor, subjects=[Subject("anchor", str(row.ref))], data=data)
