"""Actions as whole transactions, without a savepoint where something larger stands or falls with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_stands_or_falls: ContextVar[bool] = ContextVar("gatehouse_stands_or_falls", default=False)


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Open a transaction that is given up as a whole when anything inside it raises.

    Actions inside need no savepoint, which costs two statements each. Let no error of theirs be caught inside.
    """
    with transaction.atomic():
        token = _stands_or_falls.set(True)
        try:
            yield
        finally:
            _stands_or_falls.reset(token)


def whole(action: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make an action one transaction: its own, a savepoint of the caller's, or a part of what is all or nothing."""

    @wraps(action)
    def acting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if _stands_or_falls.get() and connection.in_atomic_block:
            return action(*args, **kwargs)
        with transaction.atomic():
            return action(*args, **kwargs)

    return acting
