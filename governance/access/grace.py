"""How access by role outlives its rule for a while: the end moves ahead, and away again for whom comes back in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from governance.access import endings, events, subjects
from governance.access.models import EndCause, Grant
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, is_open_ended
from governance.core.tables import update_rows
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, record_many


def keep_until(grants: Sequence[Grant], until: Mapping[int, datetime], *, at: datetime, actor: Actor) -> None:
    """Let locked grants end at an instant ahead, by primary key, because their rule no longer applies.

    Joins the caller's transaction, the people locked. A fixed number of statements.
    """
    for grant in grants:
        grant.end_cause = EndCause.RULE
    rule = EndCause.RULE.value
    move_ends(grants, until, "shortened", events.GRANT_SHORTENED, cause=rule, at=at, actor=actor)


def go_on(grants: Sequence[Grant], *, at: datetime, actor: Actor) -> None:
    """Take the end away from locked grants whose rule applies again: there is no gap.

    Joins the caller's transaction, the people locked. A fixed number of statements.
    """
    for grant in grants:
        grant.end_cause = ""
    ends = {grant.pk: OPEN_END for grant in grants}
    move_ends(grants, ends, "extended", events.GRANT_EXTENDED, cause=EndCause.RULE.value, at=at, actor=actor)


def move_ends(
    grants: Sequence[Grant],
    ends: Mapping[int, datetime],
    change: str,
    event: str,
    *,
    cause: str,
    at: datetime,
    actor: Actor,
) -> None:
    """Move the ends of locked grants, by primary key, and record why.

    Joins the caller's transaction, the people locked. A fixed number of statements.
    """
    if not grants:
        return
    before = {grant.pk: grant.ends_at for grant in grants}
    for grant in grants:
        grant.ends_at = ends[grant.pk]
        grant.revision += 1
    update_rows(Grant, [endings.columns(grant, ("id", "ends_at", "end_cause", "revision")) for grant in grants])
    endings.revise_many(grants, change, at=at, actor=actor)
    refs = refs_of({grant.person_id for grant in grants})
    record_many(
        Record(
            event,
            actor=actor,
            subjects=subjects.of_grant(grant, refs[grant.person_id]),
            data={"from": _said(before[grant.pk]), "to": _said(grant.ends_at), "cause": cause},
        )
        for grant in grants
    )


def _said(end: datetime) -> str | None:
    return None if is_open_ended(end) else end.isoformat()
