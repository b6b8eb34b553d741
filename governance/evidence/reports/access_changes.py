"""R03: every change of access in the window: grants started, extended, shortened and ended, and who decided them."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, text, yes_no

#: A grant is written down this long after it took effect: back-dated.
BACK_DATED_AFTER = "interval '1 hour'"

#: Every revision with the end before it, and what the last one says of the grant, all read in one order; and whether it
#: brought a start, an end or a move in the window.
_REVISED = """
revised AS (
    SELECT said.*,
        said.number = 1 AND said.known_start < said.known_end AND said.known_start <= %(known_at)s
            AND said.known_start >= %(starts_at)s AND said.known_start < %(ends_at)s AS brought_start,
        said.is_last AND said.known_start < said.known_end AND said.known_end <= %(known_at)s
            AND said.known_end >= %(starts_at)s AND said.known_end < %(ends_at)s AS brought_end,
        said.change IN ('extended', 'shortened')
            AND said.recorded_at >= %(starts_at)s AND said.recorded_at < %(ends_at)s AS brought_move
    FROM (
        SELECT
            revision.grant_id, revision.number, revision.change, revision.ends_at, revision.recorded_at,
            revision.actor_kind, revision.actor_ref,
            lag(revision.ends_at) OVER same_grant AS earlier_end,
            lag(revision.recorded_at) OVER same_grant AS earlier_recorded_at,
            lead(revision.number) OVER same_grant IS NULL AS is_last,
            last_value(revision.starts_at) OVER whole_grant AS known_start,
            last_value(revision.ends_at) OVER whole_grant AS known_end
        FROM grant_revision AS revision
        WINDOW same_grant AS (PARTITION BY revision.grant_id ORDER BY revision.number),
            whole_grant AS (same_grant ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ) AS said
),
asked AS (
    SELECT DISTINCT ON (revised.grant_id, revised.number) revised.grant_id, revised.number, request.id AS request_id
    FROM revised
    JOIN access_accessrequest AS request ON request.extends_id = revised.grant_id
    JOIN decided ON decided.request_id = request.id
    WHERE revised.change = 'extended'
        AND decided.decided_at > revised.earlier_recorded_at AND decided.decided_at <= revised.recorded_at
    ORDER BY revised.grant_id, revised.number, decided.decided_at DESC, request.id DESC
)"""

_STARTED = """
    SELECT
        'started' AS change, revised.grant_id, revised.known_start AS effective_at, revised.recorded_at,
        revised.actor_kind, revised.actor_ref, NULL::timestamptz AS earlier_end, revised.ends_at AS new_end,
        NULL::text AS end_cause, NULL::bigint AS asked_id, revised.number
    FROM revised WHERE revised.brought_start"""

_BY_TIME = "revised.change IN ('started', 'extended', 'shortened')"
_ENDED = f"""
    SELECT
        'ended', revised.grant_id, revised.ends_at, revised.recorded_at,
        CASE WHEN {_BY_TIME} THEN 'system' ELSE revised.actor_kind END,
        CASE WHEN {_BY_TIME} THEN 'expiry' ELSE revised.actor_ref END,
        revised.earlier_end, revised.ends_at,
        CASE WHEN {_BY_TIME} THEN 'expired' ELSE revised.change END,
        NULL, revised.number
    FROM revised WHERE revised.brought_end"""

#: An extension rests on the request for it that was decided since the revision before.
_MOVED = """
    SELECT
        revised.change, revised.grant_id, revised.recorded_at, revised.recorded_at,
        revised.actor_kind, revised.actor_ref, revised.earlier_end, revised.ends_at,
        NULL, asked.request_id, revised.number
    FROM revised
    LEFT JOIN asked ON asked.grant_id = revised.grant_id AND asked.number = revised.number
    WHERE revised.brought_move"""

#: Starts and ends rest on the request that the grant came of.
_RESTS_ON = "CASE WHEN moved.change IN ('started', 'ended') THEN held.request_id ELSE moved.asked_id END"
_GIVES = "moved.change IN ('started', 'extended')"
_DECIDED_ELSEWHERE = "moved.change = 'started' AND held.cause IN ('birthright', 'imported', 'break_glass')"
#: Some stage of the request itself (its verdict may have left some out, or added security as the last) has fewer who
#: said yes than its quorum.
_NEEDED = "jsonb_array_length(coalesce(request.verdict -> 'verdict' -> 'stages', version.stages))"
_TOO_FEW = f"""decided.said_yes > 0 AND NOT decided.by_policy AND EXISTS (
            SELECT FROM generate_series(0, {_NEEDED} - 1) AS stage (place)
            WHERE cardinality(array_positions(decided.yes_stages, stage.place)) < CASE
                WHEN stage.place = {_NEEDED} - 1 AND (request.verdict -> 'verdict' ->> 'adds_security')::boolean THEN 1
                ELSE coalesce((version.stages -> stage.place ->> 'quorum')::integer, 1)
            END
        )"""
_WRITTEN_LATE = f"moved.recorded_at > moved.effective_at + {BACK_DATED_AFTER}"
_EXCEPTIONS = exceptions_sql(
    ("no_approval", f"{_GIVES} AND coalesce(decided.said_yes, 0) = 0 AND NOT ({_DECIDED_ELSEWHERE})"),
    ("approved_by_beneficiary", f"{_GIVES} AND held.person_id = ANY (decided.approver_ids)"),
    ("approved_by_requester", f"{_GIVES} AND request.requester_id = ANY (decided.approver_ids)"),
    ("approved_after_start", f"{_GIVES} AND decided.decided_at > moved.effective_at"),
    ("declined_by_somebody", f"{_GIVES} AND decided.said_no > 0"),
    ("approvals_missing", f"{_GIVES} AND {_TOO_FEW}"),
    ("back_dated", f"moved.change = 'started' AND held.cause <> 'imported' AND {_WRITTEN_LATE}"),
    ("break_glass", "moved.change = 'started' AND held.cause = 'break_glass'"),
)

_PARTS = parts.with_parts(
    parts.GRANT_REVISION,
    parts.PERSON_REVISION,
    parts.PROFILE,
    parts.DECIDED,
    parts.GRANT_SUPPORT,
    _REVISED,
)

BODY = f"""{_PARTS}
SELECT
    'grant:' || moved.grant_id || ':' || moved.change || ':' || lpad(moved.number::text, 6, '0') AS row_id,
    moved.change, moved.effective_at, moved.recorded_at,
    person.ref::text AS person_ref, profile.display_name AS person_name, profile.user_name,
    application.slug AS application, application.name AS application_name,
    entitlement.slug AS entitlement, entitlement.name AS entitlement_name, entitlement.is_privileged AS privileged,
    held.cause, moved.grant_id::text AS grant_id,
    NULLIF(moved.earlier_end, %(open_end)s) AS earlier_end, NULLIF(moved.new_end, %(open_end)s) AS new_end,
    moved.end_cause, moved.actor_kind, moved.actor_ref,
    'R-' || request.number AS request, requester.ref::text AS requester_ref,
    requester_profile.display_name AS requester_name, request.created_at AS requested_at, request.purpose,
    decided.approvers, decided.decided_at,
    coalesce(policy.slug || ' v' || version.number, rule.slug || ' v' || rule_version.number) AS decided_under,
    {_EXCEPTIONS} AS exceptions, grant_support.first_entry, grant_support.last_entry
FROM ({_STARTED}
    UNION ALL{_ENDED}
    UNION ALL{_MOVED}
) AS moved
JOIN access_grant AS held ON held.id = moved.grant_id
JOIN identity_person AS person ON person.id = held.person_id
JOIN catalog_application AS application ON application.id = held.application_id
JOIN catalog_entitlement AS entitlement ON entitlement.id = held.entitlement_id
LEFT JOIN profile ON profile.person_id = held.person_id
LEFT JOIN access_accessrequest AS request ON request.id = {_RESTS_ON}
LEFT JOIN identity_person AS requester ON requester.id = request.requester_id
LEFT JOIN profile AS requester_profile ON requester_profile.person_id = request.requester_id
LEFT JOIN decided ON decided.request_id = request.id
LEFT JOIN catalog_accesspolicyversion AS version ON version.id = request.policy_version_id
LEFT JOIN catalog_accesspolicy AS policy ON policy.id = version.policy_id
LEFT JOIN catalog_birthrightruleversion AS rule_version ON rule_version.id = held.rule_version_id
LEFT JOIN catalog_birthrightrule AS rule ON rule.id = rule_version.rule_id
LEFT JOIN grant_support ON grant_support.ref = held.id::text
"""

REPORT = Report(
    id="R03",
    title="Access changes",
    population=(
        "Grants, by their last revision known at known_at, that took effect (started) or ceased (ended) in the window "
        "[starts_at, ends_at), and every extension or shortening recorded in it. A grant whose end was due in the "
        "window counts as ended at that instant, whenever the removal was done. A grant that was cancelled before it "
        "began neither started nor ended."
    ),
    exceptions=(
        ("no_approval", "Given by hand or on request, and no approval is on record."),
        ("approved_by_beneficiary", "The one who has the access approved it."),
        ("approved_by_requester", "The one who asked for it approved it."),
        ("approved_after_start", "The last approval came after the access began or was extended."),
        ("declined_by_somebody", "A stage declined, and it was given all the same."),
        ("approvals_missing", "A stage has fewer approvals than it asks for, and the policy did not decide."),
        ("back_dated", "Written down more than an hour after it took effect."),
        ("break_glass", "Emergency access: look for the review after the fact."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the grant, the change, and the number of the revision that brought it."),
        text("change", "started, extended, shortened or ended."),
        instant("effective_at", "When the change took effect. Extensions and shortenings take effect when recorded."),
        instant("recorded_at", "When it was written down. For an end by time: when that end was fixed."),
        text("person_ref", "The permanent reference of the person who has the access."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("application", "Short name of the application; never changes."),
        text("application_name", "Name of the application when the report was read."),
        text("entitlement", "Short name of the entitlement within the application; never changes."),
        text("entitlement_name", "Name of the entitlement when the report was read."),
        yes_no("privileged", "Whether the entitlement counts as privileged."),
        text("cause", "Why the grant exists: birthright, request, break_glass, manual, imported."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        instant("earlier_end", "The end before the change; empty for no end or a start."),
        instant("new_end", "The end by this change; empty for no end."),
        text("end_cause", "Why it ended: expired, returned, revoked, left, rule, retired."),
        text("actor_kind", "person, service or system: who made the change."),
        text("actor_ref", "Permanent reference of a person, or name of a service or part of Gatehouse."),
        text("request", "Number of the request the grant or the extension rests on."),
        text("requester_ref", "Permanent reference of the one who asked."),
        text("requester_name", "Name of the one who asked, as of the end of the window."),
        instant("requested_at", "When it was asked for."),
        text("purpose", "The purpose given."),
        text("approvers", "Who decided, with permanent references, and as what."),
        instant("decided_at", "When the last of them decided."),
        text("decided_under", "Access policy or birthright rule, with its version."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
