"""What is recorded about evidence."""

EVIDENCE_REQUESTED = "evidence.requested"
EVIDENCE_EXPORTED = "evidence.exported"
EVIDENCE_DOWNLOADED = "evidence.downloaded"
EVIDENCE_FAILED = "evidence.failed"
EVIDENCE_RETRIED = "evidence.retried"
