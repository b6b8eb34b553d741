"""Grants by rule that no rule gives any more and that run on all the same, because the brake holds what ended them.

Who calls `birthright.apply` with a `spare` decides what is kept; every later call leaves it alone until it is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from governance.access.models import KeptGrant
from governance.core.statements import rows

#: Told which grants (of which person) no rule gives any more; returns those that run on until somebody decided.
Spare = Callable[[Mapping[int, int]], Collection[int]]


def spared(over: Mapping[int, int], kept: Collection[int], *, spare: Spare | None, at: datetime) -> frozenset[int]:
    """Return which of the grants that no rule gives any more run on; those `spare` returns are kept from now on.

    `over` maps grants to people, `kept` holds those that are kept already. No statement where nothing is to be spared.
    """
    fresh = {grant_id: person_id for grant_id, person_id in over.items() if grant_id not in kept}
    chosen = frozenset(spare(fresh)) if spare is not None and fresh else frozenset[int]()
    if chosen:
        rows(_KEEP, [at, sorted(chosen)])
    return chosen | frozenset(kept)


def let_go(grant_ids: Collection[int]) -> None:
    """Keep these grants no longer; what no rule gives ends at the next look at the rules. Again is fine."""
    if grant_ids:
        rows("DELETE FROM access_keptgrant WHERE grant_id = ANY(%s::bigint[])", [sorted(grant_ids)])


def still_kept(grant_ids: Collection[int], *, at: datetime) -> frozenset[int]:
    """Return which of these grants run and are kept."""
    found = KeptGrant.objects.filter(grant_id__in=grant_ids, grant__ends_at__gt=at)
    return frozenset(found.values_list("grant_id", flat=True))


_KEEP = """
INSERT INTO access_keptgrant (grant_id, since) SELECT kept, %s::timestamptz FROM unnest(%s::bigint[]) AS kept
ON CONFLICT (grant_id) DO NOTHING
"""
