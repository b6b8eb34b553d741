"""Being one of many, for the ORM: one array, from a parameter or a subquery, however many there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, QuerySet
from django.db.models.expressions import RawSQL


class _AnyOf(Func):
    template = "%(expressions)s)"
    arg_joiner = " = ANY ("
    output_field = BooleanField()


def any_of(keys: Collection[int]) -> Func:
    """Return the condition that a row's primary key is one of these."""
    return _AnyOf(F("pk"), RawSQL("%s::bigint[]", (list(keys),)))


def found_first(rows: QuerySet[Any]) -> Func:
    """Return the condition that a row is one of `rows`, whose keys PostgreSQL finds before it joins and sorts anything.

    For few rows of a large table. The planner expects ten of them, so do not ask for many thousands.
    """
    return _AnyOf(F("pk"), ArraySubquery(rows.order_by().values("pk")))
