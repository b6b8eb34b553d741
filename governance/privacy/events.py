"""What is recorded about erasure, holds and retention. R21 reads these."""

RETENTION_CHANGED = "retention.changed"
#: Fewer years: more would go, so two people decide.
SHORTER_RETENTION_PROPOSED = "retention.shortening_proposed"
SHORTER_RETENTION_DECLINED = "retention.shortening_declined"
HOLD_PLACED = "legal_hold.placed"
HOLD_RELEASE_PROPOSED = "legal_hold.release_proposed"
HOLD_RELEASE_DECLINED = "legal_hold.release_declined"
HOLD_RELEASED = "legal_hold.released"
#: Somebody's data has to be kept until a day, and goes then.
SUBJECT_RESTRICTED = "subject.restricted"
#: Until then only what the duty asks for shows their name.
NAMES_WITHHELD = "subject.names_withheld"
NAMES_RESTORED = "subject.names_restored"
SUBJECT_ERASURE_CANCELLED = "subject.erasure_cancelled"
SUBJECT_ERASED = "subject.erased"
BUNDLE_WITHDRAWN = "bundle.withdrawn"
#: A restored backup had brought back what was disposed of, erased or withdrawn since; it went again.
TAKEN_AWAY_AGAIN = "ledger.taken_away_again"
