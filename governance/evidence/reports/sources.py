"""The sources of a bundle: which applications were read, when and how completely, and the roll-forward of grants."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import within

#: One row for each application in scope in the window, with the last complete reading by the knowledge cut.
SOURCES = f"""-- Sources and coverage
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
    AND {within("application.slug")}
ORDER BY application.slug COLLATE "C"
"""

#: What was open at the start, began, ceased and was open at the end, each counted for itself.
ROLL_FORWARD = f"""-- Roll-forward of grants: opening + started - ended = closing
{parts.with_parts(parts.GRANT_REVISION, parts.KNOWN)}
SELECT
    count(*) FILTER (WHERE known.starts_at < %(starts_at)s AND known.ends_at >= %(starts_at)s) AS opening,
    count(*) FILTER (
        WHERE known.starts_at >= %(starts_at)s AND known.starts_at < %(ends_at)s AND known.starts_at <= %(known_at)s
    ) AS started,
    count(*) FILTER (
        WHERE known.ends_at >= %(starts_at)s AND known.ends_at < %(ends_at)s AND known.ends_at <= %(known_at)s
    ) AS ended,
    count(*) FILTER (WHERE known.starts_at <= %(as_of)s AND known.ends_at > %(as_of)s) AS closing
FROM known
JOIN access_grant AS held ON held.id = known.grant_id
JOIN catalog_application AS application ON application.id = held.application_id
WHERE known.starts_at < known.ends_at AND {within("application.slug")}
"""
