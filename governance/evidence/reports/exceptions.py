"""R24: every row of the bundle's other reports that has something to look at, with what was said about it by the cut.

It is in every bundle, and made last: `found_…` are the rows that the other reports of the same bundle show.
"""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text, yes_no

_FOUND = """
found AS (
    SELECT found.report, found.row_id, found.codes, NULLIF(found.application, '') AS application,
        NULLIF(found.person_ref, '') AS person_ref
    FROM unnest(
        %(found_reports)s::text[], %(found_rows)s::text[], %(found_codes)s::text[], %(found_applications)s::text[],
        %(found_people)s::text[]
    ) AS found (report, row_id, codes, application, person_ref)
)"""

#: What the ledger says of each exception below the pinned size: when it was opened, and its last turn. Entries of what
#: readings found name the reading; those of what people said name none. Codes are not there once a text was pruned.
_LIFE = """
life AS (
    SELECT
        subject.ref, min(entry.index) AS first_entry, max(entry.index) AS last_entry,
        (array_agg(entry.event ORDER BY entry.index DESC) FILTER (WHERE reading.id IS NOT NULL))[1]
            = 'exception.gone' AS is_gone,
        min(reading.known_at) AS first_seen_at,
        max(reading.known_at) FILTER (WHERE entry.event IN ('exception.opened', 'exception.reopened')) AS open_since,
        max(reading.known_at) FILTER (WHERE entry.event = 'exception.gone') AS gone_at,
        (array_agg(entry.body::jsonb -> 'data' ->> 'codes' ORDER BY entry.index DESC)
            FILTER (WHERE reading.id IS NOT NULL))[1] AS codes,
        bool_or(reading.known_at >= %(starts_at)s AND reading.known_at < %(ends_at)s) AS turned_in_window
    FROM ledger_entry AS entry
    JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index AND subject.kind = 'exception'
    LEFT JOIN ledger_entrysubject AS seen ON seen.entry_id = entry.index AND seen.kind = 'control_reading'
    LEFT JOIN exceptions_reading AS reading ON reading.ref::text = seen.ref
    WHERE entry.index < %(ledger_size)s
        AND entry.event IN (
            'exception.opened', 'exception.reopened', 'exception.changed', 'exception.gone', 'exception.answered',
            'exception.accepted'
        )
    GROUP BY subject.ref
)"""

#: What was said last by the cut about each exception.
_SAID = """
said AS (
    SELECT DISTINCT ON (statement.exception_id) statement.*
    FROM exceptions_statement AS statement
    JOIN exceptions_controlexception AS one ON one.id = statement.exception_id
    LEFT JOIN late_exception
        ON late_exception.ref = one.ref::text AND late_exception.correlation_id = statement.correlation_id
    WHERE statement.said_at <= %(known_at)s AND late_exception.ref IS NULL
    ORDER BY statement.exception_id, statement.number DESC
)"""

#: Who answered for each report by the cut.
_FOR_REPORT = """
for_report AS (
    SELECT newest.report, person.display_name || ' [' || person.ref || ']' AS name
    FROM (
        SELECT DISTINCT ON (said.report) said.report, said.owner_id
        FROM exceptions_reportowner AS said
        LEFT JOIN late_report ON late_report.ref = said.report AND late_report.correlation_id = said.correlation_id
        WHERE said.said_at <= %(known_at)s AND late_report.ref IS NULL
        ORDER BY said.report, said.id DESC
    ) AS newest
    JOIN identity_person AS person ON person.id = newest.owner_id AND person.status = 'active'
)"""

#: Exceptions that readings saw, by the cut: of the reports of this bundle.
_KEPT = """
kept AS (
    SELECT one.id, one.ref, one.report, one.row_id, application.slug AS application, one.application_id,
        person.ref::text AS person_ref, life.is_gone, life.first_seen_at, life.open_since,
        CASE WHEN life.is_gone THEN life.gone_at END AS gone_at, coalesce(life.codes, one.codes) AS codes,
        life.turned_in_window, life.first_entry, life.last_entry
    FROM exceptions_controlexception AS one
    JOIN life ON life.ref = one.ref::text
    LEFT JOIN catalog_application AS application ON application.id = one.application_id
    LEFT JOIN identity_person AS person ON person.id = one.person_id
    WHERE one.report = ANY(%(pack)s::text[])
),
item AS (
    SELECT coalesce(found.report, kept.report) AS report, coalesce(found.row_id, kept.row_id) AS row,
        coalesce(found.codes, kept.codes) AS what, found.report IS NOT NULL AS in_bundle,
        coalesce(found.application, kept.application) AS application,
        coalesce(found.person_ref, kept.person_ref) AS person_ref, kept.id, kept.ref, kept.is_gone,
        kept.first_seen_at, kept.open_since, kept.gone_at, kept.first_entry, kept.last_entry
    FROM found
    FULL JOIN kept ON kept.report = found.report AND kept.row_id = found.row_id
    WHERE found.report IS NOT NULL OR kept.turned_in_window
)"""

_TODAY = "(%(known_at)s::timestamptz AT TIME ZONE %(zone)s)::date"
_STATE = f"""CASE
        WHEN item.id IS NULL THEN 'not read yet'
        WHEN item.is_gone THEN 'fixed'
        WHEN said.accepted_until >= {_TODAY} THEN 'accepted'
        WHEN said.fix_by < {_TODAY} THEN 'overdue'
        WHEN said.explanation <> '' THEN 'explained'
        ELSE 'open'
    END"""
_STANDS = "item.id IS NOT NULL AND NOT item.is_gone"
_IS_ACCEPTED = f"coalesce(said.accepted_until >= {_TODAY}, false)"
_EXCEPTIONS = exceptions_sql(
    ("not_read", "item.id IS NULL"),
    ("unexplained", f"{_STANDS} AND coalesce(said.explanation, '') = ''"),
    ("overdue", f"{_STANDS} AND said.fix_by < {_TODAY} AND NOT {_IS_ACCEPTED}"),
    ("acceptance_over", f"{_STANDS} AND said.accepted_until < {_TODAY}"),
    ("nobody_answers", f"{_STANDS} AND said.owner_id IS NULL AND owner.names IS NULL AND for_report.name IS NULL"),
)

_PARTS = parts.with_parts(
    parts.late("exception"),
    parts.late("report"),
    parts.PERSON_REVISION,
    parts.PROFILE,
    parts.OWNERS,
    _FOUND,
    _LIFE,
    _SAID,
    _FOR_REPORT,
    _KEPT,
)

BODY = f"""{_PARTS}
SELECT
    item.report || ':' || item.row AS row_id, item.report, item.row, item.what, item.in_bundle, item.application,
    item.person_ref, about.display_name AS person_name, item.ref::text AS exception_ref, {_STATE} AS state,
    item.first_seen_at, item.open_since, item.gone_at,
    person.ref::text AS owner_ref, profile.display_name AS owner_name,
    CASE WHEN said.owner_id IS NULL THEN coalesce(owner.names, for_report.name) END AS owners_by_default,
    said.explanation, said.fix_by::text AS fix_by, said.accepted_until::text AS accepted_until,
    said.said_by_ref, said.said_at, said.number AS statements,
    {_EXCEPTIONS} AS exceptions, item.first_entry, item.last_entry
FROM item
LEFT JOIN said ON said.exception_id = item.id
LEFT JOIN identity_person AS person ON person.id = said.owner_id
LEFT JOIN profile ON profile.person_id = said.owner_id
LEFT JOIN identity_person AS subject ON subject.ref::text = item.person_ref
LEFT JOIN profile AS about ON about.person_id = subject.id
LEFT JOIN catalog_application AS application ON application.slug = item.application
LEFT JOIN owner ON owner.application_id = application.id
LEFT JOIN for_report ON for_report.report = item.report
"""

REPORT = Report(
    id="R24",
    title="Exceptions",
    population=(
        "Every row of the other reports of this bundle that has something to look at (its column exceptions is not "
        "empty), and every exception of these reports that a daily reading found, found no more or found again in the "
        "window. Of each: who answers for it, why it is there and until when it is fixed, as known at known_at. The "
        "parameters found_… hold the rows of the other reports, in the order of this bundle, and pack their ids."
    ),
    exceptions=(
        ("not_read", "No daily reading has found it by the cut: nobody was asked about it yet."),
        ("unexplained", "Nobody said why it is there."),
        ("overdue", "The day by which it was to be fixed is over, and it is still found."),
        ("acceptance_over", "The risk was accepted until a day that is over."),
        ("nobody_answers", "Nobody was named, and nobody at work owns application or report: it falls to security."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the report and the row it is about."),
        text("report", "The report whose row it is."),
        text("row", "The row_id there."),
        text("what", "What there is to look at: the codes of that row, which that report's dictionary explains."),
        yes_no(
            "in_bundle",
            "Whether the row is in this bundle. No: a reading of the window found it, and it has gone since, or a "
            "definition leaves the row out.",
        ),
        text("application", "Short name of the application, where the row is about one."),
        text("person_ref", "The permanent reference of whom the row is about."),
        text("person_name", "Name shown, as of the end of the window."),
        text("exception_ref", "Permanent reference of the exception; its ledger entries have it as subject."),
        text(
            "state",
            "open; explained; overdue; accepted (the risk, until a day); fixed (a reading that could see it no longer "
            "found it); not read yet.",
        ),
        instant("first_seen_at", "The cut of the first reading that found it."),
        instant("open_since", "The cut of the reading since which it was found without a break."),
        instant("gone_at", "The cut of the reading that no longer found it."),
        text("owner_ref", "Permanent reference of whoever was named to answer for it."),
        text("owner_name", "Their name, as of the end of the window."),
        text(
            "owners_by_default", "Who answers where nobody was named: the owners of the application, or of the report."
        ),
        text("explanation", "Why it is there, in the words of whoever answered."),
        text("fix_by", "The last day by which it is to be fixed."),
        text("accepted_until", "The last day on which its risk is accepted."),
        text("said_by_ref", "Permanent reference of whoever said this last."),
        instant("said_at", "When."),
        number("statements", "How often something was said about it by then."),
        *SUPPORT,
    ),
    body=BODY,
    order=("report", "row_id"),
    subject=("exception_ref", "exception"),
)
