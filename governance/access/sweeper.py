"""The sweeper as a process: sleeps until the next start, end or escalation is due and orders it.

It outlives a database restart. Any number may run at once, each works on people whom the others do not have, so none
has to stand by for another. The tick of the clock sweeps as well and is the net below.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Event

from django.db import InterfaceError, OperationalError, connection

from governance.access.sweep import BATCH, escalate_batch, next_due_at, sweep_batch
from governance.core.clock import now

#: What falls due meanwhile is ordered together, with one wake-up of the workers: at most fifty a second.
SECONDS_BETWEEN_SWEEPS = 0.02
#: It looks again this often, because a sooner end may have been committed while it slept: one indexed query.
LONGEST_SLEEP_SECONDS = 0.25
SECONDS_WITHOUT_DATABASE = 1.0

logger = logging.getLogger(__name__)


@dataclass
class Sweeper:
    """Runs until `stop` is set."""

    stop: Event = field(default_factory=Event)

    def run(self) -> None:
        """Order what falls due, again and again."""
        while not self.stop.is_set():
            self.stop.wait(self.turn())
        connection.close()

    def turn(self) -> float:
        """Order what is due now, at most one batch; return for how many seconds there is nothing to do."""
        try:
            return _seconds_until_due() or _sweep()
        except (OperationalError, InterfaceError) as error:
            logger.warning("The database is away, trying again: %s", str(error).strip().partition("\n")[0])
            connection.close()
            return SECONDS_WITHOUT_DATABASE


def _seconds_until_due() -> float:
    due_at = next_due_at()
    if due_at is None:
        return LONGEST_SLEEP_SECONDS
    return min(max((due_at - now()).total_seconds(), 0.0), LONGEST_SLEEP_SECONDS)


def _sweep() -> float:
    ordered, escalated = sweep_batch(BATCH), escalate_batch(BATCH)
    return 0.0 if max(ordered, escalated) >= BATCH else SECONDS_BETWEEN_SWEEPS
