"""R10: who holds what a rule on the separation of duties keeps apart, and who decided where they should not have."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, text

_HELD = """
rule_then AS (
    SELECT DISTINCT ON (version.rule_id) version.*, rule.slug
    FROM catalog_sodruleversion AS version
    JOIN catalog_sodrule AS rule ON rule.id = version.rule_id
    WHERE version.effective_at <= %(as_of)s AND (rule.retired_at IS NULL OR rule.retired_at > %(as_of)s)
    ORDER BY version.rule_id, version.number DESC
),
kept_apart AS (
    SELECT DISTINCT member.entitlement_id
    FROM rule_then JOIN catalog_sodmember AS member ON member.version_id = rule_then.id
),
held AS (
    SELECT reached.person_id, reached.entitlement_id, min(reached.since) AS since,
        min(reached.grant_id) AS grant_id
    FROM (
        SELECT given.person_id, given.entitlement_id, known.starts_at AS since, given.id AS grant_id
        FROM access_grant AS given JOIN known ON known.grant_id = given.id
        WHERE known.starts_at <= %(as_of)s AND known.ends_at > %(as_of)s
            AND given.entitlement_id IN (SELECT entitlement_id FROM kept_apart)
        UNION ALL
        SELECT account.person_id, seen.entitlement_id, seen.first_seen_at, NULL
        FROM seen JOIN provisioning_account AS account ON account.id = seen.account_id
        WHERE account.person_id IS NOT NULL AND seen.first_seen_at <= %(as_of)s
            AND (seen.gone_at IS NULL OR seen.gone_at > %(as_of)s)
            AND seen.entitlement_id IN (SELECT entitlement_id FROM kept_apart)
    ) AS reached
    GROUP BY reached.person_id, reached.entitlement_id
),
touched AS (
    SELECT rule_then.rule_id, rule_then.id AS version_id, held.person_id, member.side, held.entitlement_id, held.since,
        held.grant_id, application.slug || '/' || role.slug AS named
    FROM rule_then
    JOIN catalog_sodmember AS member ON member.version_id = rule_then.id
    JOIN held ON held.entitlement_id = member.entitlement_id
    JOIN catalog_entitlement AS role ON role.id = held.entitlement_id
    JOIN catalog_application AS application ON application.id = role.application_id
),
broken AS (
    SELECT rule_id, version_id, person_id,
        string_agg(named, ' ' ORDER BY named COLLATE "C") FILTER (WHERE side = 'a') AS first_side,
        string_agg(named, ' ' ORDER BY named COLLATE "C") FILTER (WHERE side = 'b') AS second_side,
        count(*) FILTER (WHERE side = 'a') AS first_count, count(*) FILTER (WHERE side = 'b') AS second_count,
        greatest(min(since) FILTER (WHERE side = 'a'), min(since) FILTER (WHERE side = 'b')) AS since,
        min(grant_id) AS grant_id
    FROM touched
    GROUP BY rule_id, version_id, person_id
)"""

_CONFLICTS = """
SELECT
    'conflict:' || rule_then.slug || ':' || person.ref AS row_id, 'holds both' AS what, rule_then.slug AS rule,
    rule_then.effect, person.ref::text AS person_ref, profile.display_name AS person_name, NULL AS application,
    broken.first_side AS first_access, broken.second_side AS second_access, broken.since, NULL AS request,
    NULL AS approvers, exempt.id::text AS exception_id, granter.ref::text AS exception_by,
    exempt.starts_at AS exception_from,
    exempt.ends_at AS exception_until, broken.grant_id::text AS grant_id,
    CASE WHEN exempt.id IS NULL THEN 'conflict_without_exception'
        WHEN exempt.granted_by_id = exempt.person_id THEN 'exception_given_to_oneself' ELSE '' END AS exceptions,
    grant_support.first_entry, grant_support.last_entry
FROM broken
JOIN rule_then ON rule_then.rule_id = broken.rule_id
JOIN identity_person AS person ON person.id = broken.person_id
LEFT JOIN profile ON profile.person_id = broken.person_id
LEFT JOIN LATERAL (
    SELECT said.* FROM catalog_sodexception AS said
    WHERE said.rule_id = broken.rule_id AND said.person_id = broken.person_id AND said.starts_at <= %(as_of)s
        AND said.ends_at > %(as_of)s AND (said.ended_at IS NULL OR said.ended_at > %(as_of)s)
    ORDER BY said.ends_at DESC, said.id DESC LIMIT 1
) AS exempt ON true
LEFT JOIN identity_person AS granter ON granter.id = exempt.granted_by_id
LEFT JOIN grant_support ON grant_support.ref = broken.grant_id::text
WHERE CASE WHEN rule_then.at_most IS NULL THEN broken.first_count > 0 AND broken.second_count > 0
    ELSE broken.first_count > rule_then.at_most END"""

_COINCIDENCES = exceptions_sql(
    ("approver_is_beneficiary", "answer.approver_id = request.person_id"),
    ("approver_is_requester", "answer.approver_id = request.requester_id"),
    ("deputy_for_beneficiary", "answer.on_behalf_of_id = request.person_id"),
    ("approver_carried_it_out", "done.confirmed_by_id = answer.approver_id"),
    ("beneficiary_carried_it_out", "done.confirmed_by_id = request.person_id"),
)

_DECISIONS = f"""
SELECT
    'decision:' || answer.id, 'one person, two parts', NULL, NULL, person.ref::text, profile.display_name,
    application.slug, application.slug || '/' || role.slug, NULL, answer.decided_at, 'R-' || request.number,
    approver_profile.display_name || ' [' || approver.ref || ']', NULL, NULL, NULL, NULL, held.id::text,
    {_COINCIDENCES}, grant_support.first_entry, grant_support.last_entry
FROM access_approval AS answer
JOIN access_accessrequest AS request ON request.id = answer.request_id
JOIN catalog_entitlement AS role ON role.id = request.entitlement_id
JOIN catalog_application AS application ON application.id = role.application_id
JOIN identity_person AS person ON person.id = request.person_id
JOIN identity_person AS approver ON approver.id = answer.approver_id
LEFT JOIN profile ON profile.person_id = request.person_id
LEFT JOIN profile AS approver_profile ON approver_profile.person_id = answer.approver_id
LEFT JOIN access_grant AS held ON held.request_id = request.id
LEFT JOIN provisioning_operation AS done
    ON done.id = held.give_operation_id AND done.delivered_at <= %(known_at)s
LEFT JOIN grant_support ON grant_support.ref = held.id::text
WHERE answer.approved AND answer.decided_at >= %(starts_at)s AND answer.decided_at < %(ends_at)s
    AND answer.decided_at <= %(known_at)s
    AND (answer.approver_id IN (request.person_id, request.requester_id) OR answer.on_behalf_of_id = request.person_id
        OR done.confirmed_by_id IN (answer.approver_id, request.person_id))"""

BODY = f"""{
    parts.with_parts(
        parts.GRANT_REVISION,
        parts.KNOWN,
        parts.PERSON_REVISION,
        parts.PROFILE,
        parts.GRANT_SUPPORT,
        parts.SEEN,
        _HELD,
    )
}{_CONFLICTS}
UNION ALL{_DECISIONS}
"""

REPORT = Report(
    id="R10",
    title="Separation of duties",
    population=(
        "As of the end of the window: everybody who holds, by grant or as seen, what a rule in force then keeps apart, "
        "with the exception that allows it if there is one. In the window: every approval by the one who asked or has "
        "the access, and every access that its approver or holder carried out by hand. No row is the wanted result."
    ),
    exceptions=(
        ("conflict_without_exception", "Nothing allows it."),
        ("exception_given_to_oneself", "The one it is for gave the exception."),
        ("approver_is_beneficiary", "The one who has the access approved it."),
        ("approver_is_requester", "The one who asked approved it."),
        ("deputy_for_beneficiary", "It was approved in the place of the one who has the access."),
        ("approver_carried_it_out", "The one who approved it also carried it out."),
        ("beneficiary_carried_it_out", "The one who has the access carried it out."),
    ),
    columns=(
        text("row_id", "Stable id of the row: rule and person, or the decision."),
        text("what", "holds both; one person, two parts."),
        text("rule", "Short name of the rule."),
        text("effect", "block or warn: what the rule does when somebody asks."),
        text("person_ref", "The permanent reference of the person who has the access."),
        text("person_name", "Name shown, as of the end of the window."),
        text("application", "Short name of the application, of a decision."),
        text("first_access", "What is held on the first side, or was decided, as application/entitlement."),
        text("second_access", "What is held on the second side; empty for a rule with a limit."),
        instant("since", "Since when both are held, or when it was decided."),
        text("request", "Number of the request."),
        text("approvers", "Who approved it, with the permanent reference."),
        text("exception_id", "Number of the exception that allows it."),
        text("exception_by", "Permanent reference of the one who gave the exception."),
        instant("exception_from", "Its beginning."),
        instant("exception_until", "Its end."),
        text("grant_id", "Number of one of the grants; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=BODY,
    order=("what", "person_ref", "row_id"),
    subject=("grant_id", "grant"),
)
