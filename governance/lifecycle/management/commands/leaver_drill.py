"""`manage.py leaver_drill PERSON` or `--last N`: what would happen if somebody left, or how far the last ones are."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.errors import DomainError
from governance.identity.models import Person, Status
from governance.identity.queries import person_by_email
from governance.lifecycle import tracking
from governance.lifecycle.drill import Drill, WouldHappen, drill

_STATES = {
    "failed": "failed",
    "seen": "an account is there that no order is under way for",
    "ordered": "ordered",
    "delivered": "sent",
    "by_hand": "done by hand, as somebody said",
    "verified": "read back",
}


class Command(BaseCommand):
    """Rehearse a leaver. Writes nothing."""

    help = (
        "Say what would happen if somebody left now, or how far the removals of the last leavers are. Writes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whom it is about."""
        parser.add_argument("person", nargs="?", help="e-mail address or user name")
        parser.add_argument("--last", type=int, metavar="N", help="the last N leavers instead")

    def handle(self, *_: Any, person: str | None, last: int | None, **__: Any) -> None:
        """Tell about one person, or about the last leavers."""
        if (person is None) == (last is None):
            raise CommandError("Name a person, or --last N.")
        if last is not None:
            self._tell_last(last)
            return
        try:
            found = person_by_email(person or "")
        except DomainError as error:
            raise CommandError(str(error)) from error
        if found.status == Status.LEFT:
            self._tell_progress(found)
        else:
            self._tell_drill(drill(found))

    def _tell_last(self, number: int) -> None:
        for found in tracking.leavers().order_by("-left_at", "-pk")[: max(number, 0)]:
            self._tell_progress(found)

    def _tell_progress(self, found: Person) -> None:
        self.stdout.write(f"{found.display_name} left {found.left_at:%Y-%m-%d %H:%M:%S} UTC")
        for part in tracking.progress_of(found):
            after = f", {part.read_back_after:.0f} s after the signal" if part.read_back_after is not None else ""
            self.stdout.write(f"  {part.application.name}: {_STATES[part.state]}{after}")
        for one in tracking.handovers_of(found):
            self.stdout.write(f"  {_handover(one)}")

    def _tell_drill(self, said: Drill) -> None:
        self.stdout.write(f"If {said.person.display_name} left now, {said.orders} removals would be ordered:")
        for part in said.applications:
            self.stdout.write(f"  {part.application.name}: {_would(part)}")
        for account in said.shared:
            self.stdout.write(f"  {account.application.name}: {account.user_name} is shared; change its secret")
        self.stdout.write(f"  {said.requests} requests would be closed, {said.tokens} tokens ended")
        for one in said.handovers:
            self.stdout.write(f"  {_handover(one)}")


def _would(part: WouldHappen) -> str:
    if part.unexplained:
        names = ", ".join(account.user_name for account in part.accounts)
        return f"nothing is ordered for the account {names}, which no grant explains"
    roles = ", ".join(order.role for order in part.orders)
    how = " (by hand)" if part.by_hand else " (waits: its connector is off)" if part.is_stuck else ""
    return f"{roles}{how}"


def _handover(one: Any) -> str:
    heir = one.heir.display_name if one.heir is not None else one.get_rule_display()
    return f"{one.get_kind_display()} {one.subject_name}: {heir}"
