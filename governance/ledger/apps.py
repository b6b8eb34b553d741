"""The log that proves what happened: entries, the signed tree over them, and its proofs.

It names its subjects and knows no other room.
"""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class LedgerConfig(AppConfig):
    """Entry, Checkpoint, record."""

    name = "governance.ledger"
    label = "ledger"

    def ready(self) -> None:
        """Have every room register its configuration models: the module `watched` of each, when it has one."""
        autodiscover_modules("watched")
