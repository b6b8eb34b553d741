"""R14: orders that failed, and what applications show without a grant: raised in the window or open at its end."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

#: What the ledger says of each order that failed at least once.
_FAILED = """
failed AS (
    SELECT subject.ref, min(entry.at) AS first_failed_at, max(entry.at) AS last_failed_at, count(*) AS times,
        min(entry.index) AS first_entry
    FROM ledger_entry AS entry
    JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index AND subject.kind = 'operation'
    WHERE entry.index < %(ledger_size)s AND entry.event = 'operation.failed'
    GROUP BY subject.ref
),
settled AS (
    SELECT failed.ref, said.at, said.event, said.actor_ref, said.index AS last_entry
    FROM failed
    JOIN LATERAL (
        SELECT entry.at, entry.event, entry.actor_ref, entry.index
        FROM ledger_entry AS entry
        JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index AND subject.kind = 'operation'
        WHERE subject.ref = failed.ref AND entry.index < %(ledger_size)s AND entry.at > failed.last_failed_at
            AND entry.event IN ('operation.verified', 'operation.confirmed_by_hand', 'operation.released')
        ORDER BY entry.index LIMIT 1
    ) AS said ON true
)"""

_ORDERS = """
    SELECT
        'order' AS what, 'operation:' || ordered.id AS row_id, ordered.person_id, ordered.application_id,
        ordered.entitlement_id, ordered.kind AS operation, failed.times AS failures,
        failed.first_failed_at AS raised_at, ordered.last_error AS cause, settled.at AS resolved_at,
        CASE settled.event WHEN 'operation.verified' THEN 'read back' WHEN 'operation.released' THEN 'called off'
            WHEN 'operation.confirmed_by_hand' THEN 'by hand' END AS resolved_how,
        settled.actor_ref AS resolved_by, ordered.id::text AS operation_id, failed.first_entry, settled.last_entry
    FROM failed
    JOIN provisioning_operation AS ordered ON ordered.id = failed.ref::bigint
    LEFT JOIN settled ON settled.ref = failed.ref"""

#: Each stretch of time in which something was seen and no grant covered it: until it was seen gone, or granted.
_BARE = """
covered AS (
    SELECT person_id, entitlement_id, range_agg(tstzrange(starts_at, ends_at)) AS at
    FROM cover GROUP BY person_id, entitlement_id
),
bare AS (
    SELECT seen.id, seen.entitlement_id, seen.gone_at, account.person_id, account.application_id,
        unnest(
            tstzmultirange(tstzrange(
                seen.first_seen_at,
                CASE WHEN seen.gone_at IS NOT NULL THEN greatest(seen.gone_at, seen.first_seen_at) END
            )) - coalesce(covered.at, '{}')
        ) AS stretch
    FROM seen
    JOIN provisioning_account AS account ON account.id = seen.account_id
    LEFT JOIN covered ON covered.person_id = account.person_id AND covered.entitlement_id = seen.entitlement_id
),
drifted AS (
    SELECT bare.*, lower(bare.stretch) AS since, upper(bare.stretch) AS until
    FROM bare WHERE lower(bare.stretch) <= %(known_at)s
)"""

_DRIFT = """
    SELECT
        'seen without grant',
        'holding:' || drifted.id || to_char(drifted.since AT TIME ZONE 'UTC', '":"YYYYMMDD"T"HH24MISS.US"Z"'),
        drifted.person_id, drifted.application_id,
        drifted.entitlement_id, NULL, NULL::bigint, drifted.since, NULL, drifted.until,
        CASE WHEN drifted.until IS NULL THEN NULL WHEN drifted.until = drifted.gone_at THEN 'seen gone'
            ELSE 'granted' END,
        NULL, NULL, NULL::bigint, NULL::bigint
    FROM drifted"""

_UNTIL = "coalesce(item.resolved_at, %(known_at)s)"
_EXCEPTIONS = exceptions_sql(
    ("still_open", "item.resolved_at IS NULL"),
    ("removal_failed", "item.operation = 'take'"),
    ("seen_without_grant", "item.what = 'seen without grant'"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.COVER,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.SEEN,
        _FAILED,
        _BARE,
    )
}
SELECT
    item.row_id, item.what, person.ref::text AS person_ref, profile.display_name AS person_name,
    application.slug AS application, entitlement.slug AS entitlement, item.operation, item.failures, item.raised_at,
    item.cause, item.resolved_at, item.resolved_how, item.resolved_by,
    round(extract(epoch FROM {_UNTIL} - item.raised_at)::numeric / 3600, 3) AS hours_open, item.operation_id,
    {_EXCEPTIONS} AS exceptions, item.first_entry, coalesce(item.last_entry, item.first_entry) AS last_entry
FROM ({_ORDERS}
    UNION ALL{_DRIFT}
) AS item
JOIN catalog_application AS application ON application.id = item.application_id
LEFT JOIN catalog_entitlement AS entitlement ON entitlement.id = item.entitlement_id
LEFT JOIN identity_person AS person ON person.id = item.person_id
LEFT JOIN profile ON profile.person_id = item.person_id
WHERE item.raised_at < %(ends_at)s AND (item.raised_at >= %(starts_at)s OR item.resolved_at IS NULL
    OR item.resolved_at >= %(ends_at)s)
"""

REPORT = Report(
    id="R14",
    title="Failures and drift",
    population=(
        "Orders to applications that failed, and every stretch of time in which an application showed an entitlement "
        "that no grant covered: raised in the window, or raised earlier and still open at its end."
    ),
    exceptions=(
        ("still_open", "Not resolved by known_at."),
        ("removal_failed", "What failed was to take access away."),
        ("seen_without_grant", "The application showed access that no grant explains."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the order, or what was seen and since when without a grant."),
        text("what", "order; seen without grant."),
        text("person_ref", "The permanent reference of the person; empty for an account without one."),
        text("person_name", "Name shown, as of the end of the window."),
        text("application", "Short name of the application; never changes."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        text("operation", "give, take and so on: what was ordered."),
        number("failures", "How often it failed for good."),
        instant("raised_at", "When it failed first, or since when it was there without a grant."),
        text("cause", "The last error, in our words, as it was when the report was read."),
        instant("resolved_at", "When it was resolved; empty while it is open."),
        text("resolved_how", "read back; by hand; called off; seen gone; granted."),
        text("resolved_by", "Who: a person's reference or a part of Gatehouse."),
        number("hours_open", "Hours from the first to the resolution, or to known_at."),
        text("operation_id", "Number of the order; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=BODY,
    order=("what", "application", "row_id"),
    subject=("operation_id", "operation"),
)
