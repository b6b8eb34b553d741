"""Tell the workers that there is something to do, once the transaction that made it so has committed.

A wake-up only saves waiting for the next tick of the clock. When the broker is down nothing is lost: the work is rows
in the database and the sweep finds them. So it never raises and never holds up the caller: a thread of the process
rings, once for all that was asked for in the same moment, because whoever wakes looks for everything that is due.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from functools import partial

import celery
from django.db import transaction
from kombu import Connection

logger = logging.getLogger(__name__)

#: The longest the thread waits for the broker.
_PATIENCE_SECONDS = 0.25
#: After a failure nobody tries again for this long: an outage is one line in the log now and then.
_PAUSE_SECONDS = 5.0
#: An idle connection is opened anew: brokers and firewalls drop silent ones without saying so.
_IDLE_SECONDS = 30.0
#: A wake-up that nobody took within this time is dropped.
_LIFETIME_SECONDS = 10
#: What is asked for within so long of the last ring waits for the next one.
_MOMENT_SECONDS = 0.02
#: The longest a process waits at its end for what it still had to ring.
_FAREWELL_SECONDS = 1.0


class _Bell(threading.local):
    """The kept connection of one thread to the broker, and when the broker may be tried again."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._used_at = 0.0
        self._silent_until = 0.0

    def ring(self, task_name: str) -> None:
        if time.monotonic() < self._silent_until:
            return
        try:
            self._send(task_name)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the work is safe
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            self._close()
            logger.warning("The broker did not take the wake-up %s; the next tick will do: %s", task_name, error)

    def _send(self, task_name: str) -> None:
        if self._connection is not None and time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._close()
        was_open = self._connection is not None
        try:
            self._publish(task_name)
        except Exception:
            if not was_open:
                raise
            # A kept connection may have died since; a new one tells whether the broker has.
            self._close()
            self._publish(task_name)

    def _publish(self, task_name: str) -> None:
        connection = self._connection or self._open()
        with connection.Producer(auto_declare=False) as producer:
            celery.current_app.send_task(
                task_name, producer=producer, retry=False, ignore_result=True, expires=_LIFETIME_SECONDS
            )
        self._used_at = time.monotonic()

    def _open(self) -> Connection:
        patience = {"socket_timeout": _PATIENCE_SECONDS, "socket_connect_timeout": _PATIENCE_SECONDS}
        connection = celery.current_app.connection_for_write(
            connect_timeout=_PATIENCE_SECONDS, transport_options=patience
        )
        connection.ensure_connection(max_retries=0)
        self._connection = connection
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect(_PATIENCE_SECONDS)


class _Ringer:
    """The thread that rings, started with the first wish; and what it has still to ring."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: also in a process that was forked while another thread held the lock."""
        self._changed = threading.Condition()
        self._wanted: dict[str, None] = {}
        self._is_ringing = False
        self._thread: threading.Thread | None = None

    def ask(self, task_name: str) -> None:
        """Have the bell rung soon; return at once."""
        with self._changed:
            self._wanted[task_name] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self, timeout_seconds: float = _FAREWELL_SECONDS) -> bool:
        """Wait until everything asked for was rung; return whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._wanted and not self._is_ringing, timeout_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._wanted))
                wanted, self._wanted, self._is_ringing = self._wanted, {}, True
            for task_name in wanted:
                _bell.ring(task_name)
            with self._changed:
                self._is_ringing = False
                self._changed.notify_all()
            time.sleep(_MOMENT_SECONDS)


_bell = _Bell()
_ringer = _Ringer()
os.register_at_fork(after_in_child=_ringer.reset)
atexit.register(_ringer.wait)


def wake(task_name: str) -> None:
    """Have the task called `task_name` run soon after the present transaction commits; at once outside of one."""
    transaction.on_commit(partial(_ringer.ask, task_name), robust=True)
