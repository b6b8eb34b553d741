"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.anchors.models import Anchor, AnchorReceipt
from governance.ledger.governing import govern

govern(
    Anchor,
    public=["kind", "name"],
    # Settings may hold addresses of people.
    personal=["settings", "secret_encrypted"],
    # How far the carrying came.
    volatile=[
        "next_at",
        "claimed_until",
        "failures_in_a_row",
        "trouble_since",
        "last_error",
        "last_size",
        "last_at",
    ],
)
govern(AnchorReceipt, public=["note", "proof"], personal=["said", "root"])
