"""R23: everybody who could have reached each application at some moment of the window, by which path."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, text, yes_no

#: When each access was granted, by all its grants together: what is seen within them is their row.
_GRANTED = """
granted AS (
    SELECT person_id, entitlement_id, range_agg(tstzrange(starts_at, ends_at)) AS at
    FROM cover WHERE starts_at < %(ends_at)s AND ends_at > %(starts_at)s
    GROUP BY person_id, entitlement_id
)"""

#: When each person was last in an application, by whichever account.
_USED = """
used AS (
    SELECT account.person_id, account.application_id, max(account.last_used_at) AS last_used_at
    FROM provisioning_account AS account
    WHERE account.person_id IS NOT NULL AND account.last_used_at <= %(known_at)s
    GROUP BY account.person_id, account.application_id
)"""

_IN_WINDOW = parts.unguessed(
    "cover.starts_at < %(ends_at)s AND cover.starts_at <= %(known_at)s AND cover.ends_at > %(starts_at)s"
)
_REACHED = f"""
    SELECT 'grant:' || cover.grant_id AS row_id, cover.cause AS path, cover.person_id, cover.entitlement_id,
        cover.application_id, NULL::timestamptz AS account_used_at, cover.starts_at AS since,
        NULLIF(cover.ends_at, %(open_end)s) AS until, cover.grant_id::text AS grant_id, cover.request_id,
        cover.rule_version_id
    FROM cover
    WHERE {_IN_WINDOW}
    UNION ALL
    SELECT 'holding:' || seen.id, 'seen, not granted', account.person_id, seen.entitlement_id, account.application_id,
        CASE WHEN account.last_used_at <= %(known_at)s THEN account.last_used_at END, seen.first_seen_at, seen.gone_at,
        NULL, NULL, NULL
    FROM seen JOIN provisioning_account AS account ON account.id = seen.account_id
    LEFT JOIN granted ON granted.person_id = account.person_id AND granted.entitlement_id = seen.entitlement_id
    WHERE seen.first_seen_at < %(ends_at)s AND (seen.gone_at IS NULL OR seen.gone_at > %(starts_at)s)
        AND NOT coalesce(granted.at @> tstzrange(
            greatest(seen.first_seen_at, %(starts_at)s), least(seen.gone_at, %(ends_at)s)
        ), false)"""

_EXCEPTIONS = exceptions_sql(
    ("not_granted", "item.path = 'seen, not granted'"),
    ("no_person", "item.person_id IS NULL"),
    ("left_before", "profile.status = 'left'"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.COVER,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.GRANT_SUPPORT,
        parts.SEEN,
        _GRANTED,
        _USED,
    )
}
SELECT
    item.row_id, person.ref::text AS person_ref, profile.display_name AS person_name, profile.user_name,
    profile.department, application.slug AS application, entitlement.slug AS entitlement,
    array_to_string(entitlement.data_classes, ' ') AS data_classes, entitlement.is_privileged AS privileged,
    item.path, coalesce('R-' || request.number, rule.slug || ' v' || version.number) AS by_way_of,
    item.since, item.until, theirs.last_used_at,
    CASE WHEN theirs.last_used_at >= greatest(item.since, %(starts_at)s) THEN 'last used in or after the window'
        WHEN theirs.last_used_at IS NOT NULL THEN 'last used before' ELSE 'not told' END AS use,
    item.grant_id,
    {_EXCEPTIONS} AS exceptions, grant_support.first_entry, grant_support.last_entry
FROM ({_REACHED}
) AS item
JOIN catalog_application AS application ON application.id = item.application_id
JOIN catalog_entitlement AS entitlement ON entitlement.id = item.entitlement_id
LEFT JOIN identity_person AS person ON person.id = item.person_id
LEFT JOIN profile ON profile.person_id = item.person_id
LEFT JOIN access_accessrequest AS request ON request.id = item.request_id
LEFT JOIN catalog_birthrightruleversion AS version ON version.id = item.rule_version_id
LEFT JOIN catalog_birthrightrule AS rule ON rule.id = version.rule_id
LEFT JOIN used ON used.person_id = item.person_id AND used.application_id = item.application_id
CROSS JOIN LATERAL (SELECT greatest(used.last_used_at, item.account_used_at) AS last_used_at) AS theirs
LEFT JOIN grant_support ON grant_support.ref = item.grant_id
"""

REPORT = Report(
    id="R23",
    title="Exposure",
    population=(
        "Every access, granted or only seen, that was open at some moment of the window [starts_at, ends_at), as known "
        "at known_at. What was seen within grants stands once, as the grants. To assess one application or class of "
        "data, take its rows."
    ),
    exceptions=(
        ("not_granted", "Seen at the application at a moment that no grant covers."),
        ("no_person", "On an account without a person."),
        ("left_before", "The person had left by the end of the window."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the grant, or what was seen."),
        text("person_ref", "The permanent reference of the person; empty for an account without one."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("department", "Department, as of the end of the window."),
        text("application", "Short name of the application; never changes."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        text("data_classes", "Protected data it reaches: phi, pii, financial, source_code."),
        yes_no("privileged", "Whether the entitlement counts as privileged."),
        text("path", "birthright, request, break_glass, manual, imported; or seen, not granted."),
        text("by_way_of", "The request or the birthright rule it rests on."),
        instant("since", "Since when it was open."),
        instant("until", "Until when; empty for no end."),
        instant("last_used_at", "When the account was last used, as the application told by known_at."),
        text("use", "last used in or after the window; last used before; not told (then nothing is concluded)."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
