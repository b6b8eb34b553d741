"""Makes what stands behind the grants of a company, for `evidence.py`, set-based: requests with their approvals, orders
to take away with their read-back, extensions, and people who moved or left.

`access_world.py` makes the company. Without this, reports about who decided and what was read back would be measured
over nothing.
"""

from __future__ import annotations

from django.db import connection, transaction

from access_world import _run, _trusting, _uncaptured  # isort: skip

#: In percent: running grants that were extended, people who left, people who moved, privileged roles, and applications
#: nobody answers for.
EXTENDED, LEFT, MOVED, PRIVILEGED, UNOWNED = 10, 3, 5, 6, 5


def stand_behind() -> None:
    """Write what stands behind the grants that are there."""
    known = {"extended": EXTENDED, "left": LEFT, "moved": MOVED, "privileged": PRIVILEGED, "unowned": UNOWNED}
    with _uncaptured():
        for statement in _STATEMENTS:
            with transaction.atomic():
                _trusting()
                _run(statement, known)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


_POLICY = "(SELECT id FROM catalog_accesspolicyversion ORDER BY id LIMIT 1)"
_VERDICT = """'{"verdict": {"stages": ["manager"], "adds_security": false}}'"""
#: One request for each grant that came of one; its number is that of the grant.
_REQUESTS = f"""
INSERT INTO access_accessrequest (number, purpose, reason, ticket, verdict, state, stage, created_at, lapses_at,
    closed_at, closed_because, correlation_id, entitlement_id, person_id, policy_version_id, requester_id)
SELECT id, 'Build a report', 'For the close of the quarter.', '', {_VERDICT}, 'granted', 1,
    starts_at - interval '1 day', starts_at + interval '30 days', starts_at, '', repeat('b', 32), entitlement_id,
    person_id, {_POLICY}, person_id
FROM access_grant WHERE cause = 'request'
"""
_REQUESTED = """
UPDATE access_grant AS held SET request_id = request.id
FROM access_accessrequest AS request WHERE request.number = held.id AND held.cause = 'request'
"""
#: A request for longer of each so many running grants with an end, halfway between the last word on it and now.
_EXTENSIONS = f"""
INSERT INTO access_accessrequest (number, purpose, reason, ticket, verdict, state, stage, created_at, lapses_at,
    closed_at, closed_because, correlation_id, entitlement_id, person_id, policy_version_id, requester_id, extends_id)
SELECT (SELECT max(id) FROM access_grant) + held.id, 'Build a report', 'It takes longer.', '', {_VERDICT}, 'granted', 1,
    said.recorded_at + (now() - said.recorded_at) / 3, now() + interval '30 days', now(), '', repeat('b', 32),
    held.entitlement_id, held.person_id, {_POLICY}, held.person_id, held.id
FROM access_grant AS held
JOIN access_grantrevision AS said ON said.grant_id = held.id AND said.number = held.revision
WHERE held.ends_at > now() AND held.ends_at < '9999-12-31' AND abs(hashint8extended(held.id, 6) %% 100) < %(extended)s
"""
_REVISED = """
INSERT INTO access_grantrevision
    (grant_id, number, starts_at, ends_at, recorded_at, change, actor_kind, actor_ref, correlation_id)
SELECT held.id, 3, held.starts_at, held.ends_at, said.recorded_at + (now() - said.recorded_at) / 2, 'extended',
    'person', 'bench', repeat('b', 32)
FROM access_accessrequest AS request
JOIN access_grant AS held ON held.id = request.extends_id
JOIN access_grantrevision AS said ON said.grant_id = held.id AND said.number = held.revision
"""
_APPROVALS = """
INSERT INTO access_approval (stage, asked, approved, reason, facts, decided_at, approver_id, policy_version_id,
    request_id)
SELECT 0, 'manager', true, '', '{}', request.created_at + interval '1 hour', person.id, request.policy_version_id,
    request.id
FROM access_accessrequest AS request
JOIN (SELECT id, lead(id) OVER (ORDER BY id) AS next_id FROM identity_person) AS person
    ON person.next_id = request.person_id
"""
_TAKEN = """
INSERT INTO provisioning_operation (kind, state, origin, idempotency_key, correlation_id, ordered_at, attempts,
    next_attempt_at, claimed_by, delivered_at, verified_at, last_error, next_step, application_id, entitlement_id,
    person_id, closes_account)
SELECT 'take', 'verified', 'grant:' || id, 'grant:' || id || ':take:1', repeat('b', 32), ends_at, 1, ends_at, '',
    ends_at + interval '1 second', ends_at + abs(hashint8extended(id, 7) %% 1200) * interval '1 second', '', '',
    application_id, entitlement_id, person_id, false
FROM access_grant WHERE end_ordered_at IS NOT NULL
"""
_MOVES = """
INSERT INTO identity_personrevision (person_id, number, effective_at, recorded_at, status, user_name, display_name,
    email, title, department, person_type, change, actor_ref, correlation_id)
SELECT id, 2, now() - interval '100 days', now() - interval '100 days', status, user_name, display_name, email, title,
    'Department ' || abs(hashint8(id) %% 50), person_type, 'changed', 'bench', repeat('b', 32)
FROM identity_person WHERE abs(hashint8extended(id, 8) %% 100) < %(moved)s
"""
_LEAVINGS = """
INSERT INTO identity_personrevision (person_id, number, effective_at, recorded_at, status, user_name, display_name,
    email, title, department, person_type, change, actor_ref, correlation_id)
SELECT id, 3, now() - interval '50 days', now() - interval '50 days', 'left', user_name, display_name, email, title,
    department, person_type, 'left', 'bench', repeat('b', 32)
FROM identity_person WHERE abs(hashint8extended(id, 9) %% 100) < %(left)s
"""
#: Half of what was seen of those who left went within the day.
_GONE = """
UPDATE provisioning_holding AS seen SET gone_at = now() - interval '50 days' + (seen.id %% 86400) * interval '1 second'
FROM provisioning_account AS account
JOIN identity_personrevision AS said ON said.person_id = account.person_id AND said.change = 'left'
WHERE account.id = seen.account_id AND seen.id %% 2 = 0
"""
_PRIVILEGED = """
UPDATE catalog_entitlement SET is_privileged = true WHERE abs(hashint8extended(id, 10) %% 100) < %(privileged)s
"""
_OWNERS = """
INSERT INTO catalog_applicationowner (since, application_id, person_id)
SELECT now() - interval '500 days', id, (SELECT min(id) FROM identity_person)
FROM catalog_application WHERE abs(hashint8extended(id, 11) %% 100) >= %(unowned)s
"""
_STATEMENTS = (
    _REQUESTS, _REQUESTED, _EXTENSIONS, _REVISED, _APPROVALS, _TAKEN, _MOVES, _LEAVINGS, _GONE, _PRIVILEGED, _OWNERS,
)  # fmt: skip
