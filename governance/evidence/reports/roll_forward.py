"""R02: for each application, what was open at the start, began, ceased and was open at the end, beside what is there.

Opening, started, ended and closing are each counted for themselves; that they add up is the proof that none is missing.
"""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

_COUNTED = """
counted AS (
    SELECT
        cover.application_id,
        count(*) FILTER (WHERE cover.starts_at < %(starts_at)s AND cover.ends_at >= %(starts_at)s) AS opening,
        count(*) FILTER (WHERE cover.starts_at >= %(starts_at)s AND cover.starts_at < %(ends_at)s
            AND cover.starts_at <= %(known_at)s) AS started,
        count(*) FILTER (WHERE cover.ends_at >= %(starts_at)s AND cover.ends_at < %(ends_at)s
            AND cover.ends_at <= %(known_at)s) AS ended,
        count(*) FILTER (WHERE cover.starts_at <= %(as_of)s AND cover.ends_at > %(as_of)s) AS closing
    FROM cover
    GROUP BY cover.application_id
),
open AS (
    SELECT DISTINCT application_id, person_id, entitlement_id
    FROM cover WHERE starts_at <= %(as_of)s AND ends_at > %(as_of)s
),
reached AS (SELECT application_id, count(*) AS accesses FROM open GROUP BY application_id)"""

#: The last complete reading before the end of the window, and what we hold to have been there when it ended.
_READ = """
read_last AS (
    SELECT DISTINCT ON (run.application_id) run.application_id, run.finished_at, run.received, run.holdings_received
    FROM provisioning_syncrun AS run
    WHERE run.is_complete AND run.finished_at <= %(as_of)s AND run.finished_at <= %(known_at)s
    ORDER BY run.application_id, run.finished_at DESC, run.id DESC
),
kept AS (
    SELECT read_last.application_id, count(account.id) AS accounts
    FROM read_last
    JOIN provisioning_account AS account ON account.application_id = read_last.application_id
        AND account.first_seen_at <= read_last.finished_at
        AND (account.gone_at IS NULL OR account.gone_at > read_last.finished_at)
    GROUP BY read_last.application_id
),
there AS (
    SELECT account.application_id, count(*) AS seen, count(*) FILTER (WHERE open.person_id IS NULL) AS unexplained
    FROM seen JOIN provisioning_account AS account ON account.id = seen.account_id
    LEFT JOIN open ON open.person_id = account.person_id AND open.entitlement_id = seen.entitlement_id
    WHERE seen.first_seen_at <= %(as_of)s AND (seen.gone_at IS NULL OR seen.gone_at > %(as_of)s)
    GROUP BY account.application_id
)"""

_DIFFERENCE = "rolled.opening + rolled.started - rolled.ended - rolled.closing"
_AT_SOURCE = "read_last.received - coalesce(kept.accounts, 0)"
_EXCEPTIONS = exceptions_sql(
    ("does_not_balance", f"{_DIFFERENCE} <> 0"),
    ("accounts_differ", f"{_AT_SOURCE} <> 0"),
    ("seen_without_grant", "coalesce(there.unexplained, 0) > 0"),
    ("not_read", "read_last.finished_at IS NULL"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION, parts.KNOWN, parts.COVER, parts.SEEN, _COUNTED, _READ, parts.support("application")
    )
}
SELECT
    'application:' || application.slug AS row_id, application.slug AS application,
    application.name AS application_name,
    application.id::text AS application_id,
    rolled.opening, rolled.started, rolled.ended, rolled.closing, {_DIFFERENCE} AS difference,
    coalesce(reached.accesses, 0) AS accesses, coalesce(there.seen, 0) AS seen,
    coalesce(there.unexplained, 0) AS unexplained,
    read_last.finished_at AS read_at, read_last.received AS accounts_at_source,
    CASE WHEN read_last.finished_at IS NOT NULL THEN coalesce(kept.accounts, 0) END AS accounts_kept,
    {_AT_SOURCE} AS accounts_difference,
    {_EXCEPTIONS} AS exceptions, application_support.first_entry, application_support.last_entry
FROM catalog_application AS application
LEFT JOIN counted ON counted.application_id = application.id
LEFT JOIN reached ON reached.application_id = application.id
CROSS JOIN LATERAL (
    SELECT coalesce(counted.opening, 0) AS opening, coalesce(counted.started, 0) AS started,
        coalesce(counted.ended, 0) AS ended, coalesce(counted.closing, 0) AS closing
) AS rolled
LEFT JOIN read_last ON read_last.application_id = application.id
LEFT JOIN kept ON kept.application_id = application.id
LEFT JOIN there ON there.application_id = application.id
LEFT JOIN application_support ON application_support.ref = application.id::text
WHERE application.created_at <= %(as_of)s
    AND (application.retired_at IS NULL OR application.retired_at >= %(starts_at)s
        OR counted.application_id IS NOT NULL)
"""

REPORT = Report(
    id="R02",
    title="Roll-forward",
    population=(
        "Every application in scope in the window. Grants by their last revision known at known_at; one that was "
        "cancelled before it began is in none of the numbers. Opening is what was open just before starts_at, closing "
        "what is open as of the end."
    ),
    exceptions=(
        ("does_not_balance", "Opening + started - ended is not closing."),
        ("accounts_differ", "The last complete reading returned another number of accounts than are kept from it."),
        ("seen_without_grant", "The application showed access that no grant explains."),
        ("not_read", "No complete reading by the end of the window: what is there is not known."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the application."),
        text("application", "Short name of the application; never changes."),
        text("application_name", "Name of the application when the report was read."),
        text("application_id", "Number of the application; its ledger entries have it as subject."),
        number("opening", "Grants open just before the start of the window."),
        number("started", "Grants that took effect in the window."),
        number("ended", "Grants that ceased in the window."),
        number("closing", "Grants open as of the end of the window."),
        number("difference", "Opening + started - ended - closing; zero in a sound report."),
        number("accesses", "Of closing: pairs of person and entitlement, each once however many grants give it."),
        number("seen", "Entitlements the application showed as of the end of the window."),
        number("unexplained", "Of these: without a grant that covers them."),
        instant("read_at", "End of the last complete reading by the end of the window; empty when there is none."),
        number("accounts_at_source", "Accounts that reading returned."),
        number("accounts_kept", "Accounts kept as present at the end of that reading."),
        number("accounts_difference", "The two subtracted."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "row_id"),
    subject=("application_id", "application"),
    person=None,
)
