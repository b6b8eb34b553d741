"""What PostgreSQL broke off to end a deadlock is done again: the client asked once, and nothing of it was kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

logger = logging.getLogger(__name__)

#: How often a request is begun in all.
ATTEMPTS = 4

T = TypeVar("T")


def settled(act: Callable[[], T]) -> T:
    """Return what `act` returns, which encloses its own transaction and may run several times.

    Several people are locked in the order of their primary keys, but who is written and then takes in reports, or
    leaves while a group changes, holds one of them already.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected) or connection.in_atomic_block:
                raise
            logger.info("A SCIM request met another one in a deadlock, and is begun again.")
    return act()
