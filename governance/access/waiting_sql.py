"""Which requests wait for somebody, in SQL: `access.approvers.voters` for one reader over all that waits.

The statement reads requests that wait once. Whether the reader is asked comes from small sets that are hashed; whether
somebody else is left is only looked at where the reader is no more than a fallback.
"""

from __future__ import annotations

from django.db.models import Func

from governance.core.any_of import any_of
from governance.core.clock import now
from governance.core.statements import rows
from governance.identity.models import Person

#: The keys of requests, each with slug and name of its application.
Waiting = dict[int, tuple[str, str]]


def waiting(reader: Person, *, themselves: bool = False) -> Waiting:
    """Return the requests that wait for this person; `themselves`: not only in the place of another.

    One statement, prepared: PostgreSQL takes several times longer to plan it than to run it.
    """
    sql = f"{_WAITING} {_THEMSELVES}" if themselves else _WAITING
    return {key: (slug, name) for key, slug, name in rows(sql, (reader.pk, now()))}


def waits_for(reader: Person, *, themselves: bool = False) -> Func:
    """Return the condition that a request waits for this person. Asks which they are at once."""
    return any_of(waiting(reader, themselves=themselves))


def _is_of(level: str) -> str:
    """Return the SQL that tells whether a voter is among those a level asks."""
    return f"""(CASE {level} ->> 'kind'
        WHEN 'owner' THEN (voter.id, waits.entitlement_id) IN (SELECT person_id, entitlement_id FROM owned)
        WHEN 'manager' THEN (voter.id, waits.person_id) IN (SELECT manager_id, id FROM reports)
        WHEN 'managers_manager' THEN (voter.id, waits.person_id) IN (SELECT manager_id, id FROM reports_of_reports)
        WHEN 'security' THEN voter.is_admin
        WHEN 'group' THEN (voter.id, {level} ->> 'group') IN (SELECT person_id, ref FROM joined)
        WHEN 'people' THEN ({level} -> 'people') ? voter.ref
        ELSE false END)"""  # noqa: S608 - levels are constants below


#: Whose manager left has their manager's manager, as in `access.approvers`.
_ACTING = """JOIN identity_person boss ON boss.id = who.manager_id
            JOIN identity_person acting
                ON acting.id = CASE boss.status WHEN 'active' THEN boss.id ELSE boss.manager_id END
            CROSS JOIN identity_person other"""


def _nobody(level: str) -> str:
    """Return the SQL that tells whether a level asks nobody who is left; true where there is no such level."""
    left = "other.status = 'active' AND other.id <> ALL(waits.barred)"
    return f"""(CASE {level} ->> 'kind'
        WHEN 'owner' THEN NOT EXISTS (
            SELECT FROM owners WHERE owners.application_id = waits.application_id AND NOT owners.ids <@ waits.barred)
        WHEN 'manager' THEN NOT EXISTS (
            SELECT FROM identity_person who {_ACTING}
            WHERE who.id = waits.person_id AND other.id = acting.id AND {left})
        WHEN 'managers_manager' THEN NOT EXISTS (
            SELECT FROM identity_person who {_ACTING}
            WHERE who.id = waits.person_id AND other.id = acting.manager_id AND {left})
        WHEN 'security' THEN (SELECT ids FROM admins) <@ waits.barred
        WHEN 'group' THEN NOT EXISTS (
            SELECT FROM identity_group named JOIN identity_membership member ON member.group_id = named.id
            JOIN identity_person other ON other.id = member.person_id
            WHERE named.ref::text = {level} ->> 'group' AND named.is_listed AND {left})
        WHEN 'people' THEN NOT EXISTS (
            SELECT FROM identity_person other WHERE ({level} -> 'people') ? other.ref::text AND {left}
                AND other.ref::text = ANY(ARRAY(SELECT jsonb_array_elements_text({level} -> 'people'))))
        ELSE true END)"""  # noqa: S608 - levels are constants below


_FIRST, _FALLBACK = "waits.asked", "(waits.asked -> 'fallback')"
_SECURITY_IS_LEFT = f"{_nobody(_FIRST)} AND {_nobody(_FALLBACK)}"
#: As it is before a silence: the first level at which somebody is left.
_ASKED = f"""({_is_of(_FIRST)} OR ({_is_of(_FALLBACK)} AND {_nobody(_FIRST)}) OR (voter.is_admin AND
    {_SECURITY_IS_LEFT}))"""
#: After a silence the fallback is asked as well.
_ESCALATED = f"({_is_of(_FALLBACK)} OR (voter.is_admin AND {_nobody(_FALLBACK)}))"
#: Unless the stage says that it is asked instead, and somebody is left to be.
_STAYS = f"""(coalesce((waits.asked ->> 'stays')::boolean, true) OR ({_nobody(_FALLBACK)} AND
    (SELECT ids FROM admins) <@ waits.barred))"""  # noqa: S608 - made of constants

_WAITING = f"""
WITH RECURSIVE given (me, at) AS (SELECT %s::bigint, %s::timestamptz),
stands_in (id, path) AS (
    SELECT reader.id, ARRAY[reader.id] FROM identity_person reader
    WHERE reader.id = (SELECT me FROM given) AND reader.status = 'active'
    UNION ALL
    SELECT away.person_id, away.person_id || stands_in.path
    FROM given, stands_in
    JOIN access_absence away ON away.deputy_id = stands_in.id
    JOIN identity_person who ON who.id = away.person_id AND who.status = 'active'
    WHERE away.starts_at <= given.at AND away.ends_at > given.at AND away.person_id <> ALL(stands_in.path)
),
pending AS (
    SELECT request.id, request.requester_id, request.person_id, request.entitlement_id, request.stage,
        request.escalated_at IS NOT NULL AS is_escalated,
        CASE WHEN request.stage = 0 THEN version.stages -> 0
            -- As `catalog.stages.route_for`: what comes after what the policy says is security.
            WHEN (request.verdict #>> '{{verdict,first_only}}') = 'true' THEN '{{"kind": "security"}}'
            ELSE coalesce(version.stages -> request.stage::int, '{{"kind": "security"}}') END AS asked,
        role.application_id,
        ARRAY[request.requester_id, request.person_id] || request.answered_ids AS barred
    FROM access_accessrequest request
    JOIN catalog_accesspolicyversion version ON version.id = request.policy_version_id
    JOIN catalog_entitlement role ON role.id = request.entitlement_id
    WHERE request.state = 'pending'
),
waits AS (
    SELECT pending.* FROM pending, given WHERE given.me <> ALL(pending.barred)
),
handed AS (
    SELECT last.request_id, last.holder_of_id, last.to_id
    FROM (
        SELECT DISTINCT ON (turn.request_id, turn.holder_of_id) turn.request_id, turn.holder_of_id, turn.to_id
        FROM access_turn turn JOIN waits ON waits.id = turn.request_id AND waits.stage = turn.stage
        WHERE turn.kind = 'handed_over'
        ORDER BY turn.request_id, turn.holder_of_id, turn.id DESC
    ) last
    JOIN waits ON waits.id = last.request_id
    JOIN identity_person holder ON holder.id = last.to_id AND holder.status = 'active'
    WHERE last.to_id <> ALL(waits.barred) AND last.to_id <> last.holder_of_id
),
admins AS (
    SELECT coalesce(array_agg(person.id), '{{}}') AS ids
    FROM identity_roleassignment held JOIN identity_person person ON person.id = held.person_id
    WHERE held.role = 'security_admin' AND person.status = 'active'
),
asked AS (
    SELECT id FROM stands_in
    UNION
    SELECT holder_of_id FROM handed WHERE to_id IN (SELECT id FROM stands_in)
),
voter AS (
    SELECT person.id, person.ref::text AS ref, person.id = ANY((SELECT ids FROM admins)::bigint[]) AS is_admin
    FROM asked JOIN identity_person person ON person.id = asked.id
    WHERE person.status = 'active'
),
owners AS (
    SELECT owner.application_id, array_agg(owner.person_id) AS ids
    FROM catalog_applicationowner owner JOIN identity_person person ON person.id = owner.person_id
    WHERE person.status = 'active' GROUP BY owner.application_id
),
owned AS (
    SELECT owner.person_id, role.id AS entitlement_id
    FROM catalog_applicationowner owner JOIN catalog_entitlement role ON role.application_id = owner.application_id
    WHERE owner.person_id IN (SELECT id FROM voter)
),
reports AS (
    SELECT person.manager_id, person.id FROM identity_person person
    WHERE person.manager_id IN (SELECT id FROM voter)
    UNION ALL
    SELECT boss.manager_id, person.id
    FROM identity_person boss JOIN identity_person person ON person.manager_id = boss.id
    WHERE boss.status <> 'active' AND boss.manager_id IN (SELECT id FROM voter)
),
reports_of_reports AS (
    SELECT boss.manager_id, person.id
    FROM identity_person boss JOIN identity_person person ON person.manager_id = boss.id
    WHERE boss.status = 'active' AND boss.manager_id IN (SELECT id FROM voter)
    UNION ALL
    SELECT acting.manager_id, person.id
    FROM identity_person acting JOIN identity_person boss ON boss.manager_id = acting.id AND boss.status <> 'active'
    JOIN identity_person person ON person.manager_id = boss.id
    WHERE acting.manager_id IN (SELECT id FROM voter)
),
joined AS (
    SELECT member.person_id, named.ref::text AS ref
    FROM identity_membership member JOIN identity_group named ON named.id = member.group_id AND named.is_listed
    WHERE member.person_id IN (SELECT id FROM voter)
)
SELECT waits.id, application.slug, application.name
FROM waits JOIN catalog_application application ON application.id = waits.application_id CROSS JOIN voter
LEFT JOIN handed ON handed.request_id = waits.id AND handed.holder_of_id = voter.id
JOIN stands_in ON stands_in.id = coalesce(handed.to_id, voter.id)
    AND NOT stands_in.path && ARRAY[waits.requester_id, waits.person_id]
WHERE voter.id <> ALL(waits.barred)
    AND CASE WHEN waits.is_escalated THEN {_ESCALATED} OR ({_ASKED} AND {_STAYS}) ELSE {_ASKED} END
"""  # noqa: S608 - made of constants
_THEMSELVES = "AND voter.id = (SELECT me FROM given)"
