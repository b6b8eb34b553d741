"""The writer of grants by rule: as a set, in three statements, without a row leaving the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.access import events
from governance.core.actor import Actor
from governance.core.clock import OPEN_END
from governance.core.statements import rows
from governance.ledger.recording import record_selected, subjects_sql
from governance.provisioning.actions import order_selected
from governance.provisioning.models import OperationKind


@dataclass(frozen=True, slots=True)
class Given:
    """What a version of a rule gives to a person from now on, without an end."""

    person_id: int
    entitlement_id: int
    application_id: int
    version_id: int


def give(given: Sequence[Given], *, at: datetime, actor: Actor) -> None:
    """Write grants with their first revisions, order what they give, record all, as `grants.start_many` does.

    Joins the caller's transaction, the people locked.
    """
    if not given:
        return
    known: dict[str, object] = {
        "ids": [key for (key,) in rows(_KEYS, [len(given)])],
        "people": [one.person_id for one in given],
        "roles": [one.entitlement_id for one in given],
        "applications": [one.application_id for one in given],
        "versions": [one.version_id for one in given],
        "at": at,
    }
    keys = known["ids"]
    assert isinstance(keys, list)
    ordered = order_selected(OperationKind.GIVE.value, _BEGINNING, known, at=at, actor=actor)
    known |= {
        "operations": [ordered[f"grant:{key}:give:1"] for key in keys],
        "open_end": OPEN_END,
        "correlation": actor.correlation_id,
        "actor_kind": actor.kind.value,
        "actor_ref": actor.ref,
        "starts_at": at.isoformat(),
    }
    record_selected(events.GRANT_STARTED, _STARTED, known, actor=actor, given=_WRITTEN)


_KEYS = "SELECT nextval(pg_get_serial_sequence('access_grant', 'id')) FROM generate_series(1, %s::int)"
_BEGINNING = """
SELECT 'grant:' || begun.id AS origin, 'grant:' || begun.id || ':give:1' AS key, begun.person_id,
    begun.entitlement_id, begun.application_id, false AS closes_account
FROM unnest(%(ids)s::bigint[], %(people)s::bigint[], %(roles)s::bigint[], %(applications)s::bigint[])
    AS begun (id, person_id, entitlement_id, application_id)
ORDER BY begun.id
"""
_WRITTEN = """
WITH begun AS (
    INSERT INTO access_grant (id, person_id, entitlement_id, application_id, cause, starts_at, ends_at,
        rule_version_id, end_cause, revision, created_at, correlation_id, start_ordered_at, give_operation_id)
    SELECT said.id, said.person_id, said.entitlement_id, said.application_id, 'birthright', %(at)s, %(open_end)s,
        said.version_id, '', 1, %(at)s, %(correlation)s, %(at)s, said.operation_id
    FROM unnest(%(ids)s::bigint[], %(people)s::bigint[], %(roles)s::bigint[], %(applications)s::bigint[],
        %(versions)s::bigint[], %(operations)s::bigint[])
        AS said (id, person_id, entitlement_id, application_id, version_id, operation_id)
    ORDER BY said.id
    RETURNING *
), revised AS (
    INSERT INTO access_grantrevision
        (grant_id, number, starts_at, ends_at, recorded_at, change, actor_kind, actor_ref, correlation_id)
    SELECT begun.id, 1, begun.starts_at, begun.ends_at, %(at)s, 'started', %(actor_kind)s, %(actor_ref)s,
        %(correlation)s
    FROM begun
)
"""
_SUBJECTS = subjects_sql(
    ("grant", "begun.id"),
    ("person", "person.ref"),
    ("application", "begun.application_id"),
    ("entitlement", "begun.entitlement_id"),
)
_STARTED = f"""
SELECT {_SUBJECTS} AS subjects,
    '{{"cause":"birthright","starts_at":"' || %(starts_at)s::text || '","ends_at":null,"request":null,"rule_version":'
        || begun.rule_version_id || '}}' AS data
FROM begun JOIN identity_person person ON person.id = begun.person_id
ORDER BY begun.id
"""  # noqa: S608 - parts of the code; values are parameters
