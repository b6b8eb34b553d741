"""The writers that take roles and applications out of use for good. What they gave ends in `access.retiring`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.db import transaction

from governance.catalog import events, revisions
from governance.catalog.models import Application, Entitlement
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict
from governance.core.statements import rows
from governance.ledger.recording import Record, Subject, record, record_many


@dataclass(frozen=True, slots=True)
class Mention:
    """Something that names a role: a rule, a package, a rule about duties or a policy."""

    kind: str
    slug: str
    name: str
    #: How many other roles in use it names.
    others: int


@transaction.atomic
def retire_entitlement(entitlement: Entitlement, *, actor: Actor) -> Entitlement:
    """Take a role out of use for good: nobody can ask for it, be approved or start. Again: add it again.

    Raises Conflict when it was retired before.
    """
    role = Entitlement.objects.select_for_update(no_key=True, of=("self",)).select_related("application")
    found = role.get(pk=entitlement.pk)
    if found.retired_at is not None or found.application.retired_at is not None:
        raise Conflict(f"{found.name} was retired before.")
    _retire([found], at=now(), actor=actor)
    return found


@transaction.atomic
def retire_application(application: Application, *, actor: Actor) -> Application:
    """Take an application and all its roles out of use for good.

    Raises Conflict when it was retired before.
    """
    at = now()
    found = Application.objects.select_for_update(no_key=True).get(pk=application.pk)
    if found.retired_at is not None:
        raise Conflict(f"{found.name} was retired before.")
    found.retired_at = at
    found.save(update_fields=["retired_at"])
    roles = found.entitlements.select_for_update(no_key=True).filter(retired_at=None).order_by("pk")
    _retire(list(roles), at=at, actor=actor)
    record(events.APPLICATION_RETIRED, actor=actor, subjects=[Subject("application", str(found.pk))])
    return found


def mentions(entitlement_ids: Collection[int]) -> list[Mention]:
    """Return the rules, packages, rules about duties and policies that speak of one of these roles. One statement."""
    found = (Mention(*said) for said in rows(_MENTIONS, {"roles": sorted(entitlement_ids)}))
    return sorted(found, key=attrgetter("kind", "name", "slug"))


def _retire(roles: Collection[Entitlement], *, at: datetime, actor: Actor) -> None:
    Entitlement.objects.filter(pk__in=[role.pk for role in roles]).update(retired_at=at)
    revisions.revise_retired(roles, at=at, actor=actor)
    record_many(Record(events.ENTITLEMENT_RETIRED, actor, _subjects(role)) for role in roles)
    for role in roles:
        role.retired_at = at


def _subjects(role: Entitlement) -> list[Subject]:
    return [Subject("entitlement", str(role.pk)), Subject("application", str(role.application_id))]


#: What is planned counts as well: the latest version of each, whenever it begins.
_MENTIONS = """
WITH live AS (
    SELECT role.id, role.policy_id, role.id = ANY(%(roles)s::bigint[]) AS is_meant
    FROM catalog_entitlement role JOIN catalog_application application ON application.id = role.application_id
    WHERE role.retired_at IS NULL AND application.retired_at IS NULL
), named AS (
    SELECT 'rule' AS kind, rule.slug, rule.name, link.entitlement_id
    FROM catalog_birthrightrule rule
    JOIN LATERAL (
        SELECT version.id FROM catalog_birthrightruleversion version
        WHERE version.rule_id = rule.id
            AND NOT EXISTS (SELECT FROM catalog_rulecalloff gone WHERE gone.version_id = version.id)
        ORDER BY version.number DESC LIMIT 1
    ) said ON true
    JOIN catalog_birthrightruleversion_entitlements link ON link.birthrightruleversion_id = said.id
    WHERE rule.retired_at IS NULL
    UNION ALL
    SELECT 'package', package.slug, said.name, link.entitlement_id
    FROM catalog_package package
    JOIN LATERAL (
        SELECT id, name FROM catalog_packageversion WHERE package_id = package.id ORDER BY number DESC LIMIT 1
    ) said ON true
    JOIN catalog_packageversion_entitlements link ON link.packageversion_id = said.id
    WHERE package.retired_at IS NULL
    UNION ALL
    SELECT 'duty', rule.slug, rule.name, member.entitlement_id
    FROM catalog_sodrule rule
    JOIN LATERAL (
        SELECT id FROM catalog_sodruleversion WHERE rule_id = rule.id ORDER BY number DESC LIMIT 1
    ) said ON true
    JOIN catalog_sodmember member ON member.version_id = said.id
    WHERE rule.retired_at IS NULL
    UNION ALL
    SELECT 'policy', policy.slug, policy.name, live.id
    FROM catalog_accesspolicy policy JOIN live ON live.policy_id = policy.id
)
SELECT named.kind, named.slug, named.name, count(DISTINCT live.id) FILTER (WHERE NOT live.is_meant)
FROM named JOIN live ON live.id = named.entitlement_id
GROUP BY named.kind, named.slug, named.name
HAVING bool_or(live.is_meant)
"""
