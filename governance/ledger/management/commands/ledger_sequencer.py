"""`manage.py ledger_sequencer`: the process that seals the ledger. Start one; a second one stands by."""

from __future__ import annotations

import signal
import time
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from governance.ledger.key_changes import LedgerDamaged
from governance.ledger.key_ring import CannotSign, KeyRing
from governance.ledger.keys import KeySource
from governance.ledger.notes import BadKey
from governance.ledger.outbox import is_waiting_up_to, last_waiting_id
from governance.ledger.remembered import HeadMemory
from governance.ledger.sequencer import SequencerElsewhere, say_halted, seal_everything
from governance.ledger.sequencer_loop import SequencerLoop

SECONDS_FOR_THE_OTHER = 60


class Command(BaseCommand):
    """Seal the ledger."""

    help = "Seal recorded entries into the signed ledger, until SIGTERM. With --once: what is recorded now, then exit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --once."""
        parser.add_argument("--once", action="store_true", help="seal everything that is recorded and exit")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        """Seal."""
        memory = HeadMemory(settings.ENVIRONMENT.ledger_head)
        try:
            source = KeySource.of(settings.ENVIRONMENT)
            if once:
                self.stdout.write(f"{self._seal_once(source.read(), memory)} entries sealed.")
            else:
                self._seal_until_stopped(source, memory)
        except LedgerDamaged as error:
            say_halted(str(error))
            raise CommandError(str(error)) from error
        except (BadKey, CannotSign, DatabaseError) as error:
            raise CommandError(str(error)) from error

    def _seal_until_stopped(self, source: KeySource, memory: HeadMemory) -> None:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        SequencerLoop(source.read(), stop, source.read, memory).run()

    def _seal_once(self, signer: KeyRing, memory: HeadMemory) -> int:
        """Seal everything; when another sequencer is at it, wait until it has sealed what is recorded now."""
        last = last_waiting_id()
        deadline = time.monotonic() + SECONDS_FOR_THE_OTHER
        while time.monotonic() < deadline:
            try:
                return seal_everything(signer=signer, memory=memory)
            except SequencerElsewhere:
                if last is None or not is_waiting_up_to(last):
                    return 0
                time.sleep(0.1)
        raise CommandError("Another sequencer holds the ledger and does not get on.")
