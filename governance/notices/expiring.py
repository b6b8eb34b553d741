"""Warnings before access ends: what time alone causes has no entry in the ledger, so the grants are asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from governance.access.models import Grant, GrantCause
from governance.core.clock import now
from governance.core.statements import row, rows
from governance.notices.deciding import about_grant, ending
from governance.notices.models import Notice
from governance.notices.reading import write
from governance.notices.webhooks import Message

#: How long before the end people are warned where the policy says nothing; the last also where what it says is too
#: long for the access. A warning near the start is left out: nobody wants to hear then that an hour is short.
LEADS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=15))
KIND = "access.ending"
BATCH = 1_000
#: What somebody asked for or was given by hand for a time; what comes by role ends with the role.
_CAUSES = (GrantCause.REQUEST, GrantCause.MANUAL, GrantCause.BREAK_GLASS)


def warn_due() -> int:
    """Tell people about access that ends soon; return how many. Each warning once for each end, the nearest first."""
    warned = 0
    while (found := _warn()) == BATCH:
        warned += found
    return warned + found


@transaction.atomic
def _warn() -> int:
    at = now()
    leads = dict(_due(at))
    grants = Grant.objects.filter(pk__in=leads).select_related("entitlement", "application", "person", "request")
    notices, messages = [], []
    for grant in grants.order_by("ends_at", "id"):
        facts = _facts(grant)
        cause = f"{ending(grant.pk, grant.ends_at)}:{leads[grant.pk]}"
        about = about_grant(grant.pk)
        notices.append(
            Notice(person_id=grant.person_id, kind=KIND, cause=cause, about=about, facts=facts, at=at, created_at=at)
        )
        messages.append(Message(KIND, cause, grant.person_id, facts, at))
    write(notices, messages, at=at)
    return len(leads)


def _due(at: datetime) -> list[tuple[int, int]]:
    """Return the grants somebody is to be warned of, each with the seconds before its end that is for."""
    horizon = row(_HORIZON)
    known = {
        "at": at,
        "horizon": timedelta(seconds=max(LEADS[0].total_seconds(), horizon[0] if horizon else 0)),
        "leads": [int(lead.total_seconds()) for lead in LEADS],
        "shortest": int(LEADS[-1].total_seconds()),
        "causes": list(_CAUSES),
        "limit": BATCH,
    }
    return [(int(grant_id), int(lead)) for grant_id, lead in rows(_DUE, known)]


_HORIZON = """
SELECT coalesce(max(lead), 0) FROM catalog_accesspolicyversion, unnest(warns_before_seconds) lead
"""
#: Warned is who was told since the warning fell due; an end that moved has settled the warnings of the end before.
#: What another grant continues does not end.
_DUE = """
SELECT ending.id, min(ending.lead) FROM (
    SELECT due.id, due.ends_at, due.person_id, due.entitlement_id, wanted.lead
    FROM access_grant due
    LEFT JOIN access_accessrequest request ON request.id = due.request_id
    LEFT JOIN catalog_accesspolicyversion version ON version.id = request.policy_version_id
    CROSS JOIN LATERAL (
        SELECT lead, 1.25 AS least FROM unnest(version.warns_before_seconds) lead
        UNION ALL
        SELECT lead, 2.0 FROM unnest(%(leads)s::integer[]) lead
        WHERE coalesce(cardinality(version.warns_before_seconds), 0) = 0
        UNION ALL
        SELECT %(shortest)s::integer, 2.0
        WHERE NOT EXISTS (
            SELECT FROM unnest(version.warns_before_seconds) lead
            WHERE due.ends_at - due.starts_at >= make_interval(secs => lead * 1.25)
        )
    ) wanted
    WHERE due.end_ordered_at IS NULL AND due.ends_at > %(at)s AND due.ends_at <= %(at)s + %(horizon)s::interval
        AND due.starts_at <= %(at)s AND due.cause = ANY(%(causes)s::text[])
        AND due.ends_at <= %(at)s + make_interval(secs => wanted.lead)
        AND due.ends_at - due.starts_at >= make_interval(secs => wanted.lead * wanted.least)
) ending
JOIN identity_person person ON person.id = ending.person_id AND person.status = 'active'
WHERE NOT EXISTS (
    SELECT FROM access_grant other
    WHERE other.person_id = ending.person_id AND other.entitlement_id = ending.entitlement_id
        AND other.starts_at <= ending.ends_at AND other.ends_at > ending.ends_at
) AND NOT EXISTS (
    SELECT FROM notices_notice told
    WHERE told.about = 'grant:' || ending.id AND told.kind = 'access.ending' AND told.settled_at IS NULL
        AND told.person_id = ending.person_id
        AND told.created_at >= ending.ends_at - make_interval(secs => ending.lead)
)
GROUP BY ending.id, ending.ends_at ORDER BY ending.ends_at, ending.id LIMIT %(limit)s
"""


def _facts(grant: Grant) -> dict[str, object]:
    return {
        "grant": grant.pk,
        **({"number": grant.request.number} if grant.request else {}),
        "until": grant.ends_at.isoformat(),
        "person": grant.person.display_name,
        "person_ref": str(grant.person.ref),
        "application": grant.application.name,
        "application_slug": grant.application.slug,
        "role": grant.entitlement.name,
    }
