"""R11: every break-glass access that was open at some moment of the window, and the review after the fact."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text, yes_no

_LATE = "coalesce(review.written_at, %(known_at)s) > used.review_due_at"
_EXCEPTIONS = exceptions_sql(
    ("no_review", "review.id IS NULL AND %(known_at)s > used.review_due_at"),
    ("late_review", f"review.id IS NOT NULL AND {_LATE}"),
    ("reviewed_by_user", "review.reviewer_id = used.person_id"),
    ("not_justified", "review.is_justified IS FALSE"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.GRANT_SUPPORT,
        parts.entries("told", "break_glass.opened"),
    )
}
SELECT
    'break_glass:' || used.id AS row_id, held.id::text AS grant_id,
    person.ref::text AS person_ref, profile.display_name AS person_name, profile.user_name,
    application.slug AS application, entitlement.slug AS entitlement, entitlement.is_privileged AS privileged,
    used.reason, used.opened_at, NULLIF(known.ends_at, %(open_end)s) AS ends_at,
    told.at AS recorded_at, used.review_due_at,
    reviewer.ref::text AS reviewer_ref, reviewer_profile.display_name AS reviewer_name,
    review.written_at AS reviewed_at,
    round(extract(epoch FROM review.written_at - used.opened_at)::numeric / 3600, 3) AS hours_to_review,
    CASE WHEN review.id IS NULL AND %(known_at)s > used.review_due_at THEN 'overdue'
        WHEN review.id IS NULL THEN 'waiting'
        WHEN review.is_justified THEN 'justified' ELSE 'not justified' END AS verdict,
    review.done, review.follow_up,
    {_EXCEPTIONS} AS exceptions, grant_support.first_entry, grant_support.last_entry
FROM access_breakglass AS used
JOIN access_grant AS held ON held.id = used.grant_id
JOIN known ON known.grant_id = held.id
JOIN identity_person AS person ON person.id = used.person_id
JOIN catalog_entitlement AS entitlement ON entitlement.id = used.entitlement_id
JOIN catalog_application AS application ON application.id = entitlement.application_id
LEFT JOIN profile ON profile.person_id = used.person_id
LEFT JOIN access_breakglassreview AS review ON review.break_glass_id = used.id AND review.written_at <= %(known_at)s
LEFT JOIN identity_person AS reviewer ON reviewer.id = review.reviewer_id
LEFT JOIN profile AS reviewer_profile ON reviewer_profile.person_id = review.reviewer_id
LEFT JOIN (SELECT correlation_id, min(at) AS at FROM told GROUP BY correlation_id) AS told
    ON told.correlation_id = used.correlation_id
LEFT JOIN grant_support ON grant_support.ref = held.id::text
WHERE used.opened_at <= %(known_at)s AND known.starts_at < %(ends_at)s AND known.ends_at > %(starts_at)s
"""

REPORT = Report(
    id="R11",
    title="Break-glass",
    population="Emergency access that was open at some moment of the window, as known at known_at.",
    exceptions=(
        ("no_review", "Nobody wrote the review, and its time is over."),
        ("late_review", "The review was written after its time."),
        ("reviewed_by_user", "The one who used it wrote the review."),
        ("not_justified", "The review says that it was not justified."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the use."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        text("person_ref", "The permanent reference of the person who used it."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("application", "Short name of the application; never changes."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        yes_no("privileged", "Whether the entitlement counts as privileged."),
        text("reason", "The reason given at once."),
        instant("opened_at", "When it was opened."),
        instant("ends_at", "Its end as known."),
        instant("recorded_at", "When the ledger has it; owner and security are told of that entry."),
        instant("review_due_at", "Until when the review was to be written."),
        text("reviewer_ref", "Permanent reference of the one who wrote the review."),
        text("reviewer_name", "Their name, as of the end of the window."),
        instant("reviewed_at", "When it was written."),
        number("hours_to_review", "Hours from opening to the review."),
        text("verdict", "justified; not justified; waiting; overdue."),
        text("done", "What was done, as the review says."),
        text("follow_up", "What follows from it."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
