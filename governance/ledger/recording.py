"""How every action puts what it did into the ledger: in its own transaction, through the outbox, without waiting.

The tables are named in SQL here, because the models of this room build on this module.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from django.db import connection, transaction

from governance.core import clock
from governance.core.actor import Actor
from governance.core.statements import rows
from governance.ledger.canonical import NotCanonical, canonical, instant, plain
from governance.ledger.commitments import commitment

#: Bytes of one entry. An entry bundle of C2SP tlog-tiles could not carry 65,536.
MAX_BODY_BYTES = 60_000
#: The version of the body's shape; see docs/ledger-format.md. The sequencer adds the member `transaction`.
BODY_VERSION = 2
_BYTES_OF_TRANSACTION = len(',"transaction":"18446744073709551615"')

_EVENT = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_WORD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that an entry is about: a word for its kind, and a permanent reference without personal data."""

    kind: str
    ref: str


@dataclass(frozen=True, slots=True)
class Record:
    """One entry to record. The fields are those of `record`."""

    event: str
    actor: Actor
    subjects: Sequence[Subject]
    data: Mapping[str, object] = field(default_factory=dict)
    private: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    at: datetime | None = None


class _Secret(TypedDict):
    """A row of the vault."""

    digest: str
    subject_ref: str
    field: str
    salt: str
    value: str


def record(
    event: str,
    *,
    actor: Actor,
    subjects: Sequence[Subject],
    data: Mapping[str, object] | None = None,
    private: Mapping[str, tuple[str, str]] | None = None,
    at: datetime | None = None,
) -> None:
    """Record an entry in the current transaction; it is sealed about a second after the commit, or never was.

    `event` is a noun and a past tense, like `grant.started`. `data` is made of plain JSON values (instants, dates,
    UUIDs and decimals become text) and holds no personal data. `private` maps a field to the reference of the person
    it is about and the text; the entry holds only a salted commitment to it. `at` is now when not given.

    Raises TransactionManagementError outside of a transaction, and NotCanonical for what an entry cannot hold.
    """
    record_many([Record(event, actor, subjects, data or {}, private or {}, at)])


def record_many(records: Iterable[Record]) -> None:
    """Record many entries, in their order, with one INSERT. Promises and errors are those of `record`."""
    require_transaction()
    moment = clock.now()
    vault: list[_Secret] = []
    bodies = [body_text(row, moment, vault) for row in records]
    if vault:
        rows(_KEEP_IN_VAULT, [canonical(vault)])
    if len(bodies) == 1:
        rows("INSERT INTO ledger_pending (body) VALUES (%s::jsonb)", bodies)
    elif bodies:
        rows(_RECORD_MANY, [f"[{','.join(bodies)}]"])


def record_selected(
    event: str, selection: str, parameters: Mapping[str, object], *, actor: Actor, given: str = ""
) -> None:
    """Record an entry for each row of `selection`, in its order, with one INSERT; no row leaves the database.

    `selection` is SQL, a constant of the code, with two columns of JSON text: `subjects`, which `subjects_sql` spells,
    and `data`, an object of texts and whole numbers. Nothing personal. `given` is a WITH clause that it reads from,
    which may be the very change that is recorded.

    Raises TransactionManagementError outside of a transaction, and NotCanonical for an event that is none.
    """
    require_transaction()
    common = json.loads(body_text(Record(event, actor, ()), clock.now(), []))
    del common["subjects"], common["data"]
    rows(_RECORD_SELECTED.format(given=given, selection=selection), {**parameters, "common": canonical(common)[:-1]})


def subjects_sql(*subjects: tuple[str, str]) -> str:
    """Return the SQL of subjects as JSON text: for each its kind, and the SQL of a whole number or a UUID.

    Put together as text, which PostgreSQL parses once: in half the time of building it with the functions for JSON.
    """
    said = [f"""'{{"kind":"{kind}","ref":"' || {reference} || '"}}'""" for kind, reference in subjects]
    return " || ".join(("'['", " || ',' || ".join(said), "']'"))


_RECORD_SELECTED = """
{given} INSERT INTO ledger_pending (body)
SELECT (%(common)s::text || ',"subjects":' || said.subjects || ',"data":' || said.data || '}}')::jsonb
FROM ({selection}) AS said
"""
_RECORD_MANY = """
INSERT INTO ledger_pending (body) SELECT said.body
FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS said (body, place) ORDER BY said.place
"""
_KEEP_IN_VAULT = """
INSERT INTO ledger_disclosure (digest, subject_ref, field, salt, value) SELECT said.*
FROM jsonb_to_recordset(%s::jsonb) AS said (digest text, subject_ref text, field text, salt text, value text)
"""


def require_transaction() -> None:
    """Raise TransactionManagementError when no transaction is open: the entry could outlive what it is about."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A ledger entry is recorded inside the transaction it is about.")


def this_transaction() -> str:
    """Return the number of the open transaction as entries spell it."""
    ((number,),) = rows("SELECT pg_current_xact_id()::text")
    return str(number)


def body_text(row: Record, moment: datetime, vault: list[_Secret]) -> str:
    """Return the canonical body of the entry, and put what it commits to into `vault`."""
    if not _EVENT.fullmatch(row.event) or len(row.event) > 80:
        raise NotCanonical(f"{row.event!r} is not an event: a noun, a dot and a past tense, like grant.started.")
    secrets_of_row = [_commit(name, *said) for name, said in row.private.items()]
    text = canonical(
        plain(
            {
                "v": BODY_VERSION,
                "event": row.event,
                "at": instant(row.at or moment),
                "actor": {"kind": row.actor.kind.value, "ref": row.actor.ref, "door": row.actor.door.value},
                "correlation": row.actor.correlation_id,
                "subjects": [_subject(subject) for subject in dict.fromkeys(row.subjects)],
                "data": row.data,
                "private": {secret["field"]: secret["digest"] for secret in secrets_of_row},
            },
            row.event,
        )
    )
    if len(text.encode()) + _BYTES_OF_TRANSACTION > MAX_BODY_BYTES:
        raise NotCanonical(
            f"{row.event} has {len(text.encode())} bytes; an entry holds {MAX_BODY_BYTES}. Record a digest."
        )
    vault.extend(secrets_of_row)
    return text


def _subject(subject: Subject) -> dict[str, str]:
    if not _WORD.fullmatch(subject.kind) or len(subject.kind) > 40:
        raise NotCanonical(f"{subject.kind!r} is not a kind of subject.")
    if type(subject.ref) is not str or not 0 < len(subject.ref) <= 200:
        raise NotCanonical(f"The reference of a {subject.kind} is text of 1 to 200 characters, not {subject.ref!r}.")
    return {"kind": subject.kind, "ref": subject.ref}


def _commit(name: str, subject_ref: str, value: str) -> _Secret:
    if not isinstance(value, str):
        raise NotCanonical(f"private.{name} is a {type(value).__name__}; only text is committed to.")
    plain(value, f"private.{name}")
    salt = secrets.token_urlsafe(16)
    return _Secret(digest=commitment(salt, name, value), subject_ref=subject_ref, field=name, salt=salt, value=value)
