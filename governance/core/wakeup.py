"""Tell the workers that there is something to do, once the transaction that made it so has committed.

A wake-up only saves waiting for the next tick of the clock. When the broker is down nothing is lost: the work is rows
in the database and the sweep finds them. So it never raises and never holds up the caller for long.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

import celery
from django.db import transaction
from kombu import Connection

logger = logging.getLogger(__name__)

#: The longest a caller waits for the broker.
_PATIENCE_SECONDS = 0.25
#: After a failure nobody tries again for this long, so that an outage does not slow every request.
_PAUSE_SECONDS = 5.0
#: An idle connection is opened anew: brokers and firewalls drop silent ones without saying so.
_IDLE_SECONDS = 30.0
#: A wake-up that nobody took within this time is dropped.
_LIFETIME_SECONDS = 10


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


_bell = _Bell()


def wake(task_name: str) -> None:
    """Have the task called `task_name` run soon after the present transaction commits; at once outside of one."""
    transaction.on_commit(partial(_bell.ring, task_name), robust=True)
