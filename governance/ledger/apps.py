"""The log that proves what happened: entries, the signed tree over them, and its proofs.

It names its subjects and knows no other room.
"""

import importlib

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class LedgerConfig(AppConfig):
    """Entry, Checkpoint, record."""

    name = "governance.ledger"
    label = "ledger"

    def ready(self) -> None:
        """Have every room register its configuration models (its module `watched`), and add the check of rights."""
        autodiscover_modules("watched")
        importlib.import_module("governance.ledger.checks")
