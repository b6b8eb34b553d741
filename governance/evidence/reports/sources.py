"""The sources of a bundle: which applications were read, when and how completely, and the roll-forward of grants."""

from __future__ import annotations

from governance.evidence.reports import parts

#: One row for each application in scope in the window, with the last complete reading by the knowledge cut.
SOURCES = """-- Sources and coverage
SELECT
    application.slug, application.name, coalesce(connector.kind, 'none') AS kind,
    latest.finished_at AS read_at, latest.pages, latest.announced, latest.received, latest.holdings_received,
    latest.digest, failed.runs AS failed_runs
FROM catalog_application AS application
LEFT JOIN provisioning_connector AS connector ON connector.application_id = application.id
LEFT JOIN LATERAL (
    SELECT run.* FROM provisioning_syncrun AS run
    WHERE run.application_id = application.id AND run.is_complete AND run.finished_at <= %(known_at)s
    ORDER BY run.finished_at DESC, run.id DESC LIMIT 1
) AS latest ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS runs FROM provisioning_syncrun AS run
    WHERE run.application_id = application.id AND NOT run.is_complete
        AND run.started_at >= %(starts_at)s AND run.started_at < %(ends_at)s AND run.finished_at <= %(known_at)s
) AS failed
WHERE application.created_at <= %(as_of)s
    AND (application.retired_at IS NULL OR application.retired_at >= %(starts_at)s)
ORDER BY application.slug COLLATE "C"
"""

#: What was open at the start, began, ceased and was open at the end, each counted for itself.
ROLL_FORWARD = f"""-- Roll-forward of grants: opening + started - ended = closing
{parts.with_parts(parts.GRANT_REVISION, parts.KNOWN)}
SELECT
    count(*) FILTER (WHERE starts_at < %(starts_at)s AND ends_at >= %(starts_at)s) AS opening,
    count(*) FILTER (
        WHERE starts_at >= %(starts_at)s AND starts_at < %(ends_at)s AND starts_at <= %(known_at)s
    ) AS started,
    count(*) FILTER (
        WHERE ends_at >= %(starts_at)s AND ends_at < %(ends_at)s AND ends_at <= %(known_at)s
    ) AS ended,
    count(*) FILTER (WHERE starts_at <= %(as_of)s AND ends_at > %(as_of)s) AS closing
FROM known
WHERE starts_at < ends_at
"""
