"""The sub-queries that several reports share. Each is a common table expression, named as its key in lower case.

The knowledge cut has two edges. `%(known_at)s`: nothing recorded later is seen. `%(ledger_size)s`: what was recorded
before but sealed at or behind this index (its transaction was late) is not seen either, and no entry from there on
supports a row. So the same cut gives the same grants and people on any day.
"""

from __future__ import annotations


def unguessed(condition: str) -> str:
    """Return a condition on columns of a part such that PostgreSQL expects it to hold for every second row.

    A part has no statistics. Of a range in one it would expect a row in two hundred, of two such conditions a handful
    in millions, and then read another part again for each of that handful.
    """
    return f"CASE WHEN {condition} THEN true ELSE false END"


def late(kind: str) -> str:
    """Return the sub-query `late_<kind>`: acts about a kind of subject that were sealed behind the cut, or never."""
    return f"""
late_{kind} AS MATERIALIZED (
    SELECT subject.ref, entry.correlation_id
    FROM ledger_entry AS entry
    JOIN ledger_entrysubject AS subject ON subject.entry_id = entry.index AND subject.kind = '{kind}'
    WHERE entry.index >= %(ledger_size)s
        AND NOT EXISTS (
            SELECT FROM ledger_entry AS earlier
            JOIN ledger_entrysubject AS same ON same.entry_id = earlier.index
            WHERE earlier.correlation_id = entry.correlation_id AND earlier.index < %(ledger_size)s
                AND same.kind = subject.kind AND same.ref = subject.ref
        )
    UNION
    SELECT subject ->> 'ref', pending.body ->> 'correlation'
    FROM ledger_pending AS pending, jsonb_array_elements(pending.body -> 'subjects') AS subject
    WHERE subject ->> 'kind' = '{kind}'
        AND NOT EXISTS (
            SELECT FROM ledger_entry AS earlier
            JOIN ledger_entrysubject AS same ON same.entry_id = earlier.index
            WHERE earlier.correlation_id = pending.body ->> 'correlation' AND earlier.index < %(ledger_size)s
                AND same.kind = '{kind}' AND same.ref = subject ->> 'ref'
        )
)"""


#: Every revision of every grant that was known at the cut.
GRANT_REVISION = f"""{late("grant")},
grant_revision AS NOT MATERIALIZED (
    SELECT revision.grant_id, revision.number, revision.starts_at, revision.ends_at, revision.change,
        revision.recorded_at, revision.actor_kind, revision.actor_ref
    FROM access_grantrevision AS revision
    LEFT JOIN late_grant
        ON late_grant.ref = revision.grant_id::text AND late_grant.correlation_id = revision.correlation_id
    WHERE revision.recorded_at <= %(known_at)s AND late_grant.ref IS NULL
)"""

#: The interval of every grant as it was known: its last revision up to the cut.
KNOWN = """
known AS (
    SELECT DISTINCT ON (revision.grant_id)
        revision.grant_id, revision.number, revision.starts_at, revision.ends_at, revision.change,
        revision.recorded_at, revision.actor_kind, revision.actor_ref
    FROM grant_revision AS revision
    ORDER BY revision.grant_id, revision.number DESC
)"""

#: The same by who has what, to be joined and not looked up: a look at a part for each row reads all of it each time.
COVER = """
cover AS (
    SELECT held.id AS grant_id, held.person_id, held.entitlement_id, held.application_id, held.cause,
        held.request_id, held.rule_version_id, known.starts_at, known.ends_at
    FROM known JOIN access_grant AS held ON held.id = known.grant_id
    WHERE known.starts_at < known.ends_at
)"""

#: Every revision of every person that was known at the cut.
PERSON_REVISION = f"""{late("person")},
person_revision AS NOT MATERIALIZED (
    SELECT revision.*, person.ref::text AS ref
    FROM identity_personrevision AS revision
    JOIN identity_person AS person ON person.id = revision.person_id
    LEFT JOIN late_person
        ON late_person.ref = person.ref::text AND late_person.correlation_id = revision.correlation_id
    WHERE revision.recorded_at <= %(known_at)s AND late_person.ref IS NULL
)"""

#: Everybody's profile as of %(as_of)s, as it was known; the first known one for whoever was known only later.
PROFILE = """
profile AS (
    SELECT DISTINCT ON (revision.person_id)
        revision.person_id, coalesce(aside.user_name, revision.user_name) AS user_name,
        coalesce(aside.display_name, revision.display_name) AS display_name, revision.department,
        revision.person_type, revision.status
    FROM person_revision AS revision
    -- Names of people whose erasure waits are kept for exactly this.
    LEFT JOIN identity_asidename AS aside ON aside.person_id = revision.person_id AND aside.number = revision.number
    ORDER BY
        revision.person_id,
        revision.effective_at <= %(as_of)s DESC,
        CASE WHEN revision.effective_at <= %(as_of)s THEN revision.effective_at END DESC,
        CASE WHEN revision.effective_at <= %(as_of)s THEN revision.number ELSE -revision.number END DESC
)"""

#: Who decided each request, by the cut.
DECIDED = """
decided AS (
    SELECT
        approval.request_id,
        max(approval.decided_at) AS decided_at,
        count(*) FILTER (WHERE approval.approved) AS said_yes,
        count(*) FILTER (WHERE NOT approval.approved) AS said_no,
        array_agg(approval.stage::integer) FILTER (WHERE approval.approved) AS yes_stages,
        coalesce(bool_or(approval.approver_id IS NULL AND approval.approved), false) AS by_policy,
        array_agg(approval.approver_id) FILTER (WHERE approval.approver_id IS NOT NULL) AS approver_ids,
        string_agg(
            coalesce(approver_profile.display_name || ' [' || approver.ref || ']', 'the policy')
                || CASE WHEN approval.asked = '' THEN '' ELSE ' as ' || approval.asked END
                || CASE WHEN approval.approved THEN '' ELSE ' (declined)' END,
            '; ' ORDER BY approval.stage, approval.decided_at, approval.id
        ) AS approvers
    FROM access_approval AS approval
    LEFT JOIN identity_person AS approver ON approver.id = approval.approver_id
    LEFT JOIN profile AS approver_profile ON approver_profile.person_id = approval.approver_id
    WHERE approval.decided_at <= %(known_at)s
    GROUP BY approval.request_id
)"""


def support(kind: str) -> str:
    """Return the sub-query `<kind>_support`: the first and last ledger entry about each subject of a kind."""
    return f"""
{kind}_support AS (
    SELECT subject.ref, min(subject.entry_id) AS first_entry, max(subject.entry_id) AS last_entry
    FROM ledger_entrysubject AS subject
    WHERE subject.kind = '{kind}' AND subject.entry_id < %(ledger_size)s
    GROUP BY subject.ref
)"""


#: The first and last ledger entry about each grant.
GRANT_SUPPORT = support("grant")

#: What was seen on accounts, as known at the cut: a disappearance noticed later had not happened yet.
SEEN = """
seen AS NOT MATERIALIZED (
    SELECT
        holding.id, holding.account_id, holding.entitlement_id, holding.first_seen_at,
        CASE WHEN holding.gone_at <= %(known_at)s THEN holding.gone_at END AS gone_at
    FROM provisioning_holding AS holding
    WHERE holding.first_seen_at <= %(known_at)s
)"""

#: Each time access of somebody was taken away: when a look confirmed it, and when the order was carried out.
REMOVAL = """
removal AS (
    SELECT operation.person_id, operation.entitlement_id,
        CASE WHEN operation.verified_at <= %(known_at)s THEN operation.verified_at END AS confirmed_at,
        CASE WHEN operation.delivered_at <= %(known_at)s THEN operation.delivered_at END AS attested_at
    FROM provisioning_operation AS operation
    WHERE operation.kind = 'take'
    UNION ALL
    SELECT account.person_id, seen.entitlement_id, seen.gone_at, NULL
    FROM seen JOIN provisioning_account AS account ON account.id = seen.account_id
    WHERE seen.gone_at IS NOT NULL AND account.person_id IS NOT NULL
)"""

#: Who answers for each application, by what was known; those at work only.
OWNERS = """
owner AS (
    SELECT answers.application_id,
        string_agg(person.display_name || ' [' || person.ref || ']', '; ' ORDER BY person.ref) AS names
    FROM catalog_applicationowner AS answers
    JOIN identity_person AS person ON person.id = answers.person_id
    WHERE answers.since <= %(known_at)s AND person.status = 'active'
    GROUP BY answers.application_id
)"""


def with_parts(*parts: str) -> str:
    """Return the WITH clause over these sub-queries, in this order."""
    return "WITH" + ",".join(parts)


def entries(name: str, *events: str) -> str:
    """Return a sub-query of the sealed entries of these events, each with its subjects as text and its data."""
    wanted = ", ".join(f"'{event}'" for event in events)
    return f"""
{name} AS (
    SELECT entry.index, entry.event, entry.at, entry.actor_kind, entry.actor_ref, entry.door, entry.correlation_id,
        entry.body::jsonb -> 'data' AS data,
        (SELECT string_agg(subject.kind || ':' || subject.ref, ' ' ORDER BY subject.position)
        FROM ledger_entrysubject AS subject WHERE subject.entry_id = entry.index) AS subjects
    FROM ledger_entry AS entry
    WHERE entry.index < %(ledger_size)s AND entry.event IN ({wanted})
)"""
