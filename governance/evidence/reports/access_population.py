"""R01: who has access as of an instant: what was granted, and what was seen at the applications without a grant."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, text, yes_no

#: What is granted then; what is seen then; and for each person and entitlement the account on which it was seen first.
_OPEN = parts.unguessed("known.starts_at <= %(as_of)s AND known.ends_at > %(as_of)s")
_THEN = f"""
open AS MATERIALIZED (
    SELECT held.id, held.person_id, held.entitlement_id, held.application_id, held.cause, held.request_id,
        known.starts_at, known.ends_at
    FROM known
    JOIN access_grant AS held ON held.id = known.grant_id
    WHERE {_OPEN}
),
seen_then AS MATERIALIZED (
    SELECT seen.id, seen.account_id, seen.entitlement_id, seen.first_seen_at, seen.gone_at,
        account.person_id, account.application_id, account.first_seen_at AS account_since
    FROM seen
    JOIN provisioning_account AS account ON account.id = seen.account_id
    WHERE seen.first_seen_at <= %(as_of)s AND (seen.gone_at IS NULL OR seen.gone_at > %(as_of)s)
),
seen_first AS (
    SELECT DISTINCT ON (person_id, application_id, entitlement_id)
        person_id, application_id, entitlement_id, account_id, first_seen_at
    FROM seen_then WHERE person_id IS NOT NULL AND account_since <= %(as_of)s
    ORDER BY person_id, application_id, entitlement_id, first_seen_at, account_id
),
first_account AS (
    SELECT account.person_id, account.application_id, min(account.id) AS account_id
    FROM provisioning_account AS account
    WHERE account.person_id IS NOT NULL AND account.first_seen_at <= %(as_of)s
    GROUP BY account.person_id, account.application_id
)"""

#: Is the granted access also there? The account of the person on which it was seen, or else the first they have.
_GRANTED = """
    SELECT
        'granted' AS source, 'grant:' || open.id AS row_id, open.id::text AS grant_id,
        open.person_id, open.entitlement_id, open.application_id,
        coalesce(seen_first.account_id, first_account.account_id) AS account_id, seen_first.first_seen_at AS seen_at,
        open.cause, open.request_id, open.starts_at, NULLIF(open.ends_at, %(open_end)s) AS ends_at
    FROM open
    LEFT JOIN seen_first ON seen_first.person_id = open.person_id
        AND seen_first.application_id = open.application_id AND seen_first.entitlement_id = open.entitlement_id
    LEFT JOIN first_account ON first_account.person_id = open.person_id
        AND first_account.application_id = open.application_id"""

_SEEN_WITHOUT_GRANT = """
    SELECT
        'seen, not granted', 'holding:' || seen_then.id, NULL,
        seen_then.person_id, seen_then.entitlement_id, seen_then.application_id, seen_then.account_id,
        seen_then.first_seen_at, NULL, NULL, seen_then.first_seen_at, seen_then.gone_at
    FROM seen_then
    WHERE NOT EXISTS (
        SELECT FROM open
        WHERE open.person_id = seen_then.person_id AND open.entitlement_id = seen_then.entitlement_id
    )"""

_ACCOUNT_ONLY = """
    SELECT
        'account, no entitlement seen', 'account:' || account.id, NULL,
        account.person_id, NULL, account.application_id, account.id, NULL,
        NULL, NULL, account.first_seen_at, CASE WHEN account.gone_at <= %(known_at)s THEN account.gone_at END
    FROM provisioning_account AS account
    WHERE account.first_seen_at <= %(as_of)s
        AND (account.gone_at IS NULL OR account.gone_at > %(as_of)s OR account.gone_at > %(known_at)s)
        AND NOT EXISTS (SELECT FROM seen_then WHERE seen_then.account_id = account.id)"""

_EXCEPTIONS = exceptions_sql(
    ("not_granted", "item.source = 'seen, not granted'"),
    ("no_person", "item.person_id IS NULL AND coalesce(login.kind, 'human') = 'human'"),
    ("person_has_left", "profile.status = 'left'"),
    ("not_approved", "item.cause = 'request' AND coalesce(decided.said_yes, 0) = 0"),
)

_PARTS = parts.with_parts(
    parts.GRANT_REVISION,
    parts.KNOWN,
    parts.PERSON_REVISION,
    parts.PROFILE,
    parts.DECIDED,
    parts.GRANT_SUPPORT,
    parts.SEEN,
    _THEN,
)

BODY = f"""{_PARTS}
SELECT
    item.row_id, item.source, person.ref::text AS person_ref,
    profile.display_name AS person_name, profile.user_name, profile.person_type, profile.department,
    profile.status AS person_status,
    application.slug AS application, application.name AS application_name,
    entitlement.slug AS entitlement, entitlement.name AS entitlement_name, entitlement.kind AS entitlement_kind,
    entitlement.is_privileged AS privileged, array_to_string(entitlement.data_classes, ' ') AS data_classes,
    login.user_name AS account, login.kind AS account_kind,
    item.seen_at, item.cause, item.starts_at, item.ends_at, item.grant_id,
    'R-' || request.number AS request, decided.approvers, decided.decided_at,
    {_EXCEPTIONS} AS exceptions, grant_support.first_entry, grant_support.last_entry
FROM ({_GRANTED}
    UNION ALL{_SEEN_WITHOUT_GRANT}
    UNION ALL{_ACCOUNT_ONLY}
) AS item
JOIN catalog_application AS application ON application.id = item.application_id
LEFT JOIN catalog_entitlement AS entitlement ON entitlement.id = item.entitlement_id
LEFT JOIN identity_person AS person ON person.id = item.person_id
LEFT JOIN profile ON profile.person_id = item.person_id
LEFT JOIN access_accessrequest AS request ON request.id = item.request_id
LEFT JOIN decided ON decided.request_id = item.request_id
LEFT JOIN grant_support ON grant_support.ref = item.grant_id
LEFT JOIN provisioning_account AS login ON login.id = item.account_id
"""

REPORT = Report(
    id="R01",
    title="Access population",
    population=(
        "Every grant that covers the instant as_of (starts_at <= as_of < ends_at) by its last revision known at "
        "known_at; every entitlement seen on an account then that no grant of that person covers; every account seen "
        "then without any entitlement. What an application never told is not here: see the sources in R00."
    ),
    exceptions=(
        ("not_granted", "The application showed the access, no grant explains it."),
        ("no_person", "An account of the kind human that belongs to nobody known: an orphan."),
        ("person_has_left", "The person had left by as_of."),
        ("not_approved", "Granted on request, and no approval is on record."),
    ),
    columns=(
        text("row_id", "Stable id of the row: grant, holding or account with its number."),
        text("source", "granted; seen, not granted; account, no entitlement seen."),
        text("person_ref", "The person's permanent reference; empty for an account of nobody known."),
        text("person_name", "Name shown, as of the instant."),
        text("user_name", "User name, as of the instant."),
        text("person_type", "Employee, Contractor and so on, as the directory says."),
        text("department", "Department, as of the instant."),
        text("person_status", "active or left, as of the instant."),
        text("application", "Short name of the application; never changes."),
        text("application_name", "Name of the application when the report was read."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        text("entitlement_name", "Name of the entitlement when the report was read."),
        text("entitlement_kind", "role, group, licence or permission."),
        yes_no("privileged", "Whether the entitlement counts as privileged."),
        text("data_classes", "Protected data it reaches: phi, pii, financial, source_code."),
        text("account", "The login inside the application, where one is known."),
        text("account_kind", "human, service or shared."),
        instant("seen_at", "Since when the application showed this entitlement on the account; empty when it did not."),
        text("cause", "Why it was granted: birthright, request, break_glass, manual, imported."),
        instant("starts_at", "Start of the grant, or when it was first seen."),
        instant("ends_at", "End of the grant as known, or when it was seen to be gone; empty for no end."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        text("request", "Number of the request it rests on."),
        text("approvers", "Who decided, with permanent references, and as what."),
        instant("decided_at", "When the last of them decided."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
