"""What is recorded about exceptions of controls and the readings that see them."""

READING_BEGUN = "control_reading.begun"
REPORT_READ = "control_reading.report_read"
READING_FINISHED = "control_reading.finished"

EXCEPTION_OPENED = "exception.opened"
EXCEPTION_REOPENED = "exception.reopened"
EXCEPTION_CHANGED = "exception.changed"
EXCEPTION_GONE = "exception.gone"
EXCEPTION_ANSWERED = "exception.answered"
EXCEPTION_ACCEPTED = "exception.accepted"
REPORT_OWNER_CHANGED = "exception.report_owner_changed"
