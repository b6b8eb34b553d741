"""Who is told what, by which way and when. Derived from the ledger: an entry is the outbox row of what happened.

Reads the rooms below; none of them knows it. See docs/adr for why."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class NoticesConfig(AppConfig):
    """Notices, mail, webhooks."""

    name = "governance.notices"
    label = "notices"

    def ready(self) -> None:
        """Have the rooms above say what their subjects are (`told`)."""
        autodiscover_modules("told")
