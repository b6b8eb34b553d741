"""The world of the reports, read in March 2026 by the readings of the continuous view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
import time_machine

from governance.evidence import continuous
from governance.evidence.reports.registry import BY_ID
from governance.exceptions.models import ControlException, Reading
from governance.ledger.notes import Signer
from tests.evidence.conftest import World
from tests.evidence.issued import seal

Read = Callable[[datetime], list[Reading]]


@pytest.fixture
def world(db: None) -> World:
    """An empty world."""
    return World()


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The sequencer's key."""
    return Signer.generate("example.com/ledger")


@pytest.fixture
def few_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read three reports instead of twenty: one of what is there, one of what happened, one about the powerful."""
    few = tuple(BY_ID[report] for report in ("R01", "R03", "R07"))
    monkeypatch.setattr(continuous, "reports_read", lambda: few)


@pytest.fixture
def read(signer: Signer, few_reports: None) -> Read:
    """Read what is due at an instant; return the readings that came of it, the oldest first."""

    def at(instant: datetime) -> list[Reading]:
        seal(signer)
        known = Reading.objects.order_by("-id").values_list("id", flat=True).first() or 0
        with time_machine.travel(instant, tick=False):
            continuous.read_due()
        seal(signer)
        return list(Reading.objects.filter(id__gt=known).order_by("id"))

    return at


def only(report: str) -> ControlException:
    """Return the one exception of a report."""
    return ControlException.objects.get(report=report)
