"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern, leave_out
from governance.provisioning.models import Account, Connector, Holding, Operation, SyncRun, TicketSystem

govern(
    Connector,
    public=["kind", "base_url"],
    personal=["secret_encrypted", "options"],
    # How calls went lately; that a circuit opened or closed is recorded.
    volatile=[
        "circuit_opened_at",
        "circuit_retry_at",
        "failures_in_a_row",
        "last_error",
        "next_step",
        "read_requested_at",
        "reading_until",
    ],
)
govern(
    Account,
    person="person_id",
    public=["kind", "linked_by"],
    personal=["target_id", "user_name", "display_name", "email"],
    volatile=["confirmed_at", "last_used_at"],
)
govern(Holding, volatile=["confirmed_at"])
govern(
    Operation,
    public=["kind", "state", "origin", "idempotency_key", "correlation_id"],
    # A worker's turn at it. What came of it is its state.
    volatile=["attempts", "next_attempt_at", "claimed_by", "claimed_until", "last_error", "next_step"],
)
govern(
    TicketSystem,
    public=["slug", "name", "pattern", "url_template", "header_name", "json_path", "good_values", "when_silent"],
    personal=["secret_encrypted"],
)
leave_out(SyncRun, because="a reading in progress; what it found are accounts and holdings, and its end is recorded")
