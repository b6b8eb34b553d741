"""R07: who has powerful access as of an instant, and why. R08: what changed of it in the window.

Both hold the administrators of Gatehouse itself, whose roles are in the ledger.
"""

from __future__ import annotations

from governance.evidence.reports import access_changes, access_population, parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, text

#: Roles in Gatehouse that open more than one's own.
_ROLES = "('security_admin', 'auditor')"
_GIVEN = f"""{parts.PERSON_REVISION},{parts.PROFILE},
tool_role AS (
    SELECT
        subject.ref, entry.body::jsonb -> 'data' ->> 'role' AS role, entry.event, entry.at, entry.index,
        entry.actor_kind, entry.actor_ref
    FROM ledger_entry AS entry
    JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index AND subject.kind = 'person'
    WHERE entry.index < %(ledger_size)s AND entry.event IN ('role.assigned', 'role.removed')
        AND entry.body::jsonb -> 'data' ->> 'role' IN {_ROLES}
),
tool_holder AS (
    SELECT DISTINCT ON (ref, role) ref, role, event, at, index, actor_ref
    FROM tool_role WHERE at <= %(as_of)s ORDER BY ref, role, index DESC
)"""

_STANDING = "every.cause IS NOT NULL AND every.ends_at IS NULL"
_R07_EXCEPTIONS = exceptions_sql(
    ("standing_without_justification", f"{_STANDING} AND every.cause <> 'birthright' AND every.decided_at IS NULL"),
    ("not_granted", "every.source = 'seen, not granted'"),
    ("no_person", "every.person_ref IS NULL"),
    ("person_has_left", "every.person_status = 'left'"),
    ("no_owner", "owner.names IS NULL"),
)

_USED = """
used AS (
    SELECT account.application_id, account.user_name, max(account.last_used_at) AS last_used_at
    FROM provisioning_account AS account WHERE account.last_used_at <= %(known_at)s
    GROUP BY account.application_id, account.user_name
)"""

PRIVILEGED = Report(
    id="R07",
    title="Privileged access",
    population=(
        "The rows of R01 whose entitlement counts as privileged, as of the end of the window, and everybody who "
        "administers or audits Gatehouse itself. Who answers for an application is as it was when the report was read. "
        "How somebody signs in, and whether with a second factor, is known to the identity provider and not stated."
    ),
    exceptions=(
        ("standing_without_justification", "Without an end, not by a birthright rule, and nobody decided it."),
        ("not_granted", "Seen at the application without a grant."),
        ("no_person", "On an account without a person."),
        ("person_has_left", "The person has left."),
        ("no_owner", "Nobody answers for the application."),
    ),
    columns=(
        text("row_id", "Stable id of the row."),
        text("source", "granted; seen, not granted; role in Gatehouse."),
        text("person_ref", "The permanent reference of the person; empty for an account without one."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("department", "Department, as of the end of the window."),
        text("application", "Short name of the application; gatehouse for Gatehouse itself."),
        text("entitlement", "Short name of the entitlement within the application."),
        text("standing", "standing (no end) or temporary."),
        text("cause", "Why: birthright, request, break_glass, manual, imported; empty when it was only seen."),
        text("justification", "The request's number and its purpose, or the rule that gives it."),
        text("approvers", "Who decided, with permanent references, and as what."),
        instant("starts_at", "Since when."),
        instant("ends_at", "Until when; empty for no end."),
        instant("last_used_at", "When the account was last used, where the application tells and it was by known_at."),
        text("owner", "Who answers for the application, with permanent references."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=f"""{parts.with_parts(parts.OWNERS, _USED)}
SELECT
    every.row_id, every.source, every.person_ref, every.person_name, every.user_name, every.department,
    every.application, every.entitlement,
    CASE WHEN every.ends_at IS NULL THEN 'standing' ELSE 'temporary' END AS standing, every.cause,
    coalesce(every.request || ' ' || asked.purpose, 'rule ' || rule.slug || ' v' || version.number) AS justification,
    every.approvers, every.starts_at, every.ends_at, used.last_used_at, owner.names AS owner, every.grant_id,
    {_R07_EXCEPTIONS} AS exceptions, every.first_entry, every.last_entry
FROM ({access_population.BODY}) AS every
LEFT JOIN access_grant AS held ON held.id = every.grant_id::bigint
LEFT JOIN access_accessrequest AS asked ON asked.id = held.request_id
LEFT JOIN catalog_birthrightruleversion AS version ON version.id = held.rule_version_id
LEFT JOIN catalog_birthrightrule AS rule ON rule.id = version.rule_id
LEFT JOIN catalog_application AS there ON there.slug = every.application
LEFT JOIN owner ON owner.application_id = there.id
LEFT JOIN used ON used.application_id = there.id AND used.user_name = every.account
WHERE every.privileged
UNION ALL
(WITH {_GIVEN}
SELECT
    'role:' || tool_holder.ref || ':' || tool_holder.role, 'role in Gatehouse', tool_holder.ref,
    profile.display_name, profile.user_name, profile.department,
    'gatehouse', tool_holder.role, 'standing', 'manual', 'assigned by ' || tool_holder.actor_ref,
    NULL, tool_holder.at, NULL, NULL, NULL, NULL,
    CASE WHEN profile.status = 'left' THEN 'person_has_left' ELSE '' END, tool_holder.index, tool_holder.index
FROM tool_holder
LEFT JOIN identity_person AS person ON person.ref::text = tool_holder.ref
LEFT JOIN profile ON profile.person_id = person.id
WHERE tool_holder.event = 'role.assigned')
""",
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
    or_subject=("person_ref", "person"),
)

CHANGES = Report(
    id="R08",
    title="Privileged changes",
    population=(
        "The rows of R03 whose entitlement counts as privileged, and every role in Gatehouse that was given or taken "
        "in the window, from the ledger."
    ),
    exceptions=(
        *access_changes.REPORT.exceptions,
        ("given_to_oneself", "Somebody gave a role in Gatehouse to themselves."),
    ),
    columns=(
        text("row_id", "Stable id of the row."),
        text("change", "started, extended, shortened, ended; assigned and removed for roles in Gatehouse."),
        instant("effective_at", "When the change took effect."),
        instant("recorded_at", "When it was written down."),
        text("person_ref", "The permanent reference of the person whose access it is."),
        text("person_name", "Name shown, as of the end of the window."),
        text("application", "Short name of the application; gatehouse for Gatehouse itself."),
        text("entitlement", "Short name of the entitlement within the application."),
        text("cause", "Why the grant exists: birthright, request, break_glass, manual, imported."),
        instant("earlier_end", "The end before the change; empty for no end or a start."),
        instant("new_end", "The end by this change; empty for no end."),
        text("actor_kind", "person, service or system: who made the change."),
        text("actor_ref", "Permanent reference of a person, or name of a service or part of Gatehouse."),
        text("request", "Number of the request the grant or the extension rests on."),
        text("approvers", "Who decided, with permanent references, and as what."),
        text("grant_id", "Number of the grant; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=f"""SELECT
    every.row_id, every.change, every.effective_at, every.recorded_at, every.person_ref, every.person_name,
    every.application, every.entitlement, every.cause, every.earlier_end, every.new_end,
    every.actor_kind, every.actor_ref, every.request, every.approvers, every.grant_id,
    every.exceptions, every.first_entry, every.last_entry
FROM ({access_changes.BODY}) AS every
WHERE every.privileged
UNION ALL
(WITH {_GIVEN}
SELECT
    'role:' || tool_role.ref || ':' || lpad(tool_role.index::text, 12, '0'), split_part(tool_role.event, '.', 2),
    tool_role.at, tool_role.at, tool_role.ref, profile.display_name, 'gatehouse', tool_role.role, NULL, NULL, NULL,
    tool_role.actor_kind, tool_role.actor_ref, NULL, NULL, NULL,
    CASE WHEN tool_role.event = 'role.assigned' AND tool_role.actor_ref = tool_role.ref THEN 'given_to_oneself'
        ELSE '' END,
    tool_role.index, tool_role.index
FROM tool_role
LEFT JOIN identity_person AS person ON person.ref::text = tool_role.ref
LEFT JOIN profile ON profile.person_id = person.id
WHERE tool_role.at >= %(starts_at)s AND tool_role.at < %(ends_at)s)
""",
    order=("application", "entitlement", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
    or_subject=("person_ref", "person"),
)
