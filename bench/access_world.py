"""Makes a company of any size for `access.py`, set-based: people, applications with connectors, roles, grants.

Rows are written by SQL, without the actions that write them in earnest: a world of full size would take them hours.
What is measured is then done by the real actions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from psycopg import sql

from governance.catalog import actions as catalog
from governance.core.actor import Actor, Door
from governance.ledger.governing import governed_tables
from governance.ledger.triggers import put_in_place

ACTOR = Actor.system("bench", door=Door.COMMAND)
ROLES_PER_APPLICATION = 3
#: So many grants are written in one transaction.
CHUNK = 500_000


@dataclass(frozen=True, slots=True)
class World:
    """How large a company is. A fifth of the grants ended, a fifth ends ahead, each was changed once since it began."""

    people: int
    applications: int
    grants: int

    @property
    def roles(self) -> int:
        """Return how many entitlements there are."""
        return self.applications * ROLES_PER_APPLICATION


def build(world: World) -> None:
    """Write the company into an empty database."""
    first = catalog.add_application("Application 0", actor=ACTOR)
    catalog.add_entitlement(first, "Role 0", sentence="Use it.", target_ref="role-0", actor=ACTOR)
    with _uncaptured():
        with transaction.atomic():
            _trusting()
            _run(_APPLICATIONS, [world.applications])
            _run(_CONNECTORS)
            _run(_ROLES, [ROLES_PER_APPLICATION])
            _run(_PEOPLE, [world.people])
            _run(_PROFILES)
        _analyze()
        for start in range(0, world.grants, CHUNK):
            with transaction.atomic():
                _trusting()
                last = min(start + CHUNK, world.grants) - 1
                _run(_PAST_AND_PRESENT, {**_keys(world), "from": start, "to": last})
    _analyze()


def show(world: World) -> None:
    """Have every application show an account for everybody with a grant there, and what was granted on it."""
    with _uncaptured():
        for start in range(0, world.people, max(1, world.people // 10)):
            with transaction.atomic():
                _trusting()
                known = {"from": start, "to": start + max(1, world.people // 10)}
                _run(_ACCOUNTS, known)
                _run(_HOLDINGS, known)
    _analyze()


def add_due(world: World, count: int, *, first: datetime, per_second: float) -> list[int]:
    """Write running grants with an end, the first at `first`, so many in a second; return their primary keys."""
    with transaction.atomic():
        _trusting()
        begin = _one("SELECT count(*) FROM access_grant")
        known = {"from": begin, "to": begin + count - 1, "due": first.isoformat(), "step": 1 / per_second}
        found = _run(_GRANTS, {**_keys(world), **known})
    return [key for (key,) in found]


def give_to(person_id: int, applications: int) -> None:
    """Give a person one role in each of so many applications, without an end."""
    with transaction.atomic():
        _trusting()
        _run(_FOR_LEAVER, {"person": person_id, "applications": applications})


def settle() -> None:
    """Have the tables vacuumed and analysed, so that no round pays for another."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE access_grant")
        cursor.execute("VACUUM ANALYZE provisioning_operation")
        cursor.execute("CHECKPOINT")


def _keys(world: World) -> dict[str, int]:
    return {"people": world.people, "roles": world.roles}


def _trusting() -> None:
    """Have foreign keys of this transaction's rows unchecked: the statements above take them from the tables."""
    _run("SET LOCAL session_replication_role = replica")


@contextmanager
def _uncaptured() -> Iterator[None]:
    """Have the rows of a company not captured while it is made: the ledger would take far longer than the rows."""
    with connection.cursor() as cursor:
        for governed in governed_tables():
            table = sql.Identifier(governed.table)
            for name in ("ledger_capture_inserted", "ledger_capture_updated"):
                cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(table, sql.Identifier(name)))
    yield
    put_in_place()


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _one(sql: str) -> int:
    return int(_run(sql)[0][0])


def _run(sql: str, parameters: object = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


_APPLICATIONS = """
INSERT INTO catalog_application
    (slug, name, description, category, catalogue_id, icon, risk, data_classes, created_at)
SELECT 'application-' || number || '-x', 'Application ' || number, '', '', '', '', 1, '{}',
    now() - interval '500 days'
FROM generate_series(2, %s) AS number
"""
_CONNECTORS = """
INSERT INTO provisioning_connector
    (kind, base_url, secret_encrypted, options, timeout_seconds, failures_in_a_row, last_error, next_step, created_at,
    application_id)
SELECT 'scim2', 'http://localhost:9/scim/v2', '', '{}', 5, 0, '', '', now(), id FROM catalog_application
"""
_ROLES = """
INSERT INTO catalog_entitlement
    (slug, name, kind, target_ref, sentence, risk, data_classes, is_privileged, is_requestable, created_at,
    application_id, policy_id)
SELECT 'r' || number, 'Role ' || number, 'role', 'r' || number, 'Use it.', 1 + abs(hashint8(application.id) %% 4),
    CASE WHEN chance < 5 THEN '{phi}' WHEN chance < 25 THEN '{pii}' ELSE '{}' END::varchar[], false, true,
    now() - interval '500 days', application.id, (SELECT policy_id FROM catalog_entitlement LIMIT 1)
FROM catalog_application AS application, generate_series(1, %s) AS number,
    LATERAL (SELECT abs(hashint8extended(application.id, number) %% 100) AS chance) AS chosen
"""
_PEOPLE = """
INSERT INTO identity_person
    (password, ref, scim_id, user_name, user_name_key, external_id, display_name, given_name, family_name, email, title,
    department, person_type, employee_number, time_zone, manager_hint, status, is_listed, source, joined_at, document,
    document_key, version, created_at, modified_at)
SELECT '!', gen_random_uuid(), gen_random_uuid(), 'person' || number, 'person' || number, '', 'Person ' || number, '',
    '', 'person' || number || '@halden.example', 'Engineer', 'Department ' || number %% 50, 'Employee', '', '', '',
    'active', true, 'scim:bench', now(), '{}', '{}', 1, now(), now()
FROM generate_series(1, %s) AS number
"""
_PROFILES = """
INSERT INTO identity_personrevision
    (person_id, number, effective_at, recorded_at, status, user_name, display_name, email, title, department,
    person_type, change, actor_ref, correlation_id)
SELECT id, 1, now() - interval '500 days', now() - interval '500 days', status, user_name, display_name, email, title,
    department, person_type, 'joined', 'bench', repeat('b', 32)
FROM identity_person
"""
_NEW_GRANT = """
INSERT INTO access_grant
    (person_id, entitlement_id, application_id, cause, starts_at, ends_at, end_cause, revision, created_at,
    correlation_id, start_ordered_at)
"""
_GRANTS = f"""
WITH people AS (SELECT array_agg(id ORDER BY id) AS ids FROM identity_person),
roles AS (
    SELECT array_agg(id ORDER BY id) AS ids, array_agg(application_id ORDER BY id) AS of FROM catalog_entitlement
),
made AS (
    {_NEW_GRANT}
    SELECT people.ids[1 + chosen.person], roles.ids[1 + chosen.role], roles.of[1 + chosen.role],
        'manual', now() - interval '90 days',
        %(due)s::timestamptz + (number - %(from)s) * %(step)s * interval '1 second',
        '', 1, now() - interval '90 days', repeat('b', 32), now() - interval '90 days'
    FROM people, roles, generate_series(%(from)s::bigint, %(to)s::bigint) AS number, LATERAL (
        SELECT abs(hashint8extended(number, 1) %% %(people)s) AS person,
            abs(hashint8extended(number, 2) %% %(roles)s) AS role
    ) AS chosen
    RETURNING id, starts_at, ends_at
), revisions AS (
    INSERT INTO access_grantrevision
        (grant_id, number, starts_at, ends_at, recorded_at, change, actor_kind, actor_ref, correlation_id)
    SELECT id, 1, starts_at, ends_at, starts_at, 'started', 'system', 'bench', repeat('b', 32) FROM made
)
SELECT id FROM made ORDER BY id
"""
_PAST_AND_PRESENT = """
WITH people AS (SELECT array_agg(id ORDER BY id) AS ids FROM identity_person),
roles AS (
    SELECT array_agg(id ORDER BY id) AS ids, array_agg(application_id ORDER BY id) AS of FROM catalog_entitlement
), chosen AS (
    SELECT people.ids[1 + abs(hashint8extended(number, 1) %% %(people)s)] AS person,
        1 + abs(hashint8extended(number, 2) %% %(roles)s) AS role, abs(hashint8extended(number, 3) %% 100) AS kind,
        now() - (5 + abs(hashint8extended(number, 4) %% 395)) * interval '1 day' AS begins,
        abs(hashint8extended(number, 5) %% 100) / 100.0 AS share
    FROM people, generate_series(%(from)s::bigint, %(to)s::bigint) AS number
), made AS (
    INSERT INTO access_grant
        (person_id, entitlement_id, application_id, cause, starts_at, ends_at, end_cause, revision, created_at,
        correlation_id, start_ordered_at, end_ordered_at)
    SELECT chosen.person, roles.ids[chosen.role], roles.of[chosen.role],
        CASE WHEN kind < 50 THEN 'birthright' WHEN kind < 60 THEN 'manual' ELSE 'request' END, begins, ends,
        CASE WHEN ends < now() THEN 'revoked' ELSE '' END, 2, begins, repeat('b', 32), begins,
        CASE WHEN ends < now() THEN ends END
    FROM chosen, roles, LATERAL (
        SELECT CASE WHEN kind < 60 THEN '9999-12-31' WHEN kind < 80 THEN now() + (1 + 300 * share) * interval '1 day'
            ELSE begins + (now() - begins) * share * 0.99 END AS ends
    ) AS ending
    RETURNING id, starts_at, ends_at
)
INSERT INTO access_grantrevision
    (grant_id, number, starts_at, ends_at, recorded_at, change, actor_kind, actor_ref, correlation_id)
SELECT id, number, starts_at,
    CASE number WHEN 2 THEN ends_at ELSE CASE WHEN id %% 2 = 0 THEN '9999-12-31' ELSE starts_at + interval '30 days' END
    END, CASE number WHEN 1 THEN starts_at ELSE starts_at + (least(ends_at, now()) - starts_at) * 0.5 END,
    CASE number WHEN 1 THEN 'started' ELSE 'shortened' END, 'system', 'bench', repeat('b', 32)
FROM made, generate_series(1, 2) AS number
"""
_ACCOUNTS = """
INSERT INTO provisioning_account (application_id, target_id, user_name, display_name, email, kind, is_active,
    person_id, linked_by, first_seen_at, confirmed_at)
SELECT DISTINCT held.application_id, 'p' || held.person_id, 'p' || held.person_id, '', '', 'human', true,
    held.person_id, 'created', now() - interval '400 days', now()
FROM (SELECT id FROM identity_person ORDER BY id OFFSET %(from)s LIMIT %(to)s - %(from)s) people
JOIN access_grant held ON held.person_id = people.id AND held.ends_at > now()
"""
_HOLDINGS = """
INSERT INTO provisioning_holding (account_id, entitlement_id, first_seen_at, confirmed_at)
SELECT DISTINCT account.id, held.entitlement_id, now() - interval '400 days', now()
FROM (SELECT id FROM identity_person ORDER BY id OFFSET %(from)s LIMIT %(to)s - %(from)s) people
JOIN access_grant held ON held.person_id = people.id AND held.ends_at > now()
JOIN provisioning_account account ON account.person_id = held.person_id AND account.application_id = held.application_id
"""
_FOR_LEAVER = f"""
{_NEW_GRANT}
SELECT %(person)s, min(id), application_id, 'manual', now() - interval '90 days', '9999-12-31', '', 1, now(),
    repeat('b', 32), now() - interval '90 days'
FROM catalog_entitlement GROUP BY application_id ORDER BY application_id LIMIT %(applications)s
"""
