"""The sequencer as a process: seals about once a second, stands by for another one, and outlives a database restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from django.db import InterfaceError, OperationalError, connection

from governance.ledger.key_ring import CannotSign, KeyRing, SigningKey
from governance.ledger.remembered import HeadMemory
from governance.ledger.sealing import wake_readers
from governance.ledger.sequencer import (
    BATCH,
    SequencerElsewhere,
    become_sequencer,
    record_heartbeat_when_idle,
    seal_pending,
    work_is_waiting,
)

#: Between two checkpoints, when there is work: one head a second is what the tables and witnesses are sized for.
SECONDS_BETWEEN_HEADS = 1.0
SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_STANDING_BY = 1.0
SECONDS_WITHOUT_DATABASE = 2.0

logger = logging.getLogger(__name__)


@dataclass
class SequencerLoop:
    """Runs until `stop` is set. LedgerDamaged ends it: somebody has to look."""

    signer: SigningKey | KeyRing
    stop: Event = field(default_factory=Event)
    #: Looks whether the keys were changed, and returns those that count now; None when they never change.
    reread: Callable[[], KeyRing] | None = None
    #: What was signed last, outside of the database; None where nobody remembers it.
    memory: HeadMemory | None = None
    is_leader: bool = False

    def run(self) -> None:
        """Seal what is recorded, again and again."""
        while not self.stop.is_set():
            self.stop.wait(self.turn())
        connection.close()

    def turn(self) -> float:
        """Do what there is to do now; return for how many seconds there is nothing more."""
        try:
            if self.reread is not None:
                self.signer = self.reread()
            return self._lead() if self.is_leader or self._take_over() else SECONDS_STANDING_BY
        except SequencerElsewhere:
            self.is_leader = False
            return SECONDS_STANDING_BY
        except CannotSign as error:
            logger.error("%s Nothing is sealed until it does.", error)
            return SECONDS_WITHOUT_DATABASE
        except (OperationalError, InterfaceError) as error:
            logger.warning("The database is away, trying again: %s", str(error).strip().partition("\n")[0])
            self.is_leader = False
            connection.close()
            return SECONDS_WITHOUT_DATABASE

    def _take_over(self) -> bool:
        self.is_leader = become_sequencer()
        if self.memory is not None:
            self.memory.is_found = False
        if self.is_leader:
            logger.info("Sealing the ledger %s.", self.signer.name)
        return self.is_leader

    def _lead(self) -> float:
        if not work_is_waiting(self.signer) and not record_heartbeat_when_idle(signer=self.signer):
            return SECONDS_BETWEEN_LOOKS
        start = time.monotonic()
        sealed = seal_pending(signer=self.signer, memory=self.memory)
        if sealed:
            wake_readers()
        return 0.0 if sealed >= BATCH else max(0.0, start + SECONDS_BETWEEN_HEADS - time.monotonic())
