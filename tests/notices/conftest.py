"""What tests of notices share: sealing what was recorded, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from governance.access.models import Grant
from governance.core.actor import Actor
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.notices.models import Notice
from governance.notices.reading import read_on
from governance.provisioning import settling
from governance.provisioning.connectors.base import Seen
from governance.provisioning.models import Connector, Operation

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNER = Signer.generate("example.com/ledger")
HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: mallory@halden.example\n\"'&{{ 7|add:7 }}"


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def tell(db: None) -> Callable[[], int]:
    """Seal what was recorded and read it; return how many notices came of it."""

    def run() -> int:
        seal_everything(signer=SIGNER)
        return read_on()

    return run


def told(person: Person) -> list[str]:
    """Return the kinds of what a person was told, the oldest first."""
    return list(Notice.objects.filter(person=person).order_by("id").values_list("kind", flat=True))


def worked_on(grant: Grant, *, kind: str = "give") -> Operation:
    """Return the order of a grant, claimed by a worker of the tests."""
    grant.refresh_from_db()
    Connector.objects.get_or_create(application_id=grant.application_id, defaults={"kind": "scim2", "created_at": NOON})
    key = grant.give_operation_id if kind == "give" else grant.take_operation_id
    Operation.objects.filter(pk=key).update(state="sending", claimed_by="tests", claimed_until=NOON + 99 * HOUR)
    return Operation.objects.select_related("person", "application__connector", "entitlement").get(pk=key)


__all__ = ["HOSTILE", "HOUR", "NOON", "Actor", "Seen", "settling", "told", "worked_on"]
