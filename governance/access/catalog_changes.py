"""Changing roles and owners as people do it: refused by name where somebody would be left without an approver.

The doors call these; `catalog.actions` lies below and cannot know who decides. What a leaver answered for is handed
over without asking here: a leave always succeeds, and what has no heir is listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from django.db import transaction

from governance.access.preview import live_roles, newly_undecidable, refuse_pairs, undecidable
from governance.catalog import actions as catalog
from governance.catalog.models import AccessPolicy, Application, ApplicationOwner, Entitlement
from governance.catalog.policy_terms import PolicyTerms, terms_of
from governance.catalog.queries import policy_in_force
from governance.core.actor import Actor
from governance.core.clock import now
from governance.identity.models import Person, Status


@transaction.atomic
def change_role(
    entitlement: Entitlement,
    name: str,
    *,
    sentence: str,
    risk: int,
    data_classes: Sequence[str] = (),
    is_privileged: bool = False,
    is_requestable: bool = True,
    policy: AccessPolicy | None = None,
    actor: Actor,
) -> bool:
    """Make a role say this, as `catalog.change_entitlement` does.

    When it comes under another policy, or can be asked for from now on, also raises Refused naming who could ask for it
    and would find nobody to decide (promise 7).
    """
    before = Entitlement.objects.select_for_update(no_key=True).get(pk=entitlement.pk)
    changed = catalog.change_entitlement(
        entitlement,
        name,
        sentence=sentence,
        risk=risk,
        data_classes=data_classes,
        is_privileged=is_privileged,
        is_requestable=is_requestable,
        policy=policy,
        actor=actor,
    )
    found = live_roles().filter(pk=entitlement.pk)
    moved = [one for one in found if one.policy_id != before.policy_id or not before.is_requestable]
    refuse_pairs(
        [undecidable(_terms(one.policy_id), [one]) for one in moved],
        "Choose a policy that says who decides when there is nobody, for instance security.",
        "policy",
    )
    return changed


@transaction.atomic
def set_owners(application: Application, owners: Sequence[Person], *, actor: Actor) -> None:
    """Make exactly these people answer for an application, as `catalog.set_owners` does.

    Also raises Refused naming who could ask for a role there and would find nobody to decide any more (promise 7). What
    nobody could decide about before is in nobody's way.
    """
    Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    before = ApplicationOwner.objects.filter(application=application, person__status=Status.ACTIVE)
    owned = {application.pk: frozenset(before.values_list("person_id", flat=True))}
    catalog.set_owners(application, owners, actor=actor)
    roles = live_roles().filter(application=application).order_by("policy_id", "name", "id")
    refuse_pairs(
        [
            newly_undecidable(_terms(policy_id), list(several), owned)
            for policy_id, several in groupby(roles, key=lambda one: one.policy_id)
        ],
        "Add another owner first, or have the policy say who decides when there is nobody, for instance security.",
        "owners",
    )


def _terms(policy_id: int) -> PolicyTerms:
    return terms_of(policy_in_force(policy_id, now()))
