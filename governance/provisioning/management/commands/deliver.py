"""`manage.py deliver`: carry out the orders that are due, once, without a worker."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from governance.provisioning.delivery import deliver_due


class Command(BaseCommand):
    """Deliver what is due."""

    help = "Carry out the orders that are due, once, without a worker."

    def handle(self, *_: Any, **__: Any) -> None:
        """Deliver, and say how many orders were worked on."""
        self.stdout.write(f"{deliver_due(worker='command')} orders were worked on.")
