"""Questions about what can be had and under which rules."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from governance.catalog.models import (
    AccessPolicyVersion,
    Application,
    ApplicationOwner,
    BirthrightRuleVersion,
    Entitlement,
)
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.core.statements import rows


@dataclass(frozen=True, slots=True)
class CurrentRule:
    """The version of a birthright rule that is in force."""

    rule_id: int
    version_id: int
    name: str
    condition: str
    entitlements: tuple[Entitlement, ...]


def current_birthright() -> list[CurrentRule]:
    """Return the birthright rules in force, each with its live entitlements. Two statements."""
    numbered = (
        BirthrightRuleVersion.objects.filter(effective_at__lte=now(), rule__retired_at__isnull=True)
        .annotate(place=Window(RowNumber(), partition_by=F("rule_id"), order_by=F("number").desc()))
        .select_related("rule")
    )
    versions = sorted((version for version in numbered if version.place == 1), key=lambda version: version.rule_id)
    links = BirthrightRuleVersion.entitlements.through.objects.filter(
        birthrightruleversion_id__in=[version.pk for version in versions],
        entitlement__retired_at__isnull=True,
        entitlement__application__retired_at__isnull=True,
    ).select_related("entitlement")
    given: dict[int, list[Entitlement]] = defaultdict(list)
    for link in links:
        given[link.birthrightruleversion_id].append(link.entitlement)
    return [
        CurrentRule(version.rule_id, version.pk, version.rule.name, version.condition, tuple(given[version.pk]))
        for version in versions
    ]


@dataclass(frozen=True, slots=True)
class Giving:
    """What a birthright rule in force gives to whom; the entitlements and their applications, by primary key."""

    rule_id: int
    version_id: int
    condition: str
    entitlements: tuple[tuple[int, int], ...]
    #: Those of them that a rule about duties in force may forbid.
    guarded: frozenset[int] = frozenset()


def givings() -> list[Giving]:
    """Return the birthright rules in force that give something. One statement, prepared: every joiner asks it."""
    return [
        Giving(rule_id, version_id, condition, tuple(zip(entitlements, applications, strict=True)), frozenset(guarded))
        for rule_id, version_id, condition, entitlements, applications, guarded in rows(_GIVINGS, {"at": now()})
    ]


_GIVINGS = """
WITH guarded AS (
    SELECT DISTINCT member.entitlement_id
    FROM (
        SELECT DISTINCT ON (said.rule_id) said.id, said.rule_id, said.effect FROM catalog_sodruleversion said
        WHERE said.effective_at <= %(at)s ORDER BY said.rule_id, said.number DESC
    ) duties
    JOIN catalog_sodrule rule ON rule.id = duties.rule_id AND rule.retired_at IS NULL
    JOIN catalog_sodmember member ON member.version_id = duties.id
    WHERE duties.effect = 'block'
)
SELECT version.rule_id, version.id, version.condition, array_agg(given.id ORDER BY given.id),
    array_agg(given.application_id ORDER BY given.id),
    coalesce(array_agg(guarded.entitlement_id) FILTER (WHERE guarded.entitlement_id IS NOT NULL), '{}')
FROM (
    SELECT DISTINCT ON (said.rule_id) said.id, said.rule_id, said.condition
    FROM catalog_birthrightruleversion said JOIN catalog_birthrightrule rule ON rule.id = said.rule_id
    WHERE said.effective_at <= %(at)s AND rule.retired_at IS NULL
    ORDER BY said.rule_id, said.number DESC
) version
JOIN catalog_birthrightruleversion_entitlements link ON link.birthrightruleversion_id = version.id
JOIN catalog_entitlement given ON given.id = link.entitlement_id AND given.retired_at IS NULL
JOIN catalog_application application ON application.id = given.application_id AND application.retired_at IS NULL
LEFT JOIN guarded ON guarded.entitlement_id = given.id
GROUP BY version.rule_id, version.id, version.condition
ORDER BY version.rule_id
"""


def policy_in_force(policy_id: int, at: datetime) -> AccessPolicyVersion:
    """Return the version of a policy that is in force at an instant. Raises NotFound before the first."""
    version = (
        AccessPolicyVersion.objects.filter(policy_id=policy_id, effective_at__lte=at)
        .select_related("policy")
        .order_by("-number")
        .first()
    )
    if version is None:
        raise NotFound("This policy says nothing yet.")
    return version


def application(slug: str) -> Application:
    """Return the application by its slug. Raises NotFound."""
    found = Application.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no application called {slug}.")
    return found


def entitlement(application_slug: str, slug: str) -> Entitlement:
    """Return an entitlement by the slugs of its application and itself. Raises NotFound."""
    found = (
        Entitlement.objects.select_related("application", "policy")
        .filter(application__slug=application_slug, slug=slug)
        .first()
    )
    if found is None:
        raise NotFound(f"There is no {slug} in {application_slug}.")
    return found


def applications_owned_by(person_id: int) -> list[int]:
    """Return the primary keys of the applications a person answers for."""
    return list(ApplicationOwner.objects.filter(person_id=person_id).values_list("application_id", flat=True))
