"""A leave date that was planned after somebody asked: what is given ends with it, so that nobody counts on more.

Leaving ends all access anyway. Before it is asked for, the verdict refuses what would outlast a known date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from governance.access import duties, events, grace
from governance.access.models import AccessRequest, Grant
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.identity.models import Person


def begins(request: AccessRequest, *, at: datetime) -> datetime:
    """Return from when on a yes would give something: an extension does so from the present end."""
    if request.extends is not None and request.extends.ends_at < OPEN_END:
        return max(request.extends.ends_at, at)
    return max(request.starts_at or at, at)


def cut_at(request: AccessRequest, duration: timedelta | None, *, at: datetime) -> datetime | None:
    """Return when the person leaves, where a yes for `duration` would give access for longer; none otherwise."""
    _, ends_at = duties.span(duration, request.starts_at, extends=request.extends, at=at)
    leaves_at = request.person.leaves_at
    return leaves_at if leaves_at is not None and leaves_at < ends_at else None


def shorten_to_leaving(grants: Sequence[Grant], people: Mapping[int, Person], *, at: datetime, actor: Actor) -> None:
    """Let locked grants that outlast the leave date of their people, by primary key, end with it.

    Joins the caller's transaction, the people locked. A fixed number of statements.
    """
    ends: dict[int, datetime] = {}
    for grant in grants:
        leaves_at = people[grant.person_id].leaves_at
        if leaves_at is not None and leaves_at < grant.ends_at:
            ends[grant.pk] = leaves_at
    grace.move_ends(
        [grant for grant in grants if grant.pk in ends],
        ends,
        "shortened",
        events.GRANT_SHORTENED,
        cause="leaving",
        at=at,
        actor=actor,
    )
