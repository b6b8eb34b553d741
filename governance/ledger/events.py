"""What the ledger records about itself and about configuration."""

LOG_STARTED = "log.started"
LOG_HEARTBEAT = "log.heartbeat_signed"
KEY_ROTATED = "log.key_rotated"
KEY_RETIRED = "log.key_retired"
SECOND_KEY_ADDED = "log.second_key_added"
#: The log before was broken off here; this one goes on from what is left of it, under another name and key.
LOG_REOPENED = "log.reopened"
#: Entries that a restored backup lacked were put back from a copy.
LOG_RECOVERED = "log.recovered"
#: Somebody read the ledger: a search of its page, an entry, a script that fetches.
LOG_SEARCHED = "log.searched"
LOG_READ = "log.read"
LOG_FETCHED = "log.fetched"
#: Somebody recorded what only the sequencer may say; the entry has the digest of the attempt in its place.
FORGERY_REFUSED = "log.forgery_refused"
#: The rows of a governed table that a statement changed, as its triggers saw them; `ROWS` is their common beginning.
ROWS = "rows."
ROWS_INSERTED = "rows.inserted"
ROWS_UPDATED = "rows.updated"
ROWS_DELETED = "rows.deleted"
#: Rows that were there before their table was governed, in the transaction of their entries `rows.baseline`.
ROWS_TAKEN_IN = "capture.rows_taken_in"
#: What the ledger says of rows was compared with the rows that are there.
LEDGER_COMPARED = "ledger.compared"
SCHEMA_NOTED = "schema.noted"
FINDING_OPENED = "finding.opened"
FINDING_TAKEN = "finding.taken"
FINDING_EXPLAINED = "finding.explained"
FINDING_CLOSED = "finding.closed"
#: The texts of entries were disposed of because they had been kept long enough. Said by `gatehouse_prune` only.
LEDGER_PRUNED = "ledger.pruned"
CONFIGURATION_CHANGED = "configuration.changed"

#: What verifiers follow. The sequencer makes these entries itself and takes them from nobody.
BY_THE_SEQUENCER = frozenset({LOG_STARTED, LOG_REOPENED, KEY_ROTATED, KEY_RETIRED, SECOND_KEY_ADDED})
