"""Pruning, a process of its own, is ended with SIGKILL at each of its steps, and started again.

Where it dies is no matter of luck: it waits for a lock on the table that it is about to touch, so that everything
before is done and not committed, or it kills itself after a call. What is there then is compared with what was to go.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import pytest
from django.db import connection, transaction

from governance.config.processes import wait_until
from governance.ledger import disposals
from governance.ledger.models import Captured, Disclosure, Entry, EntrySubject, Node
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.ledger.verification import Request, verify
from governance.privacy import pruning
from tests.forked import forked
from tests.privacy.old_ledger import CLOCK, old_ledger

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

#: What the function of the database touches, in its order.
TABLES = (
    "privacy_legalhold",
    "privacy_retentionrule",
    "privacy_erasure",
    "ledger_disclosure",
    "ledger_node",
    "ledger_entrysubject",
    "ledger_entry",
    "ledger_captured",
)
#: Transactions of so many entries, so that there are several.
AT_ONCE = 4


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.generate("example.com/ledger")


def prune() -> None:
    for _ in pruning.prune(actor=CLOCK, at_once=AT_ONCE):
        pass


def everything() -> dict[str, set[tuple[object, ...]]]:
    """What pruning could take, and what it could leave behind."""
    return {
        "texts": set(Entry.objects.values_list("index", "body")),
        "subjects": set(EntrySubject.objects.values_list("entry_id", "kind", "ref")),
        "vault": set(Disclosure.objects.values_list("digest", "value")),
        "hashes": {(index, bytes(leaf)) for index, leaf in Node.objects.filter(level=0).values_list("index", "hash")},
        "words": set(Captured.objects.filter(operation="pruned").values_list("id")),
    }


@contextmanager
def stopped_before(table: str) -> Iterator[None]:
    """Have whoever is about to write to the table wait, and whoever wants it to be still."""
    with transaction.atomic():
        connection.cursor().execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield


def waits_for(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [table],
        )
        return bool(cursor.fetchone()[0])


def dies_at(table: str) -> BaseProcess:
    """Return a pruning that was killed when it was about to touch the table."""
    with stopped_before(table):
        process = forked(prune)
        assert wait_until(lambda: waits_for(table), timeout_seconds=20), table
        process.kill()
        process.join()
    return process


def dies_after(commits: int, *, is_committed: bool) -> BaseProcess:
    """Return a pruning that was killed after it had committed so many transactions, before or after the last one."""

    def work() -> None:
        original, calls = pruning._read, iter(range(1, 100))

        def killed(said: dict[str, object]) -> pruning.Pruned:
            if not is_committed and next(calls) > commits:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(said)

        pruning._read = killed
        for number, _ in enumerate(pruning.prune(actor=CLOCK, at_once=AT_ONCE), start=1):
            if is_committed and number == commits:
                os.kill(os.getpid(), signal.SIGKILL)

    process = forked(work)
    process.join(60)
    return process


def ended(how: Callable[[], BaseProcess]) -> None:
    """Have it killed so, and wait until the server has noticed."""
    others = sessions()
    assert how().exitcode == -signal.SIGKILL
    assert wait_until(lambda: sessions() <= others, timeout_seconds=20)


def sessions() -> set[int]:
    """Return the sessions of this database but for our own: tests before may have left some."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}


@pytest.fixture
def old(db: None, signer: Signer) -> None:
    old_ledger(signer)
    # Something of each kind goes.
    assert Disclosure.objects.exists()


def went_once(before: dict[str, set[tuple[object, ...]]], doomed: set[int], signer: Signer) -> None:
    """Assert that exactly these texts are gone, that it is said of each once, and that everything holds."""
    after = everything()
    assert before["texts"] - after["texts"] == {one for one in before["texts"] if one[0] in doomed}
    assert before["subjects"] - after["subjects"] == {one for one in before["subjects"] if one[0] in doomed}
    assert {index for index, _ in after["hashes"]} == doomed
    assert Counter(index for one in disposals.statements() for index in numbers(one.ranges)) == Counter(doomed)
    assert verify(Request(is_strict=True)).size
    seal_everything(signer=signer)
    assert verify(Request(is_strict=True)).size
    assert Counter(index for one in disposals.statements() for index in numbers(one.ranges)) == Counter(doomed)
    assert Disclosure.objects.count() == 0


def numbers(ranges: tuple[tuple[int, int], ...]) -> list[int]:
    return [index for start, end in ranges for index in range(start, end)]


def test_a_pruning_killed_at_any_table_it_touches_has_done_nothing_and_the_next_does_all(
    old: None, signer: Signer
) -> None:
    before = everything()
    doomed = {index for one in pruning.what_would_go(actor=CLOCK) for index in numbers(one.ranges)}
    assert len(doomed) >= 15

    for table in TABLES:
        ended(lambda table=table: dies_at(table))
        assert everything() == before, table
    prune()

    went_once(before, doomed, signer)


@pytest.mark.parametrize("is_committed", [False, True], ids=["before its commit", "after its commit"])
def test_a_pruning_killed_between_its_transactions_goes_on_where_it_was(
    old: None, signer: Signer, is_committed: bool
) -> None:
    before = everything()
    doomed = {index for one in pruning.what_would_go(actor=CLOCK) for index in numbers(one.ranges)}
    minima = []

    # Each run commits one transaction and is killed at the next, or right after its own.
    for _ in range(3):
        ended(lambda: dies_after(1, is_committed=is_committed))
        assert verify(Request(is_strict=True)).size
        minima.append(disposals.minimum_index())
    assert sorted(set(minima)) == minima
    prune()

    assert minima[-1] < disposals.minimum_index()
    went_once(before, doomed, signer)
