"""The statements of the access matrix. Parameters are named; nothing from outside is ever put into the text.

Every statement is made of the same four populations: `people` (who was here at the instant), `access` (grants, waiting
requests and drift), `unowned` (accounts nobody present stands behind), and the narrowing conditions.
"""

from __future__ import annotations

_PEOPLE_NOW = """
    SELECT id, ref, display_name, title, department, email, user_name_key
    FROM identity_person WHERE status = 'active'"""

#: The latest revision that was in effect at the instant.
_SAID_THEN = """
        SELECT revision.* FROM identity_personrevision revision
        WHERE revision.person_id = person.id AND revision.effective_at <= %(at)s
        ORDER BY revision.number DESC LIMIT 1"""

#: The same of everybody: one walk along an index, where a lookup for each person takes four times as long.
_ALL_SAID_THEN = """
        SELECT DISTINCT ON (person_id) person_id, status, display_name, title, department, email, user_name
        FROM identity_personrevision WHERE effective_at <= %(at)s ORDER BY person_id DESC, number DESC"""

#: As of an instant: what that revision says.
_PEOPLE_THEN = f"""
    SELECT person.id, person.ref, then_.display_name, then_.title, then_.department, then_.email,
           lower(then_.user_name) AS user_name_key
    FROM identity_person person
    CROSS JOIN LATERAL ({_SAID_THEN}
    ) then_
    WHERE then_.status = 'active'"""  # noqa: S608 - made of the constant above

#: Who was not here at the instant, as `past` found them.
_ABSENT_THEN = "SELECT unnest(%(absent)s::bigint[])"

#: One row for each reason: what should be, what waits, and what was seen without a reason.
_ACCESS = """
    SELECT held.person_id, held.entitlement_id, held.application_id,
           CASE WHEN held.cause = 'birthright' THEN 'birthright' WHEN held.cause = 'break_glass' THEN 'breakglass'
                WHEN held.ends_at = '9999-12-31T00:00:00Z' THEN 'standing' ELSE 'temporary' END AS kind,
           held.starts_at, NULLIF(held.ends_at, '9999-12-31T00:00:00Z') AS ends_at,
           'grant' AS source, held.id AS source_id
    FROM access_grant held
    WHERE held.starts_at <= %(at)s AND held.ends_at > %(at)s
      AND (%(applications)s::bigint[] IS NULL OR held.application_id = ANY(%(applications)s::bigint[]))
    UNION ALL
    SELECT asked.person_id, asked.entitlement_id, wanted.application_id, 'pending', asked.created_at, NULL,
           'request', asked.id
    FROM access_accessrequest asked JOIN catalog_entitlement wanted ON wanted.id = asked.entitlement_id
    WHERE asked.created_at <= %(at)s AND (asked.closed_at IS NULL OR asked.closed_at > %(at)s)
      AND (%(applications)s::bigint[] IS NULL OR wanted.application_id = ANY(%(applications)s::bigint[]))
    UNION ALL
    SELECT account.person_id, seen.entitlement_id, account.application_id, 'drift', seen.first_seen_at, NULL,
           'holding', seen.id
    FROM provisioning_holding seen JOIN provisioning_account account ON account.id = seen.account_id
    WHERE account.person_id IS NOT NULL
      AND seen.first_seen_at <= %(at)s AND (seen.gone_at IS NULL OR seen.gone_at > %(at)s)
      AND (%(applications)s::bigint[] IS NULL OR account.application_id = ANY(%(applications)s::bigint[]))
      AND NOT EXISTS (
          SELECT FROM access_grant reason
          WHERE reason.person_id = account.person_id AND reason.entitlement_id = seen.entitlement_id
            AND reason.starts_at <= %(at)s AND reason.ends_at > %(at)s)"""

#: Active accounts without a present person, one row for each role seen on them; `key` ties the same name together.
_UNOWNED = """
    SELECT COALESCE(former.ref::text, lower(account.user_name)) AS key,
           COALESCE(former.display_name, account.user_name) AS name,
           CASE WHEN former.id IS NOT NULL THEN former.title WHEN account.kind = 'service' THEN 'Service account'
                WHEN account.kind = 'shared' THEN 'Shared account' ELSE 'No matching person' END AS title,
           former.ref::text AS ref, former.left_at, account.id AS account_id, account.application_id,
           COALESCE(role.name, 'Account') AS role, COALESCE(role.is_privileged, false) AS is_privileged,
           COALESCE(role.risk, 1) AS risk, account.first_seen_at
    FROM (
        SELECT * FROM provisioning_account WHERE person_id IS NULL
        UNION ALL
        SELECT owned.* FROM {_ABSENT} absent JOIN provisioning_account owned ON owned.person_id = absent.id
    ) account
    JOIN catalog_application application ON application.id = account.application_id
    LEFT JOIN identity_person former ON former.id = account.person_id
    LEFT JOIN provisioning_holding seen ON seen.account_id = account.id
         AND seen.first_seen_at <= %(at)s AND (seen.gone_at IS NULL OR seen.gone_at > %(at)s)
    LEFT JOIN catalog_entitlement role ON role.id = seen.entitlement_id
    WHERE account.is_active AND application.retired_at IS NULL
      AND account.first_seen_at <= %(at)s AND (account.gone_at IS NULL OR account.gone_at > %(at)s)
      AND (%(applications)s::bigint[] IS NULL OR account.application_id = ANY(%(applications)s::bigint[]))
      AND (%(data_class)s::text IS NULL
           OR %(data_class)s::text = ANY(COALESCE(role.data_classes, application.data_classes)))
      AND (%(text)s::text IS NULL OR account.user_name ILIKE %(text)s::text OR account.display_name ILIKE %(text)s::text
           OR former.display_name ILIKE %(text)s::text)"""

_IS_NAMED = """(%(text)s::text IS NULL OR people.display_name ILIKE %(text)s::text
    OR people.email ILIKE %(text)s::text OR people.user_name_key LIKE lower(%(text)s::text))"""
_IS_IN_DEPARTMENT = "(%(department)s::text IS NULL OR people.department = %(department)s::text)"
_REACHES_DATA = "(%(data_class)s::text IS NULL OR %(data_class)s::text = ANY(role.data_classes))"
_IS_OF_KIND = "(%(kinds)s::text[] IS NULL OR access.kind = ANY(%(kinds)s::text[]))"

COLUMNS = """
SELECT id, slug, name, icon, risk FROM catalog_application
WHERE retired_at IS NULL AND (%(applications)s::bigint[] IS NULL OR id = ANY(%(applications)s::bigint[]))
ORDER BY risk DESC, lower(name), id"""

#: The applications with a role that reaches a class of data.
REACHING = """
SELECT DISTINCT application_id FROM catalog_entitlement WHERE %(data_class)s::text = ANY(data_classes)"""

ACCESS = f"""
WITH access AS ({_ACCESS})
SELECT access.person_id, access.kind, access.application_id, role.name, role.is_privileged, role.risk,
       access.starts_at, access.ends_at, access.source, access.source_id
FROM access JOIN catalog_entitlement role ON role.id = access.entitlement_id
WHERE access.person_id = ANY(%(people)s::bigint[]) AND access.application_id = ANY(%(shown)s::bigint[])
  AND {_IS_OF_KIND} AND {_REACHES_DATA}"""  # noqa: S608 - made of the constants above


def counts(is_past: bool, *, about_people: bool, about_data: bool) -> str:
    """Return the statement that counts access by application and kind, whatever kinds are chosen.

    What is joined depends on what is asked: over everything the tables of access alone are read, which is what makes
    it quick. Only people who are here have grants; a leaver with drift counts among the orphans.
    """
    joined = "JOIN people ON people.id = access.person_id" if about_people else ""
    here = f"access.person_id NOT IN ({_ABSENT_THEN})" if is_past else "access.person_id IN (SELECT id FROM people)"
    present = "" if joined else f"AND {here}" if is_past else f"AND (access.kind <> 'drift' OR {here})"
    role = "JOIN catalog_entitlement role ON role.id = access.entitlement_id" if about_data else ""
    narrowed = [_IS_NAMED, _IS_IN_DEPARTMENT] if joined else []
    conditions = " AND ".join([*narrowed, *([_REACHES_DATA] if role else [])]) or "true"
    hint = "MATERIALIZED" if about_people else ""
    return f"""
WITH people AS ({_people(is_past)}), access AS {hint} ({_ACCESS}), unowned AS ({_unowned(is_past)})
SELECT access.application_id, access.kind, count(*) FROM access {joined} {role}
WHERE {conditions} {present}
GROUP BY 1, 2
UNION ALL
SELECT application_id, 'orphan', count(DISTINCT account_id)
FROM unowned WHERE %(department)s::text IS NULL GROUP BY 1"""  # noqa: S608


def departments(is_narrowed: bool) -> str:
    """Return the statement that counts the people of each department, whatever department is chosen."""
    return f"""
WITH people AS ({_PEOPLE_NOW}), access AS MATERIALIZED ({_ACCESS})
SELECT people.department, count(*) FROM people WHERE {_IS_NAMED} {_has_access(is_narrowed)}
GROUP BY people.department ORDER BY people.department = '', people.department"""  # noqa: S608


def people(*, is_narrowed: bool, has_edge: bool, backwards: bool, is_large: bool = False) -> str:
    """Return the statement that reads the people of now by department and name, from an edge on.

    `is_large` leaves it to the planner how access is found, which has to know how much there is.
    """
    access = "" if is_large else f", access AS MATERIALIZED ({_ACCESS})"
    return f"""
WITH people AS NOT MATERIALIZED ({_PEOPLE_NOW}){access},
edge AS (SELECT * FROM people WHERE ref::text = %(edge)s::text)
SELECT people.id, people.ref, people.display_name, people.title, people.department
{_page(is_narrowed=is_narrowed, has_edge=has_edge, backwards=backwards, is_large=is_large)}"""  # noqa: S608


def past(*, is_narrowed: bool, has_edge: bool, backwards: bool, is_large: bool = False) -> str:
    """Return the statement that reads all about people as of an instant, in one pass over what was said of each.

    Its rows: the keys of all who were not here, the number of people of each department, and a page of people.
    """
    page = _page(is_narrowed=is_narrowed, has_edge=has_edge, backwards=backwards, is_large=is_large)
    return f"""
WITH known AS MATERIALIZED (
    SELECT person.id, person.ref, then_.display_name, then_.title, then_.department, then_.email,
           lower(then_.user_name) AS user_name_key, coalesce(then_.status = 'active', false) AS is_here
    FROM identity_person person LEFT JOIN ({_ALL_SAID_THEN}) then_ ON then_.person_id = person.id
), people AS NOT MATERIALIZED (SELECT * FROM known WHERE is_here), access AS MATERIALIZED ({_ACCESS}),
edge AS (SELECT * FROM people WHERE ref::text = %(edge)s::text)
SELECT 'absent', NULL::bigint AS id, NULL::text AS ref, NULL::text AS name, NULL::text AS title,
       NULL::text AS department, NULL::bigint AS number,
       array_agg(id) FROM known WHERE NOT is_here
UNION ALL
SELECT 'department', NULL, NULL, NULL, NULL, people.department, count(*), NULL
FROM people WHERE {_IS_NAMED} {_has_access(is_narrowed and not is_large)} GROUP BY people.department
UNION ALL (
    SELECT 'person', id, ref::text, display_name, title, department, row_number() OVER (), NULL
    FROM (SELECT people.* {page}) found)
ORDER BY number"""  # noqa: S608


def _page(*, is_narrowed: bool, has_edge: bool, backwards: bool, is_large: bool) -> str:
    """Return from where on a page of people is read, and in which order. The index of now has the same order."""
    having = _has_access_in_large(is_narrowed) if is_large else _has_access(is_narrowed)
    compare = "<" if backwards else ">"
    beyond = f"AND ({_PLACE}) {compare} (SELECT {_PLACE} FROM edge people)" if has_edge else ""  # noqa: S608
    return f"""FROM people WHERE {_IS_NAMED} AND {_IS_IN_DEPARTMENT} {having} {beyond}
ORDER BY {_order(backwards)} LIMIT %(limit)s::bigint"""


_PLACE = "(people.department = ''), people.department, people.display_name, people.id"


def _order(backwards: bool) -> str:
    return ", ".join(f"{part} DESC" for part in _PLACE.split(", ")) if backwards else _PLACE


def orphans(is_past: bool) -> str:
    """Return the statement that reads accounts without a person: powerful ones first, then the oldest."""
    return f"""
WITH unowned AS ({_unowned(is_past)}),
named AS (
    SELECT key, bool_or(is_privileged) AS is_powerful, max(risk) AS most, min(first_seen_at) AS since,
           count(*) OVER () AS how_many
    FROM unowned GROUP BY key ORDER BY 2 DESC, 3 DESC, 4, 1 LIMIT %(limit)s::bigint
)
SELECT named.how_many, unowned.key, name, title, ref, left_at, account_id, application_id, role, is_privileged, risk,
       first_seen_at, NULL, 'account', account_id
FROM unowned JOIN named USING (key)
ORDER BY named.is_powerful DESC, named.most DESC, named.since, unowned.key, application_id, risk DESC, role"""  # noqa: S608


def escape_like(text: str) -> str:
    """Return the text so that LIKE takes it literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _people(is_past: bool) -> str:
    return _PEOPLE_THEN if is_past else _PEOPLE_NOW


def _unowned(is_past: bool) -> str:
    """Return the accounts nobody present stands behind. Few are away: their accounts are found by person."""
    away = "SELECT id FROM identity_person WHERE left_at IS NOT NULL"
    then = "SELECT unnest(%(absent)s::bigint[]) AS id"
    return _UNOWNED.replace("{_ABSENT}", f"({then if is_past else away})")


def _has_access_in_large(is_narrowed: bool) -> str:
    if not is_narrowed:
        return ""
    return f"""AND people.id IN (
    SELECT access.person_id FROM ({_ACCESS}) access
    WHERE {_IS_OF_KIND} AND (%(data_class)s::text IS NULL OR access.entitlement_id = ANY(ARRAY(
        SELECT id FROM catalog_entitlement WHERE %(data_class)s::text = ANY(data_classes)))))"""  # noqa: S608


def _has_access(is_narrowed: bool) -> str:
    if not is_narrowed:
        return ""
    return f"""AND people.id IN (
    SELECT access.person_id FROM access JOIN catalog_entitlement role ON role.id = access.entitlement_id
    WHERE {_IS_OF_KIND} AND {_REACHES_DATA})"""  # noqa: S608
