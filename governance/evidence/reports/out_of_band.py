"""R19: what the database shows and no action explains: changes past the application, and rows that differ."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

_EXCEPTIONS = exceptions_sql(
    ("unexplained", "coalesce(explained.explanation, '') = ''"),
    ("open", "explained.closed_at IS NULL"),
    ("no_owner", "coalesce(found.owner_ref, '') = ''"),
)

BODY = f"""{parts.with_parts(parts.support("finding"))}
SELECT
    'finding:' || found.id AS row_id, found.kind, found."table" AS table_name, found."row" AS row_key, found.rows,
    found.columns, found.operation, found.database_role, found.application AS client,
    found.first_seen_at, found.last_seen_at,
    found.owner_ref, explained.explanation, found.fixed_by, explained.closed_at, found.closed_by_ref,
    found.id::text AS finding_id,
    {_EXCEPTIONS} AS exceptions, finding_support.first_entry, finding_support.last_entry
FROM ledger_finding AS found
CROSS JOIN LATERAL (
    SELECT CASE WHEN found.closed_at <= %(known_at)s THEN found.closed_at END AS closed_at, found.explanation
) AS explained
LEFT JOIN finding_support ON finding_support.ref = found.id::text
WHERE found.first_seen_at <= %(known_at)s AND found.first_seen_at < %(ends_at)s
    AND (found.first_seen_at >= %(starts_at)s OR explained.closed_at IS NULL OR explained.closed_at >= %(starts_at)s)
"""

REPORT = Report(
    id="R19",
    title="Out-of-band changes",
    population=(
        "Findings first seen in the window, or earlier and still open in it: rows that were changed in a transaction "
        "in which no action of Gatehouse recorded anything, and rows that differ from what the ledger says of them. "
        "Owner and explanation are as they were when the report was read. No row is the wanted result."
    ),
    exceptions=(
        ("unexplained", "Nobody explained it."),
        ("open", "Not closed by known_at."),
        ("no_owner", "Nobody looks into it."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the finding."),
        text("kind", "What kind of finding it is."),
        text("table_name", "The table."),
        text("row_key", "The row's key, of a difference."),
        number("rows", "How many rows."),
        text("columns", "The columns that differ."),
        text("operation", "What was done: insert, update, delete."),
        text("database_role", "The role that was signed in to the database."),
        text("client", "What the client called itself."),
        instant("first_seen_at", "When it was found."),
        instant("last_seen_at", "When it was last seen."),
        text("owner_ref", "Permanent reference of the person who looks into it."),
        text("explanation", "The explanation."),
        text("fixed_by", "What put it right, or until when it is to be."),
        instant("closed_at", "When it was closed."),
        text("closed_by_ref", "Permanent reference of the one who closed it."),
        text("finding_id", "Number of the finding; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=BODY,
    order=("kind", "row_id"),
    subject=("finding_id", "finding"),
    person=None,
    system="table_name",
)
