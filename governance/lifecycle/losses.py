"""The brake on what people lose by role: a group that is emptied, an attribute that is gone from everybody.

What is given is never held. What would be taken from too many runs on, each person as an item of one hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from governance.access.keeping import Spare
from governance.core.actor import Actor
from governance.lifecycle import brake, holding
from governance.lifecycle.models import Kind


def spare(*, at: datetime, actor: Actor, source: str | None = None) -> Spare | None:
    """Return what `birthright.apply` asks about grants that no rule gives any more; None when nobody is braked."""
    source = source or brake.source_of(actor)
    if source is None:
        return None

    def held(over: Mapping[int, int]) -> Collection[int]:
        lost: dict[int, list[int]] = defaultdict(list)
        for grant_id, person_id in over.items():
            lost[person_id].append(grant_id)
        reading = brake.count(source, Kind.LOSS.value, len(lost), at=at)
        if brake.passes(reading):
            return ()
        named = [holding.Held(person_id, grant_ids=grant_ids) for person_id, grant_ids in lost.items()]
        holding.hold(reading, named, at=at, actor=actor)
        return over.keys()

    return held
