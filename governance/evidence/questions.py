"""What a bundle asks: framework, period, knowledge cut and policy values. Everything else follows from these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from governance.core.clock import OPEN_END
from governance.evidence.controls import framework_named
from governance.evidence.narrowing import Selection
from governance.evidence.periods import Period
from governance.evidence.reports.base import Report

#: The value of a named parameter of a query.
Value = str | int | datetime | list[str] | None


@dataclass(frozen=True, slots=True)
class Pin:
    """The cut of an earlier bundle, what was known then: its instant and its size of the ledger."""

    known_at: datetime
    ledger_size: int


@dataclass(frozen=True, slots=True)
class Question:
    """The parameters of a bundle. Two equal ones give the same reports, on any day and machine."""

    framework: str
    period: Period
    known_at: datetime
    ledger_size: int
    leaver_sla_hours: int
    freshness_hours: int
    #: Short names of the applications it is about; none: all. Reports about people and the log are not narrowed.
    applications: tuple[str, ...] = ()
    #: What a definition chooses of the framework's pack; none: all of it.
    selection: Selection | None = None

    @property
    def reports(self) -> tuple[Report, ...]:
        """Return the reports that answer it, in order. The cover is in every bundle and not among them.

        Raises Conflict where this version of Gatehouse has not what a definition chose.
        """
        return self.selection.reports if self.selection else framework_named(self.framework).reports

    def parameters(self) -> dict[str, Value]:
        """Return the values of the named parameters of every report."""
        return {
            "starts_at": self.period.starts_at,
            "ends_at": self.period.ends_at,
            "as_of": self.period.as_of(self.known_at),
            "known_at": self.known_at,
            "ledger_size": self.ledger_size,
            "sla_hours": self.leaver_sla_hours,
            "open_end": OPEN_END,
            "applications": list(self.applications) or None,
            **(self.selection.parameters() if self.selection else {}),
        }
