"""The readable history of configuration rows: who changed which field from what to what, and the entry that says so.

It is django-auditlog's, and not the record: what auditlog does not see (bulk writes, whatever goes past the ORM) is not
in it. The captured rows of the ledger have that too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.ledger.events import CONFIGURATION_CHANGED
from governance.ledger.models import ConfigurationChange, Entry

ACTIONS = ("created", "updated", "deleted", "accessed")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its name in the table, and what it said before and after; None for nothing."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `index` is the entry that says the same; None until it is sealed."""

    object_pk: str
    action: str
    at: datetime
    actor_kind: str
    actor_ref: str
    door: str
    fields: tuple[FieldChange, ...]
    index: int | None


def changes_of(model_label: str, object_pks: Collection[str], *, limit: int = 200) -> list[Change]:
    """Return the changes of some rows of one model, like `catalog.application`, newest first. Two statements."""
    app_label, _, model = model_label.partition(".")
    of_model = ConfigurationChange.objects.filter(content_type__app_label=app_label, content_type__model=model)
    rows = list(of_model.filter(object_pk__in=list(object_pks)).order_by("-id")[:limit])
    sealed = _sealed(model_label, {row.cid for row in rows})
    return [_change(row, sealed) for row in rows]


def _sealed(model_label: str, correlations: set[str]) -> dict[tuple[str, str], list[int]]:
    """Return the entries about rows of the model: (correlation, key) → indexes, newest first."""
    entries = Entry.objects.filter(event=CONFIGURATION_CHANGED, correlation_id__in=correlations).order_by("-index")
    known: dict[tuple[str, str], list[int]] = {}
    for index, correlation, body in entries.values_list("index", "correlation_id", "body"):
        data = json.loads(body)["data"]
        if data["model"] == model_label:
            known.setdefault((correlation, str(data.get("key", ""))), []).append(index)
    return known


def _change(row: ConfigurationChange, sealed: Mapping[tuple[str, str], list[int]]) -> Change:
    found = sealed.get((row.cid, row.object_pk))
    return Change(
        row.object_pk,
        ACTIONS[row.action],
        row.timestamp,
        row.actor_kind,
        row.actor_ref,
        row.door,
        tuple(_fields(row.changes or {})),
        found.pop(0) if found else None,
    )


def _fields(changes: Mapping[str, Any]) -> Iterator[FieldChange]:
    for name, said in sorted(changes.items()):
        if isinstance(said, dict):
            related = ", ".join(said["objects"])
            is_added = said["operation"] == "add"
            yield FieldChange(name, None if is_added else related, related if is_added else None)
        else:
            before, after = (None if value in (None, "None", "") else str(value) for value in said)
            yield FieldChange(name, before, after)
