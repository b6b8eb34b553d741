"""What the ledger records about the streams that it is read by."""

STREAM_ADDED = "stream.added"
STREAM_CHANGED = "stream.changed"
STREAM_ENDED = "stream.ended"
STREAM_TESTED = "stream.tested"
STREAM_STOPPED = "stream.stopped"
#: What it still lacked had been disposed of: it goes on with the first text that is there.
STREAM_SKIPPED = "stream.skipped"
STREAM_RESUMED = "stream.resumed"
