"""Access that was booked ahead is looked at again when it is to begin; what no longer holds is called off.

The verdict of the day it was asked for does not open doors months later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from governance.access import endings, events, leave_dates, subjects
from governance.access.models import CalledOff, EndCause, Grant, GrantCause
from governance.catalog.models import AccessPolicyVersion, Entitlement
from governance.core.actor import Actor
from governance.core.errors import Reason
from governance.identity.models import Person, Status
from governance.identity.queries import refs_of
from governance.identity.selection import selected_among
from governance.ledger.recording import Record, record_many


def call_off_ineligible(beginning: Sequence[Grant], *, at: datetime, actor: Actor) -> list[Grant]:
    """Call off what was asked for and must not begin any more, with every reason; return the others.

    Of those, what outlasts a leave date that was planned meanwhile is shortened to it. Joins the caller's transaction,
    the people locked. Duties are looked at by `withholding.call_off_forbidden`.
    """
    asked = [grant for grant in beginning if grant.cause == GrantCause.REQUEST]
    if not asked:
        return list(beginning)
    people = Person.objects.in_bulk({grant.person_id for grant in asked})
    why = _reasons(asked, people, at)
    called_off = [grant for grant in asked if grant.pk in why]
    _write(called_off, why, at=at, actor=actor)
    begin = [grant for grant in asked if grant.pk not in why]
    leave_dates.shorten_to_leaving(begin, people, at=at, actor=actor)
    return [grant for grant in beginning if grant.pk not in why]


def _reasons(asked: Sequence[Grant], people: Mapping[int, Person], at: datetime) -> dict[int, list[Reason]]:
    """Return why some of these must not begin, by grant. Three statements, however many."""
    roles = Entitlement.objects.select_related("application").in_bulk({grant.entitlement_id for grant in asked})
    terms = _terms({role.policy_id for role in roles.values()}, at)
    texts = sorted({text for both in terms.values() for text in both})
    met = selected_among(texts, list(people))
    found: dict[int, list[Reason]] = {}
    for grant in asked:
        role, person = roles[grant.entitlement_id], people[grant.person_id]
        holds = dict(zip(texts, met.get(person.pk, [False] * len(texts)), strict=True))
        may_request, auto_deny = terms.get(role.policy_id, (None, ""))
        selects = may_request is not None and holds[may_request]
        declines = bool(auto_deny) and holds[auto_deny]
        if reasons := _reasons_of(role, person, is_selected=selects, is_declined=declines, at=at):
            found[grant.pk] = reasons
    return found


def _reasons_of(
    role: Entitlement, person: Person, *, is_selected: bool, is_declined: bool, at: datetime
) -> list[Reason]:
    name = f"{role.name} in {role.application.name}"
    reasons = []
    if role.retired_at is not None or role.application.retired_at is not None:
        reasons.append(Reason("retired", f"{name} does not exist any more."))
    if person.status != Status.ACTIVE:
        reasons.append(Reason("person_left", f"{person.display_name} is not active any more."))
    elif person.leaves_at is not None and person.leaves_at <= at:
        reasons.append(Reason("beyond_leaving", f"{person.display_name} leaves before this begins."))
    elif not is_selected:
        reasons.append(Reason("not_eligible", f"The policy no longer lets {person.display_name} have {name}."))
    elif is_declined:
        reasons.append(Reason("declined_by_policy", f"The policy now declines {name} for {person.display_name}."))
    return reasons


def _terms(policy_ids: set[int], at: datetime) -> Mapping[int, tuple[str, str]]:
    """Return who may ask and who is declined at once under each policy as it is in force now."""
    versions = AccessPolicyVersion.objects.filter(policy_id__in=policy_ids, effective_at__lte=at)
    latest = versions.order_by("policy_id", "-number").distinct("policy_id")
    return {policy: (may, deny) for policy, may, deny in latest.values_list("policy_id", "may_request", "auto_deny")}


def _write(called_off: Sequence[Grant], why: Mapping[int, list[Reason]], *, at: datetime, actor: Actor) -> None:
    if not called_off:
        return
    endings.call_off(called_off, cause=EndCause.INELIGIBLE, at=at, actor=actor)
    CalledOff.objects.bulk_create(
        CalledOff(
            grant=grant,
            at=at,
            reasons=[{"code": one.code, "sentence": one.sentence} for one in why[grant.pk]],
            correlation_id=actor.correlation_id,
        )
        for grant in called_off
    )
    refs = refs_of({grant.person_id for grant in called_off})
    record_many(
        Record(
            events.GRANT_CALLED_OFF,
            actor=actor,
            subjects=subjects.of_grant(grant, refs[grant.person_id]),
            data={"reasons": [one.code for one in why[grant.pk]], "request": grant.request_id},
        )
        for grant in called_off
    )
