"""The cast and the key of the ledger's tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from governance.core.actor import Actor, ActorKind, Door
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record, record_many
from governance.ledger.sequencer import seal_pending

ADA = "6a1f6a0e-0c55-4a3f-9c58-0d7b3f6f0a11"
GRACE = "9d0f2c77-52f4-4c3b-8b52-53a1f2f0b7c2"


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate("example.com/ledger")


@pytest.fixture
def grace() -> Actor:
    return Actor(ActorKind.PERSON, GRACE, Door.WEB)


@pytest.fixture
def note(grace: Actor) -> Callable[[int], None]:
    """Record the entry `thing.noted` number n, in a transaction of its own."""

    def one(number: int) -> None:
        with transaction.atomic():
            record("thing.noted", actor=grace, subjects=[Subject("person", ADA)], data={"number": number})

    return one


@pytest.fixture
def sealed(signer: Signer, grace: Actor) -> Callable[..., None]:
    """Record and seal entries in heads of the given widths; `log.started` comes first on an empty ledger."""

    def heads(*widths: int) -> None:
        number = 0
        for width in widths:
            with transaction.atomic():
                record_many(
                    Record("thing.noted", grace, [Subject("person", ADA)], {"number": one})
                    for one in range(number, number + width)
                )
            number += width
            seal_pending(signer=signer)

    return heads


@pytest.fixture
def tamper() -> Callable[..., None]:
    """Run SQL as somebody who owns the database and has switched the ledger's triggers off."""

    def run(*statements: str) -> None:
        tables = (
            "entry",
            "entrysubject",
            "node",
            "checkpoint",
            "logkey",
            "pending",
            "captured",
            "subjectkey",
            "disclosure",
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in tables:
                cursor.execute(f"ALTER TABLE ledger_{table} DISABLE TRIGGER ALL")
            for statement in statements:
                cursor.execute(statement)
            for table in tables:
                cursor.execute(f"ALTER TABLE ledger_{table} ENABLE TRIGGER ALL")
                for what in ("rows", "table"):
                    cursor.execute(
                        f"ALTER TABLE ledger_{table} ENABLE ALWAYS TRIGGER ledger_{table}_insert_only_{what}"
                    )

    return run
