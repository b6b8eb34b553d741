"""An engagement over the story of tests.evidence.issued: requests, approvals, a leaver who kept access."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine

from governance.engagements import opening
from governance.engagements.models import AuditRequest, Engagement
from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests import cast
from tests.cast import acting
from tests.evidence.issued import APRIL, tell_the_story

LAST_DAY = date(2026, 4, 30)
SIGNER = Signer.generate("gatehouse.example.com/ledger")


@pytest.fixture
def audit(db: None, sam: Person) -> Engagement:
    """An audit of March, opened in April, when what happened is sealed. The test itself goes on in April."""
    tell_the_story()
    with time_machine.travel(APRIL, tick=False):
        seal_everything(signer=SIGNER)
        return opening.open_engagement(
            "SOC 2 for March", "soc2", first="2026-03-01", last="2026-03-31", zone="UTC", ends_on=LAST_DAY,
            actor=acting(sam),
        )  # fmt: skip


@pytest.fixture
def gil(audit: Engagement) -> Person:
    """The auditor from outside, who came."""
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    return guest


@pytest.fixture
def leavers(audit: Engagement) -> AuditRequest:
    """The request for everybody who left."""
    return audit.requests.get(report="R05")
