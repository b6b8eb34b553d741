"""`manage.py recompute_decisions [--since DATE] [R-number …]`: make past decisions again from their receipts."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.access.recomputing import Counted, recomputed


class Command(BaseCommand):
    """Say of each decision whether the same comes of its receipt: equal, differs (in what), cannot (why)."""

    help = "Make past decisions again from what they kept, and compare. Ends with 1 when one differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read which decisions."""
        parser.add_argument("requests", nargs="*", help="R-2041: only the decisions about these requests")
        parser.add_argument("--since", help="2026-03-01: only decisions from this day (UTC) on")
        parser.add_argument("--all", action="store_true", help="Name also those that are equal")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make them again."""
        counted = Counted()
        numbers = [_number(text) for text in options["requests"]]
        for one in recomputed(numbers, since=_day(options["since"])):
            counted.count(one)
            if options["all"] or numbers or not one.found.is_equal:
                self.stdout.write(one.sentence)
        self.stdout.write(counted.sentence)
        if counted.differs:
            raise SystemExit(1)


def _day(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError as error:
        raise CommandError(f"{text} is no day like 2026-03-01.") from error


def _number(text: str) -> int:
    found = re.fullmatch(r"(?:R-)?(\d{1,12})", text)
    if found is None:
        raise CommandError(f"{text} is no request like R-2041.")
    return int(found[1])
