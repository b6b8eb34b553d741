"""Findings are governed. Why the other tables of the ledger are not."""

from governance.ledger.governing import govern, leave_out
from governance.ledger.models import (
    Baseline,
    Captured,
    Checkpoint,
    Comparison,
    ConfigurationChange,
    Disclosure,
    Entry,
    EntrySubject,
    Finding,
    Halt,
    LogKey,
    Node,
    Pending,
    SubjectKey,
    Watch,
)

govern(
    Finding,
    public=[
        "kind",
        "cause",
        "table",
        "row",
        "columns",
        "operation",
        "database_role",
        "application",
        "owner_ref",
        "closed_by_ref",
    ],
    personal=["explanation", "fixed_by"],
    volatile=["last_seen_at"],
)
leave_out(Baseline, Comparison, Watch, because="how far looking came; what is found is a finding")
leave_out(Halt, because="said while nothing can be sealed; what is decided then is an entry")
leave_out(
    Captured,
    Checkpoint,
    Entry,
    EntrySubject,
    LogKey,
    Node,
    Pending,
    because="the ledger itself",
)
leave_out(ConfigurationChange, because="insert-only, and each row goes with an entry configuration.changed")
leave_out(Disclosure, SubjectKey, because="what erasure takes away: the ledger holds commitments to it and no copy")
