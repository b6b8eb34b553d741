"""Sealing: nothing lost, nothing twice, in order, by one at a time."""

from __future__ import annotations

import json
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction

from governance.config.processes import wait_until
from governance.core.actor import Actor
from governance.ledger import queries, sequencer, standalone
from governance.ledger.models import Checkpoint, Entry, LogKey, Node, Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import LedgerDamaged, SequencerElsewhere, seal_everything, seal_pending
from governance.ledger.sequencer_loop import SECONDS_BETWEEN_LOOKS, SECONDS_STANDING_BY, SequencerLoop
from governance.ledger.verification import Request, verify

real_transactions = pytest.mark.django_db(transaction=True)
Noter = Callable[[int], None]


def numbers() -> list[int]:
    """The numbers of the noted things, in the order of the ledger."""
    rows = Entry.objects.filter(event="thing.noted").order_by("index").values_list("body", flat=True)
    return [json.loads(body)["data"]["number"] for body in rows]


def indexes() -> list[int]:
    return list(Entry.objects.order_by("index").values_list("index", flat=True))


@pytest.fixture(autouse=True)
def lets_go_of_the_lock(db: None) -> Iterator[None]:
    """The lock belongs to the database session, which outlives a test and its rolled back transaction."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")


@pytest.mark.django_db
def test_a_new_ledger_starts_with_its_key(signer: Signer) -> None:
    assert seal_pending(signer=signer) == 1
    assert seal_pending(signer=signer) == 0

    started = queries.entry(0).entry
    assert (started.event, started.data["verifier_key"]) == ("log.started", signer.verifier_key)
    assert LogKey.objects.get().verifier_key == queries.verifier_key() == signer.verifier_key


@pytest.mark.django_db
def test_sealing_goes_in_the_order_of_recording_and_by_the_limit(signer: Signer, note: Noter) -> None:
    for number in range(5):
        note(number)

    assert [seal_pending(2, signer=signer) for _ in range(4)] == [3, 2, 1, 0]
    assert numbers() == [0, 1, 2, 3, 4]
    assert list(Checkpoint.objects.order_by("size").values_list("size", flat=True)) == [3, 5, 6]


@pytest.mark.django_db
def test_every_head_is_signed_and_every_entry_provable_in_it(signer: Signer, sealed: Callable[..., None]) -> None:
    sealed(1, 255, 2, 300)
    key = standalone.parse_verifier_key(signer.verifier_key)
    heads = [queries.checkpoint_at(size) for size in (2, 257, 259, 559)]

    for head in heads:
        assert head is not None
        signed = standalone.open_checkpoint(head.note, key)
        assert (signed.size, signed.root) == (head.size, head.root)
    newest = queries.latest_checkpoint()
    assert newest is not None
    for proven in queries.proven_entries(range(0, 559, 31), newest):
        index, _ = standalone.check_proof(proven.entry.body.encode(), proven.proof_file, key)
        assert index == proven.entry.index
    assert Node.objects.count() == 2
    for old in heads:
        assert old is not None
        path = queries.consistency_proof(old.size, newest.size)
        standalone.check_consistency(old.size, old.root, newest.size, newest.root, path)


STEPS = ("take_turn", "signed_tree", "claim", "_fold", "_store_entries", "_store_nodes", "store_checkpoint")


class Killed(BaseException):
    """As if the process had died here."""


@pytest.mark.django_db
@pytest.mark.parametrize(("when", "step"), [("before", STEPS[0]), *(("after", step) for step in STEPS)])
def test_dying_at_any_step_loses_nothing_and_seals_nothing_twice(
    signer: Signer, sealed: Callable[..., None], note: Noter, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    sealed(200)
    for number in range(200, 300):
        note(number)
    original = getattr(sequencer, step)

    def dying(*args: object, **kwargs: object) -> object:
        if when == "after":
            original(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sequencer, step, dying)
        with pytest.raises(Killed):
            seal_pending(signer=signer)
    assert (Pending.objects.count(), Entry.objects.count()) == (100, 201)

    assert seal_pending(signer=signer) == 100
    assert numbers() == list(range(300))
    assert indexes() == list(range(301))
    assert verify(Request(is_strict=True)).size == 301


@real_transactions
def test_of_two_sequencers_one_stands_by_and_takes_over(signer: Signer, note: Noter) -> None:
    leads, may_go = threading.Event(), threading.Event()

    def first() -> None:
        loop = SequencerLoop(signer)
        loop.turn()
        leads.set()
        may_go.wait(30)
        connection.close()

    with ThreadPoolExecutor(1) as other:
        running = other.submit(first)
        assert leads.wait(30)
        second = SequencerLoop(signer)
        note(1)

        assert (second.turn(), second.is_leader) == (SECONDS_STANDING_BY, False)
        with pytest.raises(SequencerElsewhere):
            seal_pending(signer=signer)
        assert numbers() == []

        may_go.set()
        running.result(30)
        assert wait_until(lambda: second.turn() >= 0 and second.is_leader, timeout_seconds=25)
        assert numbers() == [1]


@real_transactions
def test_a_sequencer_whose_session_was_lost_does_not_seal_beside_the_new_one(signer: Signer, note: Noter) -> None:
    loop = SequencerLoop(signer)
    loop.turn()
    connection.close()  # The lock goes with the session; the loop does not know yet.
    leads, may_go = threading.Event(), threading.Event()

    def usurper() -> None:
        # The server lets go of the lock when it notices that the session ended, a moment later.
        assert wait_until(sequencer.become_sequencer, timeout_seconds=25)
        leads.set()
        may_go.wait(30)
        connection.close()

    with ThreadPoolExecutor(1) as other:
        running = other.submit(usurper)
        assert leads.wait(30)
        note(1)

        assert loop.turn() == SECONDS_STANDING_BY
        assert not loop.is_leader
        may_go.set()
        running.result(30)


@real_transactions
def test_the_sequencer_outlives_a_lost_connection(signer: Signer, note: Noter) -> None:
    loop = SequencerLoop(signer)
    loop.turn()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        note(1)
        connection.close()

    with ThreadPoolExecutor(1) as other:
        other.submit(cut).result(30)

    assert loop.turn() > SECONDS_STANDING_BY
    assert not loop.is_leader
    loop.turn()
    assert numbers() == [1]


@real_transactions
def test_sixteen_writers_with_rollbacks_leave_exactly_what_they_committed(signer: Signer, grace: Actor) -> None:
    writing = threading.Event()
    writing.set()

    def write(writer: int) -> list[int]:
        luck, committed = random.Random(writer), []
        for turn in range(25):
            number = writer * 1000 + turn
            try:
                with transaction.atomic():
                    record(
                        "thing.noted", actor=grace, subjects=[Subject("thing", str(number))], data={"number": number}
                    )
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_sleep(%s)", [luck.uniform(0, 0.01)])
                    if luck.random() < 0.3:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            committed.append(number)
        connection.close()
        return committed

    def keep_sealing() -> None:
        while writing.is_set():
            seal_pending(7, signer=signer)
        connection.close()

    with ThreadPoolExecutor(17) as pool:
        sealing = pool.submit(keep_sealing)
        committed = [number for numbers in pool.map(write, range(16)) for number in numbers]
        writing.clear()
        sealing.result(60)
    seal_everything(signer=signer)

    assert 200 < len(committed) < 400
    assert sorted(numbers()) == sorted(committed)
    assert indexes() == list(range(len(committed) + 1))
    assert verify(Request(is_strict=True)).size == len(committed) + 1


@real_transactions
def test_entries_about_one_object_keep_their_order(signer: Signer, grace: Actor) -> None:
    versions: dict[int, int] = defaultdict(int)
    writing = threading.Event()
    writing.set()

    def write(writer: int) -> None:
        luck = random.Random(writer)
        for _ in range(30):
            thing = luck.randrange(3)
            with transaction.atomic(), connection.cursor() as cursor:
                # Held to the commit, like the lock on the row that the action changes.
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [thing])
                versions[thing] += 1
                record("thing.noted", actor=grace, subjects=[], data={"thing": thing, "number": versions[thing]})
        connection.close()

    def keep_sealing() -> None:
        while writing.is_set():
            seal_pending(5, signer=signer)
        connection.close()

    with ThreadPoolExecutor(9) as pool:
        sealing = pool.submit(keep_sealing)
        list(pool.map(write, range(8)))
        writing.clear()
        sealing.result(60)
    seal_everything(signer=signer)

    by_thing = defaultdict(list)
    for body in Entry.objects.filter(event="thing.noted").order_by("index").values_list("body", flat=True):
        data = json.loads(body)["data"]
        by_thing[data["thing"]].append(data["number"])
    assert sum(versions.values()) == 240
    assert all(seen == list(range(1, versions[thing] + 1)) for thing, seen in by_thing.items())


@pytest.mark.django_db
def test_an_idle_ledger_says_every_hour_that_it_is_alive(signer: Signer) -> None:
    start = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)
    loop = SequencerLoop(signer)
    with time_machine.travel(start, tick=False):
        loop.turn()
    with time_machine.travel(start + timedelta(minutes=59), tick=False):
        assert loop.turn() == SECONDS_BETWEEN_LOOKS
    assert Checkpoint.objects.count() == 1

    with time_machine.travel(start + timedelta(minutes=61), tick=False):
        loop.turn()
        loop.turn()

    assert [entry.event for entry in queries.entries().entries] == ["log.heartbeat_signed", "log.started"]
    assert Checkpoint.objects.count() == 2


@pytest.mark.django_db
def test_another_key_seals_nothing(signer: Signer, sealed: Callable[..., None], note: Noter) -> None:
    sealed(3)
    note(3)

    with pytest.raises(LedgerDamaged, match="not the key of this ledger"):
        seal_pending(signer=Signer.generate(signer.name))

    assert Pending.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            "UPDATE ledger_entry SET leaf_hash = decode(repeat('00', 32), 'hex') WHERE index = 299", id="leaf"
        ),
        pytest.param("UPDATE ledger_node SET hash = decode(repeat('00', 32), 'hex')", id="node"),
        pytest.param("DELETE FROM ledger_entry WHERE index = 299", id="missing entry"),
        pytest.param("DELETE FROM ledger_node", id="missing node"),
        pytest.param("UPDATE ledger_checkpoint SET root = decode(repeat('00', 32), 'hex')", id="head"),
    ],
)
def test_nothing_more_is_signed_over_a_damaged_tree(
    signer: Signer, sealed: Callable[..., None], note: Noter, tamper: Callable[..., None], damage: str
) -> None:
    sealed(299)
    note(1)
    tamper("DELETE FROM ledger_entrysubject", damage)

    with pytest.raises(LedgerDamaged):
        seal_pending(signer=signer)

    assert Checkpoint.objects.count() == 1


@pytest.mark.django_db
def test_the_sealing_lag_is_the_age_of_the_oldest_entry_that_waits(signer: Signer, note: Noter) -> None:
    assert queries.sealing_lag_seconds() == 0

    note(1)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ledger_pending (body, created_at) VALUES ('{}', now() - interval '90 seconds')")

    assert 90 <= queries.sealing_lag_seconds() < 100
