"""The log that proves what happened: entries, the signed tree over them, and its proofs.

It names its subjects and knows no other room.
"""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """Entry, Checkpoint, record."""

    name = "governance.ledger"
    label = "ledger"
