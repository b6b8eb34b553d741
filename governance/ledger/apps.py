"""The log that proves what happened: entries, the signed tree over them, and its proofs.

It names its subjects and knows no other room.
"""

import importlib

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class LedgerConfig(AppConfig):
    """Entry, Checkpoint, record."""

    name = "governance.ledger"
    label = "ledger"

    def ready(self) -> None:
        """Have every room say what is configuration (`watched`) and what is governed; add the check of rights."""
        autodiscover_modules("watched", "governed")
        post_migrate.connect(importlib.import_module("governance.ledger.after_migrate").after_migrate, sender=self)
        importlib.import_module("governance.ledger.checks")
