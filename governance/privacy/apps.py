"""What is kept of people, for how long, and how it goes: erasure, legal holds, retention."""

import importlib

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    """Erasure and holds."""

    name = "governance.privacy"
    label = "privacy"

    def ready(self) -> None:
        """Have a recovery of the ledger take away again what this room once did."""
        importlib.import_module("governance.privacy.taking_away_again")
