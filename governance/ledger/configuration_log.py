"""What happens when django-auditlog notices a change: its row and the ledger's entry, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from auditlog.models import LogEntryManager
from django.db import models

from governance.core.actor import NOBODY, current_actor
from governance.ledger import events
from governance.ledger.canonical import MAX_INTEGER
from governance.ledger.recording import Subject, record, require_transaction

HIDDEN = "(hidden)"
#: Characters of a value that an entry spells out; a longer one is named by its digest.
MAX_SPELLED = 500

_ACTIONS = ("created", "updated", "deleted", "accessed")


def hidden(_value: str) -> str:
    """Return what stands in for the value of a hidden field, before and after a change."""
    return HIDDEN


def reference(instance: models.Model) -> str:
    """Return the permanent reference of a row: its `ref` when it has one, else its primary key."""
    return str(getattr(instance, "ref", instance.pk))


class ConfigurationChangeManager(LogEntryManager):  # type: ignore[misc]
    """auditlog's manager, which also names the actor and records `configuration.changed`.

    A change outside of a transaction raises TransactionManagementError: auditlog would log what may never happen.
    """

    def log_create(self, instance: models.Model, force_log: bool = False, **kwargs: Any) -> Any:
        """Keep the row about one create, update or delete, and record it; None when nothing changed."""
        require_transaction()
        row = super().log_create(instance, force_log, **_attribution(), **kwargs)
        if row is not None:
            _record(row.action, row.changes or {}, instance)
        return row

    def log_m2m_changes(
        self, changed_queryset: Any, instance: models.Model, operation: str, field_name: str, **kwargs: Any
    ) -> Any:
        """Keep the row about added or removed related rows. They are named by reference, never by their text."""
        require_transaction()
        if not changed_queryset:
            return None
        refs = sorted(reference(related) for related in changed_queryset)
        changes = {field_name: {"type": "m2m", "operation": operation, "objects": refs}}
        action = self.model.Action.UPDATE
        row = super().log_create(instance, action=action, changes=changes, **_attribution(), **kwargs)
        _record(action, {f"{field_name}.{operation}": [None, refs]}, instance)
        return row


def _attribution() -> dict[str, str]:
    actor = current_actor() or NOBODY
    return {
        "actor_kind": actor.kind.value,
        "actor_ref": actor.ref,
        "door": actor.door.value,
        "cid": actor.correlation_id,
    }


def _record(action: int, changes: Mapping[str, Any], instance: models.Model) -> None:
    record(
        events.CONFIGURATION_CHANGED,
        actor=current_actor() or NOBODY,
        subjects=[Subject(str(instance._meta.model_name), reference(instance))],
        data={
            "model": instance._meta.label_lower,
            "key": str(instance.pk),
            "action": _ACTIONS[action],
            "changes": {field: [_spelled(before), _spelled(after)] for field, (before, after) in changes.items()},
        },
    )


def _spelled(value: object) -> object:
    """Return the value as an entry can hold it: scalars as they are, the rest as JSON text, long ones as a digest."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) <= MAX_INTEGER):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if len(text) > MAX_SPELLED:
        return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}
    return text
