"""The writers of the retention rule: longer by one person, shorter by two, because more would go."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.ledger.recording import Subject, record
from governance.privacy import events
from governance.privacy.legal_holds import LONGEST
from governance.privacy.models import FEWEST_YEARS, MOST_YEARS, USUAL_YEARS, RetentionProposal, RetentionRule
from governance.privacy.rights import check_may_be_one_of_two, check_may_decide

_SUBJECT = Subject("retention", "access")


def years_kept() -> int:
    """Return for how many years records are kept."""
    found = RetentionRule.objects.order_by("-id").values_list("years", flat=True).first()
    return USUAL_YEARS if found is None else found


def proposal() -> RetentionProposal | None:
    """Return the proposal for fewer years that waits for a second person, or None."""
    return RetentionProposal.objects.filter(decided_at__isnull=True).first()


@transaction.atomic
def set_retention(years: int, why: str, *, actor: Actor) -> RetentionRule | None:
    """Say from now on how long records are kept; fewer years than now are proposed, and None is returned.

    Raises Invalid naming `years` or `why`, Conflict while other fewer years are proposed, and NotAllowed.
    """
    check_may_decide(actor)
    problems = {}
    if not FEWEST_YEARS <= years <= MOST_YEARS:
        problems["years"] = f"Give {FEWEST_YEARS} to {MOST_YEARS} years. HIPAA asks for six."
    if not why.strip() or len(why) > LONGEST:
        problems["why"] = f"Say why in 1 to {LONGEST} characters."
    if problems:
        raise Invalid(problems)
    if years >= years_kept():
        return _keep(years, why.strip(), actor=actor)
    check_may_be_one_of_two(actor)
    try:
        with transaction.atomic():
            RetentionProposal.objects.create(years=years, why=why.strip(), proposed_by_ref=actor.ref, proposed_at=now())
    except IntegrityError as error:
        raise Conflict("Fewer years are proposed already. First somebody else decides about them.") from error
    data = {"years": years, "years_now": years_kept()}
    record(events.SHORTER_RETENTION_PROPOSED, actor=actor, subjects=[_SUBJECT], data=data)
    return None


@transaction.atomic
def confirm_shorter(proposal_id: int, *, actor: Actor) -> RetentionRule:
    """Confirm fewer years, as the second of two. Raises Conflict for who proposed them or when they do not wait.

    The database refuses it as well (migration 0006), whatever this says.
    """
    check_may_be_one_of_two(actor)
    found = _waiting(proposal_id)
    if found.proposed_by_ref == actor.ref:
        raise Conflict("You proposed it. Somebody else has to confirm.")
    found.decided_by_ref, found.decided_at, found.was_confirmed = actor.ref, now(), True
    found.save()
    return _keep(found.years, found.why, actor=actor, proposal=found)


@transaction.atomic
def decline_shorter(proposal_id: int, *, actor: Actor) -> None:
    """Say no to fewer years, or take one's own proposal back. Raises Conflict when they do not wait, and NotAllowed."""
    check_may_decide(actor)
    found = _waiting(proposal_id)
    found.decided_by_ref, found.decided_at = actor.ref, now()
    found.save()
    record(events.SHORTER_RETENTION_DECLINED, actor=actor, subjects=[_SUBJECT], data={"years": found.years})


def _waiting(proposal_id: int) -> RetentionProposal:
    found = RetentionProposal.objects.select_for_update().filter(pk=proposal_id, decided_at__isnull=True).first()
    if found is None:
        raise Conflict("This was decided in the meantime.")
    return found


def _keep(years: int, why: str, *, actor: Actor, proposal: RetentionProposal | None = None) -> RetentionRule:
    data: dict[str, object] = {"years": years, "years_before": years_kept()}
    if proposal is not None:
        data["proposed_by"] = proposal.proposed_by_ref
    try:
        with transaction.atomic():
            rule = RetentionRule.objects.create(
                years=years, why=why, set_by_ref=actor.ref, set_at=now(), proposal=proposal
            )
    except IntegrityError as error:
        raise Conflict("For how long records are kept was changed in the meantime. Look again.") from error
    record(events.RETENTION_CHANGED, actor=actor, subjects=[_SUBJECT], data=data)
    return rule
