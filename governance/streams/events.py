"""What the ledger records about the streams that it is read by."""

STREAM_ADDED = "stream.added"
STREAM_CHANGED = "stream.changed"
STREAM_ENDED = "stream.ended"
STREAM_TESTED = "stream.tested"
STREAM_STOPPED = "stream.stopped"
STREAM_RESUMED = "stream.resumed"
