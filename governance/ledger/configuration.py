"""Which models are configuration: their field history is kept by django-auditlog and every change is a ledger entry."""

from __future__ import annotations

from collections.abc import Collection

from auditlog.registry import auditlog
from django.db import models

from governance.ledger.configuration_log import hidden


def register_configuration(
    model: type[models.Model],
    *,
    hidden_fields: Collection[str] = (),
    ignored_fields: Collection[str] = (),
    related_fields: Collection[str] = (),
) -> None:
    """Watch a hand-edited, low-volume model. Rooms call it in their module `watched`.

    `hidden_fields` hold secrets or personal data: that they changed is kept, never what they said. `ignored_fields`
    are bookkeeping, such as a last-seen time. `related_fields` are many-to-many fields to watch; empty them with
    `set([])`, because auditlog misreports `clear()`.
    Bulk and queryset writes are not seen; configuration is saved row by row, inside a transaction.
    """
    for name in (*hidden_fields, *ignored_fields, *related_fields):
        model._meta.get_field(name)
    if auditlog.contains(model):
        auditlog.unregister(model)
    auditlog.register(
        model,
        mask_fields=list(hidden_fields),
        mask_callable=f"{hidden.__module__}.{hidden.__qualname__}",
        exclude_fields=list(ignored_fields),
        m2m_fields=set(related_fields),
    )
