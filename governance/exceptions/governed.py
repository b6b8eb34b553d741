"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.exceptions.models import Attempt, ControlException, Reading, ReportOwner, ReportReading, Statement
from governance.ledger.governing import govern, leave_out

govern(Reading, public=["zone", "reports", "unseen", "asked_by_ref", "correlation_id"])
govern(ReportReading, public=["report", "version", "outcome", "why", "unseen"])
govern(ControlException, public=["report", "row_id", "codes", "turn"], personal=["explanation"], person="person_id")
govern(Statement, public=["said_by_ref", "correlation_id"], personal=["explanation"])
govern(ReportOwner, public=["report", "said_by_ref", "correlation_id"])

leave_out(Attempt, because="how far a reading came")
