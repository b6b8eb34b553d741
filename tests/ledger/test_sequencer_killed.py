"""The sequencer, a process of its own, is ended with SIGKILL: between every two steps, in the lead, while it hangs."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from threading import Event

import pytest

from governance.config.processes import wait_until
from governance.ledger import sequencer, sequencer_loop
from governance.ledger.models import Captured, Entry, Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import SequencerElsewhere, seal_everything
from governance.ledger.sequencer_loop import SequencerLoop
from governance.ledger.verification import Request, verify
from tests.forked import forked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

Noter = Callable[[int], None]
#: What one round of sealing does, in this order; the last one comes after its commit.
STEPS = (
    (sequencer, "take_turn"),
    (sequencer, "signed_tree"),
    (sequencer, "claim"),
    (sequencer, "_fold"),
    (sequencer, "_store_entries"),
    (sequencer, "_store_nodes"),
    (sequencer, "store_checkpoint"),
    (sequencer_loop, "wake_readers"),
)
_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[], object]], BaseProcess]]:
    """Run something in a process of its own; what still runs at the end of the test is killed."""
    running: list[BaseProcess] = []

    def started(work: Callable[[], object]) -> BaseProcess:
        running.append(forked(work))
        return running[-1]

    yield started
    for one in running:
        with suppress(ValueError):
            one.kill()
            one.join()


def numbers() -> list[int]:
    """The numbers of the noted things, in the order of the ledger."""
    bodies = Entry.objects.filter(event="thing.noted").order_by("index").values_list("body", flat=True)
    return [json.loads(body)["data"]["number"] for body in bodies]


def waiting() -> int:
    return Pending.objects.count() + Captured.objects.count()


def seals(signer: Signer) -> bool:
    """Seal everything; False while the server has not noticed that the one before is gone."""
    try:
        seal_everything(signer=signer)
    except SequencerElsewhere:
        return False
    return True


def dies_after(module: object, step: str, signer: Signer) -> Callable[[], None]:
    """Return a sequencer that is killed at the end of that step."""

    def work() -> None:
        original = getattr(module, step)

        def killed(*args: object, **kwargs: object) -> None:
            original(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(module, step, killed)
        SequencerLoop(signer, Event()).run()

    return work


def test_a_sequencer_killed_between_any_two_steps_loses_nothing_and_seals_nothing_twice(
    signer: Signer, note: Noter, start: Callable[[Callable[[], object]], BaseProcess]
) -> None:
    seal_everything(signer=signer)
    before = Entry.objects.count()
    for number, (module, step) in enumerate(STEPS):
        note(number)

        killed = start(dies_after(module, step, signer))
        killed.join(20)

        assert killed.exitcode == -signal.SIGKILL, step
        sealed = number + 1 if step == "wake_readers" else 0
        assert wait_until(lambda left=number + 1 - sealed: waiting() == left, timeout_seconds=10), step
        assert len(numbers()) == sealed, step

    assert wait_until(lambda: seals(signer), timeout_seconds=10)

    assert numbers() == list(range(len(STEPS)))
    assert verify(Request(is_strict=True)).size == Entry.objects.count() == before + len(STEPS)


def test_of_two_sequencers_the_one_that_stands_by_takes_over_from_the_one_that_is_killed(
    signer: Signer, note: Noter, start: Callable[[Callable[[], object]], BaseProcess]
) -> None:
    def run() -> None:
        SequencerLoop(signer, Event()).run()

    note(0)
    leads = start(run)
    assert wait_until(lambda: numbers() == [0], timeout_seconds=20)
    stands_by = start(run)
    note(1)
    assert wait_until(lambda: numbers() == [0, 1], timeout_seconds=20)

    leads.kill()
    leads.join()
    note(2)

    assert wait_until(lambda: numbers() == [0, 1, 2], timeout_seconds=20)
    assert stands_by.is_alive()
    assert verify(Request(is_strict=True)).size == Entry.objects.count()


def test_writers_go_on_while_a_sequencer_hangs_in_the_middle_of_its_transaction(
    signer: Signer, note: Noter, start: Callable[[Callable[[], object]], BaseProcess]
) -> None:
    note(0)
    here, there = _FORK.Pipe()

    def hangs() -> None:
        def never_ends(*args: object) -> None:
            there.send("claimed, stored, not committed")
            signal.pause()

        sequencer.store_checkpoint = never_ends
        SequencerLoop(signer, Event()).run()

    stuck = start(hangs)
    assert here.poll(20)
    for number in range(1, 50):
        note(number)

    assert (waiting() >= 50, numbers()) == (True, [])
    assert not seals(signer)
    stuck.kill()
    stuck.join()
    assert wait_until(lambda: seals(signer), timeout_seconds=20)
    assert numbers() == list(range(50))
    assert verify(Request(is_strict=True)).size == Entry.objects.count()
