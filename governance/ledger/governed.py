"""Why the tables of the ledger are not governed themselves."""

from governance.ledger.governing import leave_out
from governance.ledger.models import (
    Captured,
    Checkpoint,
    ConfigurationChange,
    Disclosure,
    Entry,
    EntrySubject,
    LogKey,
    Node,
    Pending,
    SubjectKey,
)

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
