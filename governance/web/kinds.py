"""The kinds of access as pages tell them apart: word, icon, sentence."""

from __future__ import annotations

from governance.access.models import Grant, GrantCause
from governance.core.clock import is_open_ended

#: Kind of access: its word, its icon, its sentence. Colour, outline and hatching are in CSS under `k-<kind>`.
KINDS = {
    "birthright": ("Birthright", "circle-check", "Given by a rule to everyone in a role"),
    "standing": ("Standing", "key-round", "Asked for and approved, without an end"),
    "temporary": ("Temporary", "timer", "Approved with an end"),
    "pending": ("Pending", "hourglass", "Asked for, waiting for a decision"),
    "breakglass": ("Break-glass", "siren", "Taken in an emergency, looked at afterwards"),
    "drift": ("Drift", "circle-help", "Seen in the application, but no grant explains it"),
    "orphan": ("Orphan", "unlink", "An account with no person behind it"),
}


def kind_of(grant: Grant) -> str:
    """Return which kind of access a grant is."""
    if grant.cause == GrantCause.BIRTHRIGHT:
        return "birthright"
    if grant.cause == GrantCause.BREAK_GLASS:
        return "breakglass"
    return "standing" if is_open_ended(grant.ends_at) else "temporary"
