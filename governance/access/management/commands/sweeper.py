"""`manage.py sweeper`: the process that orders starts and ends at the instant they are due. A second one helps."""

from __future__ import annotations

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from governance.access.sweeper import Sweeper


class Command(BaseCommand):
    """Order what falls due."""

    help = "Order starts and ends of access at the instant they are due, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep."""
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Sweeper(stop).run()
