"""What the ledger records about heads that are kept elsewhere."""

CHECKPOINT_ANCHORED = "checkpoint.anchored"
ANCHOR_FAILED = "checkpoint.anchor_failed"
ANCHOR_ADDED = "anchor.added"
ANCHOR_CHANGED = "anchor.changed"
ANCHOR_ENDED = "anchor.ended"
