"""A ledger whose beginning is old enough to be disposed of."""

from __future__ import annotations

from datetime import UTC, datetime

import time_machine
from django.db import transaction
from django.db.models import Max

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.identity.models import Person, RoleAssignment
from governance.ledger import watching
from governance.ledger.models import Checkpoint
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record_many
from governance.ledger.sequencer import seal_everything
from governance.ledger.taking_in import take_in_everything
from governance.privacy import pruning
from tests import cast

LONG_AGO, LATER = datetime(2012, 3, 1, 9, tzinfo=UTC), datetime(2016, 3, 1, 9, tzinfo=UTC)
CLOCK = Actor.system("retention", door=Door.CLOCK)


def old_ledger(signer: Signer, *, with_rows: bool = False) -> Person:
    """Seal in 2012 that ada came, got a role, and what was noted; notes about her in 2016; and some now. Return ada.

    `with_rows` has all rows taken in before, so that they can be compared with the ledger.
    """
    with time_machine.travel(LONG_AGO, tick=False) as clock:
        ada = cast.hire("Ada Lovelace")
        if with_rows:
            list(take_in_everything())
        RoleAssignment.objects.create(person=ada, role="auditor", assigned_at=now(), assigned_by_ref="x")
        say(10, text="Because she asked.")
        seal_everything(signer=signer)
        clock.move_to(LATER)
        say(5, str(ada.ref))
        seal_everything(signer=signer)
    say(5)
    seal_everything(signer=signer)
    watching.look_for_out_of_band()
    return ada


def say(count: int, about: str = "x", text: str = "") -> None:
    """Record things about somebody."""
    private = {"reason": (about, text)} if text else {}
    with transaction.atomic():
        record_many(Record("thing.noted", CLOCK, [Subject("person", about)], {"n": n}, private) for n in range(count))


def size_at(at: datetime) -> int:
    """Return how many entries were sealed by then."""
    return int(Checkpoint.objects.filter(at__lte=at).aggregate(size=Max("size"))["size"])


def pruned() -> list[pruning.Pruned]:
    """Dispose of what is old enough."""
    return list(pruning.prune(actor=CLOCK))
