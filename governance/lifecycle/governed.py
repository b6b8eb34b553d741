"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern, leave_out
from governance.lifecycle.models import (
    Handover,
    HeldItem,
    Hold,
    LeavePlan,
    PeopleDraft,
    PeopleFile,
    SignalCount,
    SourceBrake,
)

govern(SourceBrake, public=["source"], volatile=["people", "counted_at"])
govern(Hold, public=["source", "state", "correlation_id"])
govern(
    HeldItem,
    person="person_id",
    public=["kind", "state", "signalled_by_ref", "correlation_id", "confirmed_by"],
    personal=["reason"],
)
govern(LeavePlan, person="person_id", public=["source", "set_by_ref", "correlation_id"], personal=["note"])
govern(
    Handover, person="person_id", public=["kind", "subject_ref", "rule", "correlation_id"], personal=["subject_name"]
)
govern(PeopleFile, public=["digest", "applied_by_ref", "correlation_id"], personal=["name"])

leave_out(PeopleDraft, because="a file that was uploaded and not yet applied; it is deleted or becomes a people file")
leave_out(SignalCount, because="counters of traffic; a hold that they cause is captured")
