"""Work in a process of its own, which a test can kill."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from django.db import connections

_FORK = multiprocessing.get_context("fork")


def forked(work: Callable[[], object]) -> BaseProcess:
    """Return a started process that works on a session of the database of its own."""
    process = _FORK.Process(target=alone, args=(work,))
    process.start()
    return process


def alone(work: Callable[[], object]) -> None:
    """Work on a session of the database of one's own; the parent's stays open here and untouched.

    Closing it before the fork is not enough: where a browser runs, the parent has another one than its children see.
    """
    # Held on to until the end: letting go of it would end the session that the parent still uses.
    of_the_parent = connections["default"]
    connections["default"] = of_the_parent.copy()
    work()
