"""R04: everybody whose joining, or coming back, took effect in the window, and the access each got at first."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

#: Access given within this long after the first day is listed as what the joiner got.
FIRST_ACCESS = "interval '30 days'"

_IS_JOINING = parts.unguessed(
    "revision.change IN ('joined', 'rejoined') AND revision.effective_at <= %(known_at)s"
    " AND revision.effective_at >= %(starts_at)s AND revision.effective_at < %(ends_at)s"
)
_JOINER = f"""
joiner AS (
    SELECT revision.*
    FROM (
        SELECT said.*,
            min(said.effective_at) FILTER (WHERE said.status = 'left') OVER (
                PARTITION BY said.person_id ORDER BY said.number ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS left_at
        FROM person_revision AS said
    ) AS revision
    WHERE {_IS_JOINING}
)"""

_GOT = f"""
got AS (
    SELECT
        joiner.id,
        min(known.starts_at) AS first_access_at,
        count(*) FILTER (WHERE held.cause = 'birthright') AS by_role,
        count(*) FILTER (WHERE held.cause <> 'birthright') AS extra,
        count(*) FILTER (WHERE held.cause <> 'birthright' AND coalesce(decided.said_yes, 0) = 0) AS unapproved,
        bool_or(known.starts_at < joiner.effective_at) AS before_start,
        string_agg(application.slug || '/' || entitlement.slug, ' '
            ORDER BY application.slug COLLATE "C", entitlement.slug COLLATE "C")
            FILTER (WHERE held.cause = 'birthright') AS birthright,
        string_agg(application.slug || '/' || entitlement.slug || ' (' || held.cause
            || coalesce(' R-' || request.number || ' ' || decided.approvers, '') || ')', ' '
            ORDER BY application.slug COLLATE "C", entitlement.slug COLLATE "C", held.id)
            FILTER (WHERE held.cause <> 'birthright') AS extra_access
    FROM joiner
    JOIN access_grant AS held ON held.person_id = joiner.person_id
    JOIN known ON known.grant_id = held.id
    JOIN catalog_application AS application ON application.id = held.application_id
    JOIN catalog_entitlement AS entitlement ON entitlement.id = held.entitlement_id
    LEFT JOIN access_accessrequest AS request ON request.id = held.request_id
    LEFT JOIN decided ON decided.request_id = held.request_id
    WHERE known.starts_at < known.ends_at AND known.starts_at <= %(known_at)s
        AND known.starts_at <= joiner.effective_at + {FIRST_ACCESS}
        AND known.ends_at > joiner.effective_at
        AND (joiner.left_at IS NULL OR known.starts_at < joiner.left_at)
    GROUP BY joiner.id
)"""

_EXCEPTIONS = exceptions_sql(
    ("access_before_start", "got.before_start"),
    ("extra_without_approval", "got.unapproved > 0"),
    ("late_notice", "joiner.recorded_at > joiner.effective_at + interval '1 hour'"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.DECIDED,
        _JOINER,
        _GOT,
        parts.support("person"),
    )
}
SELECT
    'person:' || joiner.ref || ':' || lpad(joiner.number::text, 6, '0') AS row_id,
    joiner.ref AS person_ref, joiner.display_name AS person_name, joiner.user_name, joiner.person_type,
    joiner.department, joiner.title, joiner.change, joiner.effective_at, joiner.recorded_at,
    joiner.actor_ref AS recorded_by, joiner.left_at,
    got.first_access_at, coalesce(got.by_role, 0) AS by_role, coalesce(got.extra, 0) AS extra,
    got.birthright, got.extra_access,
    {_EXCEPTIONS} AS exceptions, person_support.first_entry, person_support.last_entry
FROM joiner
LEFT JOIN got ON got.id = joiner.id
LEFT JOIN person_support ON person_support.ref = joiner.ref
"""

REPORT = Report(
    id="R04",
    title="Joiners",
    population=(
        "Every joining and coming back that took effect in the window, as known at known_at, with or without access. "
        "Access listed is what began by 30 days after the first day and was still open on it or later."
    ),
    exceptions=(
        ("access_before_start", "Access began before the first day and was open on it."),
        ("extra_without_approval", "Access beyond the role's, and no approval is on record."),
        ("late_notice", "The joining was written down more than an hour after it took effect."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the person and the number of the revision that says so."),
        text("person_ref", "The person's permanent reference."),
        text("person_name", "Name shown on the first day."),
        text("user_name", "User name on the first day."),
        text("person_type", "Employee, Contractor and so on, as the directory says."),
        text("department", "Department on the first day."),
        text("title", "Title on the first day."),
        text("change", "joined or rejoined."),
        instant("effective_at", "The first day."),
        instant("recorded_at", "When it was written down."),
        text("recorded_by", "Who wrote it down: a person's reference, a service or a part of Gatehouse."),
        instant("left_at", "When the person left afterwards, if so."),
        instant("first_access_at", "Start of the first access listed."),
        number("by_role", "Grants by a birthright rule."),
        number("extra", "Grants for any other reason."),
        text("birthright", "What came by rule, as application/entitlement."),
        text("extra_access", "What came otherwise, with its cause, request and approvers."),
        *SUPPORT,
    ),
    body=BODY,
    order=("person_ref", "row_id"),
    subject=("person_ref", "person"),
    system=None,
)
