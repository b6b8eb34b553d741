"""Ends a worker that is alive and hears nothing, so that whoever supervises it starts it anew.

After a broker went away and came back several times, a Celery worker can be left with a connection that nobody reads:
it takes no task, says nothing and looks healthy. Ticks come every second or two (governance/config/schedule.py), so
silence while the broker answers, with nothing under way, is that state, or a scheduler that is down; starting anew
harms neither.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psutil
from celery import Celery
from celery.signals import task_received, worker_ready
from celery.worker import state

logger = logging.getLogger(__name__)

#: Several ticks of every queue.
SILENCE_SECONDS = 15.0
_LOOK_EVERY_SECONDS = 3.0
_PATIENCE_SECONDS = 2.0
#: EX_UNAVAILABLE: whoever supervises sees that it was no clean stop.
_EXIT_CODE = 69


@dataclass(slots=True)
class Hearing:
    """When a worker last heard anything, on the monotonic clock."""

    heard_at: float = field(default_factory=time.monotonic)

    def hear(self, **_: Any) -> None:
        """Note that a message came."""
        self.heard_at = time.monotonic()

    def is_deaf(self, at: float, *, busy: bool, broker_answers: bool) -> bool:
        """Tell whether the silence means that nothing will be heard any more."""
        return not busy and broker_answers and at - self.heard_at > SILENCE_SECONDS


def install(app: Celery) -> None:
    """Have every worker of this application watch itself."""
    hearing = Hearing()

    def begin(**_: Any) -> None:
        hearing.hear()
        threading.Thread(target=_watch, args=(app, hearing), name="watchdog", daemon=True).start()

    task_received.connect(hearing.hear, weak=False)
    worker_ready.connect(begin, weak=False)


def _watch(app: Celery, hearing: Hearing) -> None:
    while True:
        time.sleep(_LOOK_EVERY_SECONDS)
        quiet = time.monotonic() - hearing.heard_at > SILENCE_SECONDS
        answers = quiet and _broker_answers(app)
        if hearing.is_deaf(time.monotonic(), busy=bool(state.active_requests), broker_answers=answers):
            logger.critical("Nothing was heard for %d s although the broker answers: starting anew.", SILENCE_SECONDS)
            for child in psutil.Process().children(recursive=True):
                child.kill()
            os._exit(_EXIT_CODE)


def _broker_answers(app: Celery) -> bool:
    try:
        with app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_PATIENCE_SECONDS)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - whatever the broker's client raises means no
        return False
    return True
