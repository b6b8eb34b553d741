"""The three roles of the database: how they are made, and which of them a process of ours signs in as.

In production each service has its own DATABASE_URL (docs/operations.md). The embedded database has no passwords: there
the name in the address is the role, and only processes of this machine's user reach its socket.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from governance.ledger.rights import OWNER, ROLES, RUNTIME, SEQUENCER

#: Environment variable by which a process says which role it needs.
VARIABLE = "DATABASE_ROLE"

#: Management commands that make or change tables, or fill an empty database; and `evidence`, which also seals when
#: nobody else does.
_COMMANDS_OF_THE_OWNER = frozenset(
    {
        "createcachetable",
        "database_roles",
        "evidence",
        "flush",
        "load_demo",
        "migrate",
        "prepare",
        "sqlflush",
        "sqlmigrate",
    }
)

#: What follows is for a superuser, once for each database; again, it changes nothing. Tables that are there already
#: become the owner's. `%(login)s` is LOGIN where the address alone says who signs in, and NOLOGIN elsewhere.
_MAKE = """
DO $make$
DECLARE
    thing record;
BEGIN
    {roles}
    EXECUTE format('ALTER DATABASE %%I OWNER TO {owner}', current_database());
    EXECUTE format('REVOKE CREATE ON DATABASE %%I FROM PUBLIC, {runtime}, {sequencer}', current_database());
    ALTER SCHEMA public OWNER TO {owner};
    REVOKE CREATE ON SCHEMA public FROM PUBLIC, {runtime}, {sequencer};
    FOR thing IN SELECT class.oid::regclass AS name, class.relkind FROM pg_class AS class
        WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND class.relowner <> '{owner}'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype IN ('a', 'i', 'e'))
    LOOP
        EXECUTE format('ALTER TABLE %%s OWNER TO {owner}', thing.name);
    END LOOP;
    FOR thing IN SELECT proc.oid::regprocedure AS name FROM pg_proc AS proc
        WHERE proc.pronamespace = 'public'::regnamespace AND proc.proowner <> '{owner}'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = proc.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER ROUTINE %%s OWNER TO {owner}', thing.name);
    END LOOP;
END
$make$;
"""


def make_roles_sql(*, can_sign_in: bool) -> str:
    """Return the SQL, for a superuser, that makes the roles and hands the database over to the owner.

    With `can_sign_in` the roles sign in themselves, without a password; otherwise they are given to users who do.
    """
    login = "LOGIN" if can_sign_in else "NOLOGIN"
    roles = "\n    ".join(
        f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} {login}; END IF;"
        for role in ROLES
    )
    return _MAKE.format(roles=roles, owner=OWNER, runtime=RUNTIME, sequencer=SEQUENCER).replace("%%", "%")


def make_roles(connection: psycopg.Connection[tuple[object, ...]], *, can_sign_in: bool) -> None:
    """Make the roles in the database of `connection`, which is a superuser's."""
    connection.execute(sql.SQL(make_roles_sql(can_sign_in=can_sign_in)))


def role_of_command(argv: list[str]) -> str:
    """Return the role that the management command of `argv` signs in as."""
    command = argv[1] if len(argv) > 1 else ""
    if command in _COMMANDS_OF_THE_OWNER:
        return OWNER
    seals = command in {"ledger_sequencer", "ledger_recover"} or argv[1:3] == ["ledger_key", "compromised"]
    return SEQUENCER if seals else RUNTIME


def role_of_this_process() -> str | None:
    """Return the role that this process was told to use; None when nobody said: a test, a script.

    Celery's own program cannot be told before it reads the settings, and is known by its name.
    """
    return os.environ.get(VARIABLE) or (RUNTIME if Path(sys.argv[0]).name == "celery" else None)
