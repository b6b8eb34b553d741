"""The writers of birthright rules: who gets what by who they are."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import BirthrightRule, BirthrightRuleVersion, Entitlement
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.selection import check_condition
from governance.ledger.recording import Subject, record

LONGEST_NAME = 120


@transaction.atomic
def save_birthright_rule(
    name: str, condition: str, entitlements: Sequence[Entitlement], *, slug: str = "", actor: Actor
) -> BirthrightRuleVersion:
    """Return the new version of a birthright rule, in force from now on.

    It says what people get; `access.birthright.apply` brings people in line with it.
    Raises Invalid naming each wrong field.
    """
    if not condition.strip():
        raise Invalid({"condition": "Say whom the rule selects."})
    check_condition(condition, field="condition")
    if not entitlements:
        raise Invalid({"entitlements": "Choose at least one role."})
    if not name.strip():
        raise Invalid({"name": "This is needed."})
    if len(name) > LONGEST_NAME:
        raise Invalid({"name": f"At most {LONGEST_NAME} characters; this has {len(name)}."})
    at = now()
    rule, _ = BirthrightRule.objects.select_for_update(no_key=True).get_or_create(
        slug=slug or slugify(name)[:80], defaults={"name": name, "created_at": at}
    )
    last = rule.versions.aggregate(last=Max("number"))["last"] or 0
    version = BirthrightRuleVersion.objects.create(
        rule=rule,
        number=last + 1,
        effective_at=at,
        created_at=at,
        created_by_ref=actor.ref,
        condition=condition.strip(),
    )
    version.entitlements.set(entitlements)
    record(
        events.RULE_CHANGED,
        actor=actor,
        subjects=[Subject("rule", rule.slug), *(Subject("entitlement", str(one.pk)) for one in entitlements)],
        data={"version": version.number},
    )
    return version
