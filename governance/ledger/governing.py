"""Which tables are governed: every change of their rows reaches the ledger, whoever makes it and however.

Each room says so in its module `governed`, beside its models. What is said here becomes triggers (`triggers.py`) after
each `migrate`; a test walks all models and refuses one that is neither governed nor left out for a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.postgres.fields import ArrayField
from django.db import models

#: Columns of these kinds are ids, enums, counts and times. They say nothing personal unless they are declared to.
PLAIN_FIELDS = (
    models.BooleanField,
    models.DateField,
    models.DurationField,
    models.ForeignKey,
    models.IntegerField,
    models.UUIDField,
)
#: Columns of these kinds have no form in the canonical subset of JSON, or could hold anything: docs/ledger-format.md.
CLOSED_FIELDS = (models.BinaryField, models.DecimalField, models.FloatField, models.JSONField)


@dataclass(frozen=True, slots=True)
class Governed:
    """A governed table. Every column is in exactly one of the collections, or is its key."""

    table: str
    keys: tuple[str, ...]
    public: tuple[str, ...]
    personal: tuple[str, ...]
    volatile: tuple[str, ...]
    #: The column with the primary key of the person whose secret the personal columns are committed with.
    person: str = ""
    #: Only of the table of people: the column with their permanent reference.
    reference: str = ""


_governed: dict[str, Governed] = {}
_left_out: dict[str, str] = {}


def govern(
    model: type[models.Model],
    *,
    public: Collection[str] = (),
    personal: Collection[str] = (),
    volatile: Collection[str] = (),
    person: str = "",
    reference: str = "",
) -> None:
    """Govern a model's table. Rooms call it in their module `governed`.

    `public` are columns of text that hold words of ours, slugs, references or enums, and may be read in the ledger by
    everybody. `personal` are names, addresses, reasons and secrets: entries hold keyed commitments to them. Every text
    column is in one of the two. `volatile` are bookkeeping, such as a last-seen time or a claim: not captured at all.
    Ids, numbers, instants and the like are public without being named.
    `person` is the column that says whose secret keeps the personal columns; without it they are kept by the log's own.

    Raises ValueError for a column that does not exist, is named twice, cannot be public, or is not classed.
    """
    columns = {str(field.column): field for field in model._meta.concrete_fields if field.column}
    keys = _keys(model)
    said = [*keys, *public, *personal, *volatile]
    plain = [name for name, field in columns.items() if name not in said and _is_plain(field)]
    problems = [f"{name} does not exist" for name in {*said, person, reference} - {*columns, ""}]
    problems += [f"{name} is named twice" for name in columns if said.count(name) > 1]
    problems += [f"{name} cannot be public" for name in public if isinstance(columns.get(name), CLOSED_FIELDS)]
    problems += [f"{name} is neither public, personal nor volatile" for name in columns if name not in (*said, *plain)]
    if problems:
        raise ValueError(f"{model._meta.label}: {'; '.join(sorted(problems))}.")
    table = model._meta.db_table
    _governed[table] = Governed(
        table, keys, _sorted([*public, *plain]), _sorted(personal), _sorted(volatile), person, reference
    )


def leave_out(*left: type[models.Model], because: str) -> None:
    """Say why changes of these models' rows are nothing for the ledger."""
    _left_out.update({model._meta.db_table: because for model in left})


def governed_tables() -> tuple[Governed, ...]:
    """Return all governed tables, by name."""
    return tuple(_governed[table] for table in sorted(_governed))


def governed_table(table: str) -> Governed | None:
    """Return what is said about the table, or None when it is not governed."""
    return _governed.get(table)


def left_out_tables() -> dict[str, str]:
    """Return table → the reason why it is not governed."""
    return dict(_left_out)


def _keys(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(str(field.column) for field in model._meta.pk_fields)


def _is_plain(field: models.Field[object, object]) -> bool:
    if isinstance(field, ArrayField):
        return isinstance(field.base_field, PLAIN_FIELDS)
    if isinstance(field, models.ForeignKey):
        return isinstance(field.target_field, PLAIN_FIELDS)
    return isinstance(field, PLAIN_FIELDS)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
