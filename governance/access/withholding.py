"""The writers of what is not given because a rule about duties forbids it. Kept and recorded, so that it is visible.

What a birthright rule gives is withheld until nothing forbids it; a grant that was to begin is called off for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.access import duties, endings, events
from governance.access.grants import NewGrant
from governance.access.models import EndCause, Grant, GrantCause, Withheld
from governance.core.actor import Actor
from governance.identity.queries import refs_of
from governance.ledger.recording import Record, Subject, record_many
from governance.policy.duties import DutyConflict


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not given, and the rules that forbid it."""

    what: NewGrant
    conflicts: tuple[DutyConflict, ...]
    grant_id: int | None = None


def withhold(refusals: Sequence[Refusal], *, at: datetime, actor: Actor) -> None:
    """Keep and record that this is not given. Joins the caller's transaction; two statements and the ledger's."""
    if not refusals:
        return
    kept = Withheld.objects.bulk_create(
        Withheld(
            person_id=one.what.person_id,
            entitlement_id=one.what.entitlement_id,
            application_id=one.what.application_id,
            rule_version_id=one.what.rule_version_id,
            grant_id=one.grant_id,
            sod_rule_ids=[conflict.rule_id for conflict in one.conflicts],
            other_ids=sorted({other for conflict in one.conflicts for other in conflict.other_ids}),
            since=at,
            ended_at=None if one.grant_id is None else at,
            correlation_id=actor.correlation_id,
        )
        for one in refusals
    )
    slugs = {conflict.rule_id: conflict.slug for one in refusals for conflict in one.conflicts}
    _record(events.GRANT_WITHHELD, kept, slugs, actor=actor)


def release(withheld_ids: Collection[int], *, at: datetime, actor: Actor) -> None:
    """Note that nothing is withheld any more: it is given now, or no rule gives it. Joins the caller's transaction."""
    if not withheld_ids:
        return
    kept = list(Withheld.objects.filter(pk__in=withheld_ids, ended_at__isnull=True).order_by("pk"))
    Withheld.objects.filter(pk__in=[one.pk for one in kept]).update(ended_at=at)
    _record(events.GRANT_RELEASED, kept, {}, actor=actor)


def call_off_forbidden(beginning: Sequence[Grant], *, at: datetime, actor: Actor) -> list[Grant]:
    """Call off what must not begin now, and return what may. Joins the caller's transaction, the people locked.

    Conditions are looked at again at the start. Break-glass is not stopped; it is loud instead.
    """
    asked = {
        grant.pk: duties.Candidate(grant.person_id, grant.entitlement_id)
        for grant in beginning
        if grant.cause not in (GrantCause.BREAK_GLASS, GrantCause.BIRTHRIGHT)
    }
    forbidden = duties.blocked(asked, at=at, but=set(asked))
    called_off = [grant for grant in beginning if grant.pk in forbidden]
    endings.call_off(called_off, cause=EndCause.CONFLICT, at=at, actor=actor)
    refusals = [Refusal(_as_new(grant), forbidden[grant.pk], grant.pk) for grant in called_off]
    withhold(refusals, at=at, actor=actor)
    return [grant for grant in beginning if grant.pk not in forbidden]


def _as_new(grant: Grant) -> NewGrant:
    return NewGrant(grant.person_id, grant.entitlement_id, grant.application_id, grant.cause, grant.starts_at)


def _record(event: str, kept: Iterable[Withheld], slugs: dict[int, str], *, actor: Actor) -> None:
    named = list(kept)
    refs = refs_of({one.person_id for one in named})
    record_many(
        Record(
            event,
            actor=actor,
            subjects=[
                Subject("person", refs[one.person_id]),
                Subject("application", str(one.application_id)),
                Subject("entitlement", str(one.entitlement_id)),
                *([Subject("grant", str(one.grant_id))] if one.grant_id else []),
                *(Subject("sod_rule", slugs[key]) for key in one.sod_rule_ids if key in slugs),
            ],
            data={"rule_version": one.rule_version_id, "with": one.other_ids},
        )
        for one in named
    )
