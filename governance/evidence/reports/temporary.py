"""R09: every access for a time that was open at some moment of the window: asked, decided, begun, due, really over."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text, yes_no

#: Access may be seen this long after its end before it counts as an overrun.
TOLERANCE = "interval '15 minutes'"

_REVISED = """
planned AS (
    SELECT revision.grant_id,
        (array_agg(revision.ends_at ORDER BY revision.number))[1] AS first_end,
        count(*) FILTER (WHERE revision.change = 'extended') AS extensions,
        max(revision.ends_at) FILTER (WHERE revision.change IN ('started', 'extended', 'shortened')) AS last_planned
    FROM grant_revision AS revision
    GROUP BY revision.grant_id
),
continued AS (
    SELECT DISTINCT ending.grant_id
    FROM cover AS ending
    JOIN cover AS other ON other.person_id = ending.person_id AND other.entitlement_id = ending.entitlement_id
        AND other.grant_id <> ending.grant_id AND other.starts_at <= ending.ends_at AND other.ends_at > ending.ends_at
    WHERE ending.ends_at <= %(known_at)s
),
longer AS (
    SELECT request.extends_id AS grant_id, count(*) AS asked,
        count(*) FILTER (WHERE decided.said_yes > 0) AS approved,
        coalesce(bool_or(decided.said_yes > 0 AND (request.requester_id = ANY (decided.approver_ids)
            OR request.person_id = ANY (decided.approver_ids))), false) AS self_approved
    FROM access_accessrequest AS request
    LEFT JOIN decided ON decided.request_id = request.id
    WHERE request.extends_id IS NOT NULL AND request.created_at <= %(known_at)s
    GROUP BY request.extends_id
)"""

#: The removal, as read back after the end; another grant may hold the same access and then nothing is to be removed.
_OVER = """
gone AS (
    SELECT ended.grant_id, min(removal.confirmed_at) AS at
    FROM cover AS ended
    JOIN removal ON removal.person_id = ended.person_id AND removal.entitlement_id = ended.entitlement_id
    WHERE ended.ends_at <= %(known_at)s AND removal.confirmed_at >= ended.ends_at
    GROUP BY ended.grant_id
)"""

_WAS_OPEN = parts.unguessed(
    "planned.first_end < %(open_end)s AND known.starts_at < known.ends_at AND known.starts_at < %(ends_at)s"
    " AND known.starts_at <= %(known_at)s AND known.ends_at > %(starts_at)s"
)
_IS_OVER = "known.ends_at <= %(known_at)s"
_OVERRUN = "coalesce(gone.at, %(known_at)s) - known.ends_at"
_EXCEPTIONS = exceptions_sql(
    ("no_approval", "coalesce(decided.said_yes, 0) = 0"),
    ("approved_by_beneficiary", "held.person_id = ANY (decided.approver_ids)"),
    ("approved_after_start", "decided.decided_at > known.starts_at"),
    ("extension_without_approval", "planned.extensions > coalesce(longer.approved, 0)"),
    ("extension_self_approved", "coalesce(longer.self_approved, false)"),
    ("overrun", f"{_IS_OVER} AND continued.grant_id IS NULL AND {_OVERRUN} > {TOLERANCE}"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.COVER,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.DECIDED,
        parts.GRANT_SUPPORT,
        parts.SEEN,
        parts.REMOVAL,
        _REVISED,
        _OVER,
    )
}
SELECT
    'grant:' || held.id AS row_id, held.id::text AS grant_id,
    person.ref::text AS person_ref, profile.display_name AS person_name, profile.user_name, profile.department,
    application.slug AS application, entitlement.slug AS entitlement, entitlement.is_privileged AS privileged,
    'R-' || request.number AS request, requester.ref::text AS requester_ref, request.purpose, request.ticket,
    request.created_at AS requested_at, decided.approvers, decided.decided_at, known.starts_at,
    NULLIF(planned.first_end, %(open_end)s) AS planned_end, planned.extensions,
    NULLIF(known.ends_at, %(open_end)s) AS ends_at,
    CASE WHEN {_IS_OVER} THEN
        CASE WHEN known.change IN ('started', 'extended', 'shortened') THEN 'expired' ELSE known.change END
    END AS end_cause,
    CASE WHEN {_IS_OVER} THEN
        CASE WHEN known.change IN ('started', 'extended', 'shortened') THEN 'by time' ELSE 'by somebody' END
    END AS ended_how,
    gone.at AS removal_confirmed_at,
    CASE WHEN {_IS_OVER} AND continued.grant_id IS NULL THEN
        round(extract(epoch FROM {_OVERRUN})::numeric / 60, 3) END AS overrun_minutes,
    {_EXCEPTIONS} AS exceptions, grant_support.first_entry, grant_support.last_entry
FROM known
JOIN access_grant AS held ON held.id = known.grant_id
JOIN planned ON planned.grant_id = held.id
JOIN identity_person AS person ON person.id = held.person_id
JOIN catalog_application AS application ON application.id = held.application_id
JOIN catalog_entitlement AS entitlement ON entitlement.id = held.entitlement_id
LEFT JOIN profile ON profile.person_id = held.person_id
LEFT JOIN access_accessrequest AS request ON request.id = held.request_id
LEFT JOIN identity_person AS requester ON requester.id = request.requester_id
LEFT JOIN decided ON decided.request_id = held.request_id
LEFT JOIN longer ON longer.grant_id = held.id
LEFT JOIN grant_support ON grant_support.ref = held.id::text
LEFT JOIN gone ON gone.grant_id = held.id
LEFT JOIN continued ON continued.grant_id = held.id
WHERE held.cause IN ('request', 'manual')
    AND {_WAS_OPEN}
"""

REPORT = Report(
    id="R09",
    title="Temporary access",
    population=(
        "Grants on request or by hand that were given with an end, and that were open at some moment of the window "
        "[starts_at, ends_at), by their last revision known at known_at."
    ),
    exceptions=(
        ("no_approval", "No approval is on record."),
        ("approved_by_beneficiary", "The one who has the access approved it."),
        ("approved_after_start", "The last approval came after the access began."),
        ("extension_without_approval", "It was extended more often than an extension was approved."),
        ("extension_self_approved", "The one who has it, or asked for it, approved an extension."),
        ("overrun", "The application still showed it, or was not read, more than 15 minutes after the end."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the grant."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        text("person_ref", "The permanent reference of the person who has the access."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("department", "Department, as of the end of the window."),
        text("application", "Short name of the application; never changes."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        yes_no("privileged", "Whether the entitlement counts as privileged."),
        text("request", "Number of the request."),
        text("requester_ref", "Permanent reference of the one who asked."),
        text("purpose", "The purpose given."),
        text("ticket", "The ticket given."),
        instant("requested_at", "When it was asked for."),
        text("approvers", "Who decided, with permanent references, and as what."),
        instant("decided_at", "When the last of them decided."),
        instant("starts_at", "When the access began."),
        instant("planned_end", "The end it was given with."),
        number("extensions", "How often it was extended."),
        instant("ends_at", "The end as known: in the future while it runs."),
        text("end_cause", "Why it ended: expired, returned, revoked, left, rule, retired; empty while it runs."),
        text("ended_how", "by time, or by somebody; empty while it runs."),
        instant("removal_confirmed_at", "The first reading after the end that showed it gone."),
        number(
            "overrun_minutes",
            "Minutes from the end to that reading, or to known_at while there is none; empty while it runs and where "
            "another grant gives the same access.",
        ),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
