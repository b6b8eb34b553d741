"""R05: everybody whose leaving took effect in the window, and how long their access really lasted.

It starts from people, so that somebody whose access was never removed is in it, not missing from it. Removal means
that the application was asked again and no longer showed the access.
"""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

#: A spell is what lies between coming (back) and coming back: its left revisions are one leaving.
_IN_WINDOW = parts.unguessed(
    "leaving.effective_at >= %(starts_at)s AND leaving.effective_at < %(ends_at)s"
    " AND leaving.effective_at <= %(known_at)s"
)
_LEAVER = f"""
status_change AS (
    SELECT
        revision.*,
        count(*) FILTER (WHERE revision.status = 'active') OVER (
            PARTITION BY revision.person_id ORDER BY revision.number
        ) AS spell
    FROM person_revision AS revision
),
leaving AS (
    SELECT
        person_id, spell,
        min(effective_at) FILTER (WHERE change = 'left') AS effective_at,
        (array_agg(recorded_at ORDER BY number))[1] AS recorded_at,
        (array_agg(actor_ref ORDER BY number))[1] AS recorded_by,
        (array_agg(correlation_id ORDER BY number))[1] AS correlation_id
    FROM status_change
    WHERE status = 'left'
    GROUP BY person_id, spell
    HAVING bool_or(change = 'left')
),
leaver AS (
    SELECT leaving.*, back.effective_at AS rejoined_at
    FROM leaving
    LEFT JOIN (
        SELECT DISTINCT ON (person_id, spell) person_id, spell, effective_at
        FROM status_change ORDER BY person_id, spell, number
    ) AS back ON back.person_id = leaving.person_id AND back.spell = leaving.spell + 1
    WHERE {_IN_WINDOW}
)"""

#: What they could reach just before the effective moment or later, by grant or as seen, each thing once.
_HELD = """
had AS (
    SELECT
        leaver.person_id, leaver.spell, held.application_id, held.entitlement_id,
        known.ends_at, known.starts_at >= leaver.effective_at AS began_after, true AS granted
    FROM leaver
    JOIN access_grant AS held ON held.person_id = leaver.person_id
    JOIN known ON known.grant_id = held.id
    WHERE known.starts_at < known.ends_at AND known.ends_at >= leaver.effective_at
        AND known.starts_at <= %(known_at)s
        AND (leaver.rejoined_at IS NULL OR known.starts_at < leaver.rejoined_at)
    UNION ALL
    SELECT
        leaver.person_id, leaver.spell, account.application_id, seen.entitlement_id,
        leaver.effective_at, false, false
    FROM leaver
    JOIN provisioning_account AS account ON account.person_id = leaver.person_id
    JOIN seen ON seen.account_id = account.id
    WHERE seen.first_seen_at < leaver.effective_at
        AND (seen.gone_at IS NULL OR seen.gone_at >= leaver.effective_at)
),
held AS (
    SELECT
        person_id, spell, application_id, entitlement_id,
        max(ends_at) AS ends_at, bool_or(began_after) AS began_after, bool_or(granted) AS granted
    FROM had
    GROUP BY person_id, spell, application_id, entitlement_id
)"""

#: For each thing, the first read-back after its last grant had ended that showed it gone; or the word of a person
#: where an application is worked by hand and cannot be read.
_REMOVED = """
read_back AS (
    SELECT
        held.person_id, held.spell, held.application_id, held.entitlement_id,
        min(removal.confirmed_at) FILTER (WHERE removal.confirmed_at >= held.ends_at) AS confirmed_at,
        min(removal.attested_at) FILTER (WHERE removal.attested_at >= held.ends_at) AS attested_at
    FROM held
    JOIN removal ON removal.person_id = held.person_id AND removal.entitlement_id = held.entitlement_id
    GROUP BY held.person_id, held.spell, held.application_id, held.entitlement_id
),
removed AS (
    SELECT
        held.*, read_back.confirmed_at,
        CASE WHEN connector.kind IS NULL OR connector.kind = 'manual' THEN read_back.attested_at END AS attested_at,
        application.slug || '/' || entitlement.slug AS named
    FROM held
    LEFT JOIN read_back ON read_back.person_id = held.person_id AND read_back.spell = held.spell
        AND read_back.application_id = held.application_id AND read_back.entitlement_id = held.entitlement_id
    JOIN catalog_application AS application ON application.id = held.application_id
    JOIN catalog_entitlement AS entitlement ON entitlement.id = held.entitlement_id
    LEFT JOIN provisioning_connector AS connector ON connector.application_id = held.application_id
),
outcome AS (
    SELECT
        person_id, spell,
        count(*) AS accesses_held,
        count(DISTINCT application_id) AS systems_held,
        count(confirmed_at) AS confirmed,
        count(*) FILTER (WHERE confirmed_at IS NULL AND attested_at IS NOT NULL) AS attested,
        count(*) FILTER (WHERE confirmed_at IS NULL AND attested_at IS NULL) AS still_open,
        min(confirmed_at) AS first_confirmed_at,
        max(confirmed_at) AS last_confirmed_at,
        max(coalesce(confirmed_at, attested_at)) AS last_removed_at,
        bool_or(began_after) AS began_after,
        bool_or(NOT granted) AS not_granted,
        string_agg(named, ' ' ORDER BY named COLLATE "C")
            FILTER (WHERE confirmed_at IS NULL AND attested_at IS NULL) AS open_items
    FROM removed
    GROUP BY person_id, spell
)"""

_SUPPORT = """
leaver_support AS (
    SELECT leaver.person_id, leaver.spell, min(entry.index) AS first_entry, max(entry.index) AS last_entry
    FROM leaver
    JOIN identity_person AS person ON person.id = leaver.person_id
    JOIN ledger_entry AS entry ON entry.correlation_id = leaver.correlation_id AND entry.index < %(ledger_size)s
    JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index
        AND subject.kind = 'person' AND subject.ref = person.ref::text
    GROUP BY leaver.person_id, leaver.spell
)"""

_DUE = "leaver.effective_at + make_interval(hours => %(sla_hours)s)"
_OPEN = "coalesce(outcome.still_open, 0) > 0"
_VERDICT = f"""CASE
        WHEN outcome.accesses_held IS NULL THEN 'no access'
        WHEN {_OPEN} AND %(known_at)s > {_DUE} THEN 'overdue'
        WHEN {_OPEN} THEN 'running'
        WHEN outcome.last_removed_at > {_DUE} THEN 'late'
        WHEN outcome.attested > 0 THEN 'in time, partly by hand'
        ELSE 'in time'
    END"""
_EXCEPTIONS = exceptions_sql(
    ("still_open", _OPEN),
    ("over_sla", f"{_OPEN} AND %(known_at)s > {_DUE} OR outcome.last_removed_at > {_DUE}"),
    ("late_notice", "leaver.recorded_at > leaver.effective_at + interval '1 hour'"),
    ("access_after_leaving", "outcome.began_after"),
    ("seen_without_grant", "outcome.not_granted"),
)


def _hours(since: str) -> str:
    return (
        "CASE WHEN outcome.still_open = 0 THEN "
        f"round(extract(epoch FROM outcome.last_removed_at - {since})::numeric / 3600, 3) END"
    )


_PARTS = parts.with_parts(
    parts.GRANT_REVISION,
    parts.KNOWN,
    parts.PERSON_REVISION,
    parts.PROFILE,
    parts.SEEN,
    parts.REMOVAL,
    _LEAVER,
    _HELD,
    _REMOVED,
    _SUPPORT,
)

BODY = f"""{_PARTS}
SELECT
    'person:' || person.ref || ':' || lpad(leaver.spell::text, 4, '0') AS row_id,
    person.ref::text AS person_ref, profile.display_name AS person_name, profile.user_name,
    profile.person_type, profile.department,
    leaver.effective_at, leaver.recorded_at, leaver.recorded_by, leaver.rejoined_at,
    (SELECT count(*) FROM provisioning_account AS account
    WHERE account.person_id = leaver.person_id AND account.first_seen_at < leaver.effective_at
        AND (account.gone_at IS NULL OR account.gone_at >= leaver.effective_at)) AS accounts_held,
    coalesce(outcome.systems_held, 0) AS systems_held, coalesce(outcome.accesses_held, 0) AS accesses_held,
    coalesce(outcome.confirmed, 0) AS confirmed, coalesce(outcome.attested, 0) AS attested,
    coalesce(outcome.still_open, 0) AS still_open,
    outcome.first_confirmed_at, outcome.last_confirmed_at,
    {_hours("leaver.effective_at")} AS hours_effective_to_last,
    {_hours("leaver.recorded_at")} AS hours_recorded_to_last,
    %(sla_hours)s::integer AS sla_hours, {_VERDICT} AS verdict, outcome.open_items,
    {_EXCEPTIONS} AS exceptions, leaver_support.first_entry, leaver_support.last_entry
FROM leaver
JOIN identity_person AS person ON person.id = leaver.person_id
LEFT JOIN profile ON profile.person_id = leaver.person_id
LEFT JOIN outcome ON outcome.person_id = leaver.person_id AND outcome.spell = leaver.spell
LEFT JOIN leaver_support ON leaver_support.person_id = leaver.person_id AND leaver_support.spell = leaver.spell
"""

REPORT = Report(
    id="R05",
    title="Leavers",
    population=(
        "Every leaving that took effect in the window [starts_at, ends_at), as known at known_at, with or without "
        "access; somebody who left, came back and left again has a row for each. Access held is every entitlement that "
        "a grant covered, or that was seen on the person's accounts, just before the effective moment, and whatever "
        "was given after it. A removal counts as confirmed when the application was read again and showed it gone."
    ),
    exceptions=(
        ("still_open", "At least one access has neither a confirmed nor an attested removal."),
        ("over_sla", "The last removal came, or is still missing, later than sla_hours after the effective moment."),
        ("late_notice", "The leaving was written down more than an hour after it took effect."),
        ("access_after_leaving", "Access began at or after the effective moment."),
        ("seen_without_grant", "The person held access that no grant explains."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the person and which of their leavings it is."),
        text("person_ref", "The person's permanent reference."),
        text("person_name", "Name shown, as of the end of the window."),
        text("user_name", "User name, as of the end of the window."),
        text("person_type", "Employee, Contractor and so on, as the directory says."),
        text("department", "Department, as of the end of the window."),
        instant("effective_at", "When the leaving took effect. If it was corrected: the earliest instant stated."),
        instant("recorded_at", "When it was first written down."),
        text("recorded_by", "Who wrote it down: a person's reference, a service or a part of Gatehouse."),
        instant("rejoined_at", "When the person came back, if so."),
        number("accounts_held", "Accounts seen in applications just before the effective moment."),
        number("systems_held", "Applications in which access was held."),
        number("accesses_held", "Entitlements held, each counted once however many grants gave it."),
        number("confirmed", "Of these: removal confirmed by reading the application again."),
        number("attested", "Of these: removal stated by a person, in applications that cannot be read."),
        number("still_open", "Of these: neither."),
        instant("first_confirmed_at", "The first confirmed removal."),
        instant("last_confirmed_at", "The last confirmed removal."),
        number("hours_effective_to_last", "Hours from the effective moment to the last removal; empty while open."),
        number("hours_recorded_to_last", "Hours from the record to the last removal; empty while open."),
        number("sla_hours", "Hours allowed from the effective moment: the policy value of this bundle."),
        text("verdict", "no access; in time; in time, partly by hand; late; running (open, not yet due); overdue."),
        text("open_items", "What is still open, as application/entitlement."),
        *SUPPORT,
    ),
    body=BODY,
    order=("person_ref", "row_id"),
    subject=("person_ref", "person"),
    system=None,
)
