"""The statements about who could reach what at an instant, as it was known at another. Values are parameters only.

`at` is the instant that is asked about, `known` the one whose knowledge counts. A grant is as its row says, unless a
belief that was held at `known` was given up later: that takes the place of the row. There is one at most.
"""

from __future__ import annotations

#: What each entitlement and its application said of themselves: the latest that was known and in effect. The first
#: revision stands for all that was before it.
ROLES = """
SELECT role.id, role.slug, said.name, said.sentence, said.risk, said.data_classes, said.is_privileged,
    application.id, application.slug, about.name, application.icon, about.risk, about.data_classes
FROM catalog_entitlement role
JOIN catalog_application application ON application.id = role.application_id
CROSS JOIN LATERAL (
    SELECT revision.* FROM catalog_entitlementrevision revision
    WHERE revision.entitlement_id = role.id AND revision.recorded_at <= %(known)s
        AND (revision.effective_at <= %(at)s OR revision.number = 1)
    ORDER BY revision.number DESC LIMIT 1
) said
CROSS JOIN LATERAL (
    SELECT revision.* FROM catalog_applicationrevision revision
    WHERE revision.application_id = application.id AND revision.recorded_at <= %(known)s
        AND (revision.effective_at <= %(at)s OR revision.number = 1)
    ORDER BY revision.number DESC LIMIT 1
) about
WHERE (%(applications)s::bigint[] IS NULL OR application.id = ANY(%(applications)s::bigint[]))
    AND (%(application)s::bigint IS NULL OR application.id = %(application)s::bigint)
    AND (%(entitlement)s::bigint IS NULL OR role.id = %(entitlement)s::bigint)
    AND (%(data_class)s::text IS NULL OR %(data_class)s::text = ANY(said.data_classes))
ORDER BY lower(about.name), application.id, said.risk DESC, lower(said.name), role.id
"""

#: All reasons that reach these roles: each grant once, by its row or by what was believed of it then.
_REASONS_OF_ROLES = """
believed AS MATERIALIZED (
    SELECT belief.grant_id, belief.person_id, belief.entitlement_id, belief.starts_at, belief.ends_at
    FROM access_formerbelief belief
    WHERE belief.entitlement_id = ANY(%(roles)s::bigint[]) AND belief.known_until > %(known)s
        AND belief.known_from <= %(known)s
), reasons AS (
    SELECT held.id AS grant_id, held.person_id, held.entitlement_id, held.starts_at, held.ends_at
    FROM access_grant held
    WHERE held.entitlement_id = ANY(%(roles)s::bigint[]) AND held.ends_at > %(at)s AND held.starts_at <= %(at)s
        AND held.created_at <= %(known)s
        AND NOT EXISTS (SELECT FROM believed WHERE believed.grant_id = held.id)
    UNION ALL
    SELECT grant_id, person_id, entitlement_id, starts_at, ends_at FROM believed
    WHERE starts_at <= %(at)s AND ends_at > %(at)s
)
"""
#: The same while nothing was given up since: what is known now.
_REASONS_OF_ROLES_NOW = """
reasons AS (
    SELECT held.id AS grant_id, held.person_id, held.entitlement_id, held.starts_at, held.ends_at
    FROM access_grant held
    WHERE held.entitlement_id = ANY(%(roles)s::bigint[]) AND held.ends_at > %(at)s AND held.starts_at <= %(at)s
        AND held.created_at <= %(known)s
)
"""
#: The same for one person after the other, by the indexes that begin with the person.
_REASONS_OF_ONE = """
    SELECT held.id AS grant_id, held.entitlement_id, held.starts_at, held.ends_at
    FROM access_grant held
    WHERE held.person_id = people.id AND held.entitlement_id = ANY(%(roles)s::bigint[])
        AND held.ends_at > %(at)s AND held.starts_at <= %(at)s AND held.created_at <= %(known)s
        AND NOT EXISTS (
            SELECT FROM access_formerbelief belief
            WHERE belief.grant_id = held.id AND belief.known_until > %(known)s AND belief.known_from <= %(known)s)
    UNION ALL
    SELECT belief.grant_id, belief.entitlement_id, belief.starts_at, belief.ends_at
    FROM access_formerbelief belief
    WHERE belief.person_id = people.id AND belief.entitlement_id = ANY(%(roles)s::bigint[])
        AND belief.known_until > %(known)s AND belief.known_from <= %(known)s
        AND belief.starts_at <= %(at)s AND belief.ends_at > %(at)s
"""


def _reasons(is_now: bool) -> str:
    return _REASONS_OF_ROLES_NOW if is_now else _REASONS_OF_ROLES


def totals(is_now: bool) -> str:
    """Return the statement that counts reasons and people by entitlement, and all people in a row without one."""
    return f"""
WITH {_reasons(is_now)}, pairs AS MATERIALIZED (
    SELECT entitlement_id, person_id, count(*) AS number FROM reasons GROUP BY entitlement_id, person_id
)
SELECT entitlement_id, sum(number)::bigint, count(*) FROM pairs GROUP BY entitlement_id
UNION ALL
SELECT NULL, 0, count(*) FROM (SELECT person_id FROM pairs GROUP BY person_id) AS everybody
"""  # noqa: S608 - made of the constants above


_PLACE = "people.display_name, people.id, reason.grant_id"
#: Where a page begins or ends: at this grant.
_EDGE = """
edge AS (
    SELECT people.display_name, people.id, held.id AS grant_id
    FROM access_grant held JOIN identity_person people ON people.id = held.person_id WHERE held.id = %(edge)s::bigint
)
"""
_FOUND = "SELECT people.id AS person_id, reason.grant_id, reason.entitlement_id, reason.starts_at, reason.ends_at"


def page_of_few(is_now: bool, *, has_edge: bool, backwards: bool) -> str:
    """Return the statement that reads a page by finding all reasons first: for up to some thousand people."""
    order, compare = ("DESC", "<") if backwards else ("ASC", ">")
    beyond = f"WHERE ({_PLACE}) {compare} (SELECT * FROM edge)" if has_edge else ""  # noqa: S608
    return f"""
WITH {_reasons(is_now)} {"," + _EDGE if has_edge else ""}
{_FOUND} FROM reasons AS reason JOIN identity_person people ON people.id = reason.person_id
{beyond} ORDER BY {_ordered(order)} LIMIT %(limit)s::bigint
"""


def page_of_many(*, has_edge: bool, backwards: bool) -> str:
    """Return the statement that reads a page by walking through people in order: when every few have a reason."""
    order, compare = ("DESC", "<") if backwards else ("ASC", ">")
    nearly = f"WHERE (people.display_name, people.id) {compare}= (SELECT display_name, id FROM edge)"  # noqa: S608
    beyond = f"WHERE ({_PLACE}) {compare} (SELECT * FROM edge)"  # noqa: S608
    return f"""
{"WITH" + _EDGE if has_edge else ""}
{_FOUND} FROM (
    SELECT people.id, people.display_name FROM identity_person people {nearly if has_edge else ""}
    ORDER BY people.display_name {order}, people.id {order}
) people CROSS JOIN LATERAL ({_REASONS_OF_ONE}) reason
{beyond if has_edge else ""} ORDER BY {_ordered(order)} LIMIT %(limit)s::bigint
"""  # noqa: S608


#: One person: their reasons, what ends first comes first.
ONE_PERSON = f"""
{_FOUND} FROM (SELECT %(person)s::bigint AS id) people CROSS JOIN LATERAL ({_REASONS_OF_ONE}) reason
ORDER BY reason.ends_at, reason.grant_id
"""

#: Everything there is to say of these grants: who had them under which name, and what they came from.
DETAILS = """
SELECT held.id, people.ref::text, coalesce(then_.display_name, people.display_name),
    coalesce(then_.department, people.department), coalesce(then_.title, people.title),
    coalesce(then_.status, 'active'), held.cause, held.application_id,
    asked.number, rule.name, version.number, revision.number, revision.recorded_at, revision.change
FROM access_grant held
JOIN identity_person people ON people.id = held.person_id
LEFT JOIN access_accessrequest asked ON asked.id = held.request_id
LEFT JOIN catalog_birthrightruleversion version ON version.id = held.rule_version_id
LEFT JOIN catalog_birthrightrule rule ON rule.id = version.rule_id
LEFT JOIN LATERAL (
    SELECT said.* FROM identity_personrevision said
    WHERE said.person_id = held.person_id AND said.recorded_at <= %(known)s
        AND (said.effective_at <= %(at)s OR said.number = 1)
    ORDER BY said.number DESC LIMIT 1
) then_ ON true
LEFT JOIN LATERAL (
    SELECT said.number, said.recorded_at, said.change FROM access_grantrevision said
    WHERE said.grant_id = held.id AND said.recorded_at <= %(known)s ORDER BY said.number DESC LIMIT 1
) revision ON true
WHERE held.id = ANY(%(grants)s::bigint[])
"""


def _ordered(order: str) -> str:
    return ", ".join(f"{column} {order}" for column in _PLACE.split(", "))
