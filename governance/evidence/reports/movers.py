"""R06: everybody whose department, title or kind changed in the window, and what became of their access."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

#: Within so many days after a move, access of before is taken away, given by rule, or approved again.
SETTLED_AFTER_DAYS = 14

#: What was so from when on, whenever it was written down; of two words about one instant the later one counts.
_MOVED = parts.unguessed(
    "said.status = 'active' AND said.old_status = 'active'"
    " AND (said.department, said.title, said.person_type) IS DISTINCT FROM"
    " (said.old_department, said.old_title, said.old_type)"
    " AND said.effective_at >= %(starts_at)s AND said.effective_at < %(ends_at)s AND said.effective_at <= %(known_at)s"
)
_MOVE = f"""
in_effect AS (
    SELECT DISTINCT ON (revision.person_id, revision.effective_at) revision.*
    FROM person_revision AS revision
    ORDER BY revision.person_id, revision.effective_at, revision.number DESC
),
said AS (
    SELECT in_effect.*,
        lag(in_effect.department) OVER before AS old_department, lag(in_effect.title) OVER before AS old_title,
        lag(in_effect.person_type) OVER before AS old_type,
        lag(in_effect.status) OVER before AS old_status
    FROM in_effect
    WINDOW before AS (PARTITION BY in_effect.person_id ORDER BY in_effect.effective_at)
),
move AS (
    SELECT said.* FROM said
    WHERE {_MOVED}
)"""

#: Each grant that was open when they moved, and how it stands at the end of the time to settle, or of what is known.
_SETTLED_AT = f"least(move.effective_at + make_interval(days => {SETTLED_AFTER_DAYS}), %(known_at)s)"
_KEPT = f"""
by_rule AS (
    SELECT DISTINCT move.id, other.entitlement_id
    FROM move
    JOIN cover AS other ON other.person_id = move.person_id
    WHERE other.cause = 'birthright' AND other.ends_at > move.effective_at AND other.ends_at > {_SETTLED_AT}
        AND other.starts_at <= move.effective_at + make_interval(days => {SETTLED_AFTER_DAYS})
),
approved_again AS (
    SELECT DISTINCT move.id, request.entitlement_id
    FROM move
    JOIN access_accessrequest AS request ON request.person_id = move.person_id
    JOIN decided ON decided.request_id = request.id
    WHERE decided.said_yes > 0 AND decided.decided_at >= move.effective_at
        AND decided.decided_at <= move.effective_at + make_interval(days => {SETTLED_AFTER_DAYS})
),
kept AS (
    SELECT
        move.id, application.slug || '/' || entitlement.slug AS named, {_SETTLED_AT} AS settled_at, held.ends_at,
        by_rule.id IS NOT NULL AS by_rule, approved_again.id IS NOT NULL AS approved_again
    FROM move
    JOIN cover AS held ON held.person_id = move.person_id
    JOIN catalog_application AS application ON application.id = held.application_id
    JOIN catalog_entitlement AS entitlement ON entitlement.id = held.entitlement_id
    LEFT JOIN by_rule ON by_rule.id = move.id AND by_rule.entitlement_id = held.entitlement_id
    LEFT JOIN approved_again ON approved_again.id = move.id AND approved_again.entitlement_id = held.entitlement_id
    WHERE held.starts_at < move.effective_at AND held.ends_at >= move.effective_at
),
outcome AS (
    SELECT
        id, count(DISTINCT named) AS held,
        count(DISTINCT named) FILTER (WHERE ends_at <= settled_at) AS removed,
        count(DISTINCT named) FILTER (WHERE ends_at > settled_at AND by_rule) AS by_rule,
        count(DISTINCT named) FILTER (WHERE ends_at > settled_at AND NOT by_rule AND approved_again) AS approved_again,
        string_agg(DISTINCT named, ' ' ORDER BY named)
            FILTER (WHERE ends_at > settled_at AND NOT by_rule AND NOT approved_again) AS unsettled
    FROM kept
    GROUP BY id
)"""

_RUNNING = f"%(known_at)s < move.effective_at + make_interval(days => {SETTLED_AFTER_DAYS})"
_EXCEPTIONS = exceptions_sql(
    ("kept_without_reason", f"outcome.unsettled IS NOT NULL AND NOT ({_RUNNING})"),
    ("late_notice", "move.recorded_at > move.effective_at + interval '1 hour'"),
)

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.COVER,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.DECIDED,
        _MOVE,
        _KEPT,
        parts.support("person"),
    )
}
SELECT
    'person:' || move.ref || ':' || lpad(move.number::text, 6, '0') AS row_id,
    move.ref AS person_ref, move.display_name AS person_name, move.user_name,
    move.effective_at, move.recorded_at,
    move.old_department, move.department, move.old_title, move.title,
    move.old_type, move.person_type,
    coalesce(outcome.held, 0) AS held, coalesce(outcome.removed, 0) AS removed,
    coalesce(outcome.by_rule, 0) AS by_rule, coalesce(outcome.approved_again, 0) AS approved_again,
    outcome.unsettled, CASE WHEN {_RUNNING} THEN 'running' ELSE 'over' END AS settling,
    {_EXCEPTIONS} AS exceptions, person_support.first_entry, person_support.last_entry
FROM move
LEFT JOIN outcome ON outcome.id = move.id
LEFT JOIN person_support ON person_support.ref = move.ref
"""

REPORT = Report(
    id="R06",
    title="Movers",
    population=(
        "Every change of department, title or kind of a person at work that took effect in the window, as known at "
        "known_at: before and after are what was so around that moment, in whatever order it was written down. "
        f"Of each entitlement held then: whether it had ended {SETTLED_AFTER_DAYS} days later, was "
        "given by a birthright rule, or was approved again; what is none of these is unsettled."
    ),
    exceptions=(
        (
            "kept_without_reason",
            f"After {SETTLED_AFTER_DAYS} days access of before is still there, neither by rule nor approved again.",
        ),
        ("late_notice", "The move was written down more than an hour after it took effect."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the person and the number of the revision that says so."),
        text("person_ref", "The person's permanent reference."),
        text("person_name", "Name shown after the move."),
        text("user_name", "User name after the move."),
        instant("effective_at", "When the move took effect."),
        instant("recorded_at", "When it was written down."),
        text("old_department", "Department before."),
        text("department", "Department after."),
        text("old_title", "Title before."),
        text("title", "Title after."),
        text("old_type", "Kind of person before."),
        text("person_type", "Kind of person after."),
        number("held", "Entitlements held at that moment."),
        number("removed", "Of these: ended within the time to settle."),
        number("by_rule", "Of these: still there, and a birthright rule gives them."),
        number("approved_again", "Of these: still there, and approved after the move."),
        text("unsettled", "The others, as application/entitlement."),
        text("settling", f"running: the {SETTLED_AFTER_DAYS} days are not over at known_at; over."),
        *SUPPORT,
    ),
    body=BODY,
    order=("person_ref", "row_id"),
    subject=("person_ref", "person"),
    system=None,
)
